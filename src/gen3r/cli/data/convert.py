"""``gen3r data convert``: a dataset as downloaded, or one's own captures, become clip folders."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from gen3r.cli.data.running import RUN_FOLDER, Running, run_units
from gen3r.cli.terminal import say, working
from gen3r.data.converters.registry import CONVERTERS, find_entry
from gen3r.hub.sizes import in_gigabytes

if TYPE_CHECKING:
    from gen3r.data.converting.work import ConvertJob, Plan

REPORT = "conversion.json"
"""In the destination: what was converted, what not and why."""
SHOWN = 10
"""Lines of problems on the screen; the report has all of them."""
POSES: dict[str, str] = {
    "vggt": "gen3r.prepare.poses:VGGTPoses",
    "pycolmap": "gen3r.data.converting.pycolmap_poses:PycolmapPoses",
}
"""What finds cameras of pictures that have none."""

Split = Literal["train", "validation", "held-out"]


@dataclass(frozen=True, kw_only=True)
class Convert:
    """Convert a dataset as downloaded, or your own captures, to clip folders for training.

    Distortion is removed, axes and pixel centres are converted, and the official splits kept. Nothing is downloaded and
    the source is never changed. Stopped half way, the same command goes on; scenes that cannot be converted are listed
    and do not stop the others. Layouts and licences: docs/datasets.md.
    """

    dataset: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATASET")]
    """Name of a dataset; "list" tells them all."""
    source: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="SRC")] = None
    """The folder (or file) it was unpacked to."""
    destination: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="DST")] = None
    """Folder that gets a clip folder per scene."""
    dry_run: bool = False
    """Count scenes and estimate the space needed; write nothing."""
    splits: tuple[Split, ...] = ()
    """Only scenes of these splits."""
    limit: int | None = None
    """Only the first scenes."""
    link: Literal["copy", "hard"] = "copy"
    """How pictures that need no change get into the clips; hard links take no space, but must stay on one disk."""
    max_side: int | None = None
    """Make pictures smaller whose longer side has more pixels."""
    min_frames: int = 2
    """Refuse shorter scenes. Training takes 49 frames and repeats the ends of shorter clips."""
    max_frames: int = 500
    """Cut longer scenes into parts of nearly equal length."""
    captions: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """JSON or CSV with prompts by scene."""
    cameras: tuple[str, ...] = ()
    """Which cameras of a rig, by the names in docs/datasets.md."""
    square_windows: int = 1
    """Square windows to cut side by side from very wide pictures, a clip each (kitti360)."""
    rate: Annotated[float | None, tyro.conf.arg(metavar="FPS")] = None
    """Frames per second to take of a video."""
    include_benchmarks: bool = False
    """Convert scenes of official benchmarks as well, as held-out."""
    without_benchmark_list: bool = False
    """Convert without the list of the scenes that a benchmark tests on, which may then be trained on (dl3dv)."""
    poses: Literal["vggt", "pycolmap"] | None = None
    """What finds the cameras of images and video: a network, or structure from motion (extra data)."""
    model: str | None = None
    """Model whose network finds them; name or folder."""
    device: str = "auto"
    """Where it runs: auto, cpu, cuda or cuda:1."""
    running: Running = field(default_factory=Running)
    """Where the work is done."""

    def run(self) -> None:
        """Convert what is not there yet, or tell what there is to do.

        Raises:
            ValueError: for an unknown dataset, a source that is another dataset, and if there is no clip in the end.
        """
        if self.dataset == "list":
            tell_datasets()
            return
        entry = find_entry(self.dataset)
        if self.source is None or self.destination is None:
            raise ValueError(
                f"expected gen3r data convert {self.dataset} SRC DST; get the data from: {entry.download}."
            )
        from gen3r.data.converting.work import ConvertUnit, items_of, make_plan

        job = self.job(self.source, self.destination)
        with working("Looking at the files"):
            plan = make_plan(job, splits=self.splits, limit=self.limit)
        if self.dry_run:
            tell_plan(plan, job, self.link)
            return
        if plan.todo:
            gpus = self.running.gpus(self.device) if self.poses == "vggt" else 0.0
            items = items_of(plan)
            run_units("Converting", ConvertUnit, job.to_json(), items, self.destination, self.running, gpus=gpus)
        report = conversion_report(job, plan, self.destination)
        write_report(report, self.destination)
        tell_report(report, self.destination)
        tell_problems([(problem.place, problem.reason) for problem in plan.problems], "cannot be converted")
        if not report["converted"] and not report["there"]:
            raise ValueError(f"no scene of {self.source} could be converted; {self.destination / REPORT} says why.")

    def job(self, source: Path, destination: Path) -> "ConvertJob":
        """The options as the engine takes them."""
        from gen3r.data.converting.settings import ConvertSettings
        from gen3r.data.converting.work import ConvertJob

        return ConvertJob(
            dataset=self.dataset,
            source=str(source.resolve()),
            destination=str(destination.resolve()),
            settings=ConvertSettings(
                link=self.link,
                max_side=self.max_side,
                min_frames=self.min_frames,
                max_frames=self.max_frames,
                captions=str(self.captions.resolve()) if self.captions is not None else None,
                cameras=self.cameras,
                square_windows=self.square_windows,
                rate=self.rate,
                include_benchmarks=self.include_benchmarks,
                without_benchmark_list=self.without_benchmark_list,
                poses=POSES[self.poses] if self.poses is not None else None,
                pose_settings=self.pose_settings(),
            ),
        )

    def pose_settings(self) -> dict[str, Any]:
        """What the network that finds cameras is made from."""
        if self.poses != "vggt":
            return {}
        from gen3r.cli.device import resolve_device

        device = {"device": str(resolve_device(self.device))}
        return device | ({"model": self.model} if self.model is not None else {})


def tell_datasets() -> None:
    """Every dataset with what it is, where it comes from and its licence."""
    for entry in CONVERTERS.values():
        say(f"{entry.name:<15}{entry.summary}")
        say(f"{'':<15}from {entry.download}")
        say(f"{'':<15}licence {entry.terms}")


def tell_plan(plan: "Plan", job: "ConvertJob", link: str) -> None:
    """What would be done."""
    say(f"{job.dataset}: {len(plan.todo)} scenes to convert, {len(plan.there)} there already")
    for split, count in plan.splits.items():
        say(f"  {split:<12}{count}")
    if plan.todo:
        say(f"About {plan.frames} frames; their pictures take about {in_gigabytes(plan.size)}")
        if link == "hard":
            say("Those that need no change are linked and take nothing")
    tell_problems([(problem.place, problem.reason) for problem in plan.problems], "cannot be converted")
    say("Nothing was written.")


def conversion_report(job: "ConvertJob", plan: "Plan", destination: Path) -> dict[str, Any]:
    """What became of the scenes of a plan, from the record of the run."""
    from gen3r.jobs.journal import read_journal

    recorded = read_journal(destination / RUN_FOLDER)
    ended = {found.name: recorded[found.name] for found in plan.todo if found.name in recorded}
    return {
        "dataset": job.dataset,
        "source": job.source,
        "settings": job.settings.to_json(),
        "converted": {name: outcome.result for name, outcome in ended.items() if outcome.status == "done"},
        "skipped": {problem.place: problem.reason for problem in plan.problems}
        | {name: outcome.reasons[-1] for name, outcome in ended.items() if outcome.status != "done"},
        "there": {found.name: recorded[found.name].result if found.name in recorded else {} for found in plan.there},
    }


def write_report(report: Mapping[str, Any], destination: Path) -> None:
    """Write it into the destination."""
    import json

    from gen3r.whole_file import whole_file

    destination.mkdir(parents=True, exist_ok=True)
    with whole_file(destination / REPORT) as file:
        file.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def tell_report(report: Mapping[str, Any], destination: Path) -> None:
    """What came of it; scenes that failed were told with the run."""
    results = report["converted"].values()
    clips, frames = (sum(counts) for counts in ([len(r["clips"]) for r in results], [r["frames"] for r in results]))
    said = f"{len(results)} scenes converted to {clips} clips of {frames} frames"
    say(f"{said}, {len(report['there'])} there already, {len(report['skipped'])} skipped")
    noted = {name: "; ".join(result["notes"]) for name, result in report["converted"].items() if result["notes"]}
    tell_problems([*noted.items()], "converted with something left out or to note")
    say(f"Clips in {destination}, report in {destination / REPORT}")


def tell_problems(problems: list[tuple[str, str]], title: str) -> None:
    """The first lines of a list."""
    if not problems:
        return
    say(f"{len(problems)} {title}:")
    for place, reason in problems[:SHOWN]:
        say(f"  {place}: {reason:.200}")
    if len(problems) > SHOWN:
        say(f"  and {len(problems) - SHOWN} more")
