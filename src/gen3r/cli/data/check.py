"""``gen3r data check``: which clips of a dataset are bad, and why."""

import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from gen3r.cli.data.running import Running
from gen3r.cli.output_file import check_output_file, write_whole
from gen3r.cli.terminal import note, progress_bar, say

if TYPE_CHECKING:
    from gen3r.data.checking.run import CheckConfig, DatasetReport

SHOWN = 20
"""Bad clips on the screen; the report has all of them."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """Look at every clip of a dataset, and list the bad ones with reasons.

    Bad is what cannot be read, has too few frames, is blurred or static, whose camera jumps, or whose cameras disagree
    with depth or pictures. Stopped half way, the same command goes on. Exits with 1 if a clip is bad.
    """

    dataset: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DATASET")]
    """Folder of clip folders or shards."""
    report: Annotated[Path | None, tyro.conf.arg(metavar="FILE.json")] = None
    """Where to write all that was found; left out, check.json in the dataset."""
    bad_list: Annotated[Path | None, tyro.conf.arg(name="list", metavar="FILE.txt")] = None
    """Also write the names of bad clips, one a line: what gen3r data pack --leave-out reads."""
    move_bad: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Move bad clip folders there, out of the dataset (not for shards)."""
    min_frames: int = 16
    """Clips with fewer frames are bad."""
    skip_matching: bool = False
    """Do not compare cameras with points matched between pictures, which takes most of the time."""
    running: Running = field(default_factory=Running)
    """Where the work is done."""

    def run(self) -> None:
        """Check, write the report, and tell.

        Raises:
            ValueError: if there is no dataset, or an output cannot be written.
            SystemExit: with 1, if a clip is bad.
        """
        from gen3r.data.checking.run import CheckConfig, report_inside
        from gen3r.data.checking.thresholds import CheckThresholds

        if not self.dataset.is_dir():
            raise ValueError(f"{self.dataset} is not a folder; a dataset is a folder of clip folders or shards.")
        if self.move_bad is not None and any(self.dataset.glob("*.tar")):
            raise ValueError("--move-bad moves clip folders, but these are shards; use --list, and pack them without.")
        config = CheckConfig(
            dataset=self.dataset.resolve(),
            thresholds=CheckThresholds(least_frames=self.min_frames),
            matching=not self.skip_matching,
        )
        path = self.report or report_inside(self.dataset)
        check_output_file(path, "--report")
        if self.bad_list is not None:
            check_output_file(self.bad_list, "--list")
        found = check_dataset(config, path.with_name(f".{path.name}.unfinished"), self.running)
        found.write(path, config)
        if self.bad_list is not None:
            write_whole(self.bad_list, "".join(f"{name}\n" for name in found.bad))
        tell(found)
        note(f"All that was measured: {path}")
        if self.move_bad is not None:
            move_clips(self.dataset, found.bad, self.move_bad)
        if found.bad:
            raise SystemExit(1)


def check_dataset(config: "CheckConfig", unfinished: Path, running: Running) -> "DatasetReport":
    """Check all clips.

    Args:
        config: what to check.
        unfinished: folder that is there until the check has ended. A check that was stopped goes on with what it holds,
            if it was of the same kind.
        running: where the work is done.
    """
    from gen3r.data.checking.report import ClipReport
    from gen3r.data.checking.run import CheckClip, DatasetReport, list_checks
    from gen3r.jobs import JobItem, WorkSpec, run_jobs
    from gen3r.jobs.journal import read_journal
    from gen3r.jobs.work import content_hash

    settings = config.settings()
    work = unfinished / content_hash(settings)
    items = [JobItem.of(item) for item in list_checks(config)]
    with progress_bar("Checking") as advance:
        run = run_jobs(items, WorkSpec.of(CheckClip, settings), work, running.options(), progress=advance)
    outcomes = read_journal(work)
    reports = [ClipReport.from_record(outcomes[i.key].result) for i in items if outcomes[i.key].status == "done"]
    shutil.rmtree(unfinished)
    return DatasetReport.of(reports, run.failed)


def tell(found: "DatasetReport") -> None:
    """Print a table of bad clips, and counts."""
    from rich.console import Console
    from rich.table import Table

    rows: list[tuple[Any, ...]] = [(r.clip, f.reason, f.detail) for r in found.reports for f in r.faults]
    rows += [(name, "not checked", reason) for name, reason in found.failed.items()]
    if rows:
        table = Table("clip", "reason", "detail", box=None, pad_edge=False)
        for row in rows[:SHOWN]:
            table.add_row(*row)
        console = Console(file=sys.stdout)
        (console if console.is_terminal else Console(file=sys.stdout, width=400)).print(table)
        if len(rows) > SHOWN:
            say(f"... and {len(rows) - SHOWN} more")
    for text, count in found.notes.items():
        say(f"note: {count} x {text}")
    reasons = "".join(f", {count} {reason}" for reason, count in found.counts.items())
    say(f"{len(found.reports) + len(found.failed)} checked, {len(found.bad)} bad{reasons}")


def move_clips(dataset: Path, names: tuple[str, ...], target: Path) -> None:
    """Move clip folders into another folder.

    Raises:
        ValueError: if one is there already.
    """
    there = [name for name in names if (target / name).exists()]
    if there:
        raise ValueError(f"{target} already holds {there[0]}; name another folder for the bad clips.")
    target.mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.move(dataset / name, target / name)
    say(f"{len(names)} clip folders moved to {target}")
