"""Which clips are still to be measured for which table, and whether what is there belongs to the same run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gen3r.eval.benchmarks.quantities import Quantity
from gen3r.eval.machine import folder_hash
from gen3r.eval.suite.benchmark import Benchmark, benchmark_quantities
from gen3r.eval.suite.config import SuiteConfig
from gen3r.eval.suite.parts import PARTS, Part, part_path
from gen3r.eval.suite.registry import load_benchmark
from gen3r.eval.suite.sources import ListedClip, open_source
from gen3r.hub.folder import config_from_dict
from gen3r.hub.layout import ModelFolder
from gen3r.hub.load import open_model
from gen3r.hub.networks import VGGT_FOLDER
from gen3r.latents.grid import LatentGrid
from gen3r.pipeline.config import PipelineConfig
from gen3r.whole_file import whole_file

RUN_FILE = "run.json"
"""What all results of a folder have in common."""
FORMAT = "gen3r-eval-run"
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class SuitePlan:
    """What a run consists of."""

    config: SuiteConfig
    """As asked for."""
    identity: Mapping[str, Any]
    """What all parts have in common: model, settings and data, and the commit."""
    clips: tuple[ListedClip, ...]
    """All clips, in order."""
    benchmarks: Mapping[str, Benchmark]
    """The tables."""

    @cached_property
    def groups(self) -> list[tuple[ListedClip, ...]]:
        """Clips that are measured together."""
        step = self.config.batch
        return [self.clips[start : start + step] for start in range(0, len(self.clips), step)]

    @cached_property
    def quantities(self) -> Mapping[str, Mapping[str, Quantity]]:
        """Everything that is measured for each table."""
        return {name: benchmark_quantities(benchmark) for name, benchmark in self.benchmarks.items()}

    def due(self, benchmark: Benchmark, group: Sequence[ListedClip]) -> list[str]:
        """Names of the clips of a group that have what a table needs."""
        return [clip.name for clip in group if not clip.lacks(benchmark.needs)]

    def part(self, name: str, number: int) -> Part | None:
        """What was measured of a group for a table; None if that is not all, or of something else."""
        part = Part.read(part_path(Path(self.config.out), name, number))
        due = self.due(self.benchmarks[name], self.groups[number])
        return part if part is not None and part.holds(due, tuple(self.quantities[name])) else None

    def items(self) -> list[dict[str, Any]]:
        """Payloads for `MeasureClips`: groups of clips that a table lacks; parts of another group are deleted."""
        items = []
        for number, group in enumerate(self.groups):
            missing = []
            for name, benchmark in self.benchmarks.items():
                if self.due(benchmark, group) and self.part(name, number) is None:
                    part_path(Path(self.config.out), name, number).unlink(missing_ok=True)
                    missing.append(name)
            if missing:
                due = {name for table in missing for name in self.due(self.benchmarks[table], group)}
                clips = [clip.name for clip in group if clip.name in due]
                items.append({"key": f"clips-{number:06d}", "part": number, "clips": clips, "benchmarks": missing})
        return items


def plan_suite(config: SuiteConfig, folder: ModelFolder, *, other_commits: bool = False) -> SuitePlan:
    """Look at the model, the clips and what is measured already.

    Args:
        config: what is asked for.
        folder: of the model.
        other_commits: take parts that another commit measured for this one's.

    Raises:
        ValueError: for unusable datasets or models, and for an output folder with results of another model, other
            settings or data, or another commit.
    """
    model = open_model(folder)
    pipeline = config_from_dict(PipelineConfig, model.settings, str(model.origin))
    patch = model.parts[VGGT_FOLDER].config.patch_size if VGGT_FOLDER in model.parts else LatentGrid.patch
    grid = LatentGrid(pipeline.frames, pipeline.height, pipeline.width, patch)
    identity = {
        "model": {
            "name": pipeline.name,
            "revision": pipeline.revision,
            "asked_for": config.model.model,
            "sha256": folder_hash(folder.path),
            "companions": {name: folder_hash(path) for name, path in folder.companions.items()},
        },
        "settings": {
            "steps": config.generation.steps or pipeline.steps,
            "guidance": pipeline.guidance if config.generation.guidance is None else config.generation.guidance,
            "noise_seed": config.generation.noise_seed,
            "batch": config.batch,
            "frames": grid.frames,
            "size": list(grid.size),
            "device": config.model.device.partition(":")[0],
            "dtype": config.model.dtype,
            "vram": config.model.vram,
            "numerics": config.model.numerics,
        },
        "data": data_identity(config),
        "commit": config.commit,
    }
    out = Path(config.out)
    _check_same_run(out, identity, other_commits=other_commits)
    clips = tuple(open_source(config.clips, grid).listed())
    benchmarks = {name: load_benchmark(module) for name, module in config.benchmarks.items()}
    out.mkdir(parents=True, exist_ok=True)
    with whole_file(out / RUN_FILE) as file:
        content = {"format": FORMAT, "version": VERSION} | identity
        file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return SuitePlan(config=config, identity=identity, clips=clips, benchmarks=benchmarks)


def data_identity(config: SuiteConfig) -> dict[str, Any]:
    """Where clips come from; how many of them may change."""
    values = asdict(config.clips)
    names = ("split", "stride") if config.clips.datasets else ("seed_start",)
    kind = {"kind": "stored" if config.clips.datasets else "synthetic"}
    return kind | {"datasets": [Path(path).name for path in config.clips.datasets]} | {n: values[n] for n in names}


def _check_same_run(out: Path, wanted: Mapping[str, Any], *, other_commits: bool) -> None:
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; choose a folder for the results.")
    path = out / RUN_FILE
    if not path.is_file():
        if (out / PARTS).exists():
            raise ValueError(f"{out} has parts of results but no {RUN_FILE}; choose another folder.")
        return
    try:
        present = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON ({error}); choose another folder.") from error
    if not isinstance(present, dict) or (present.get("format"), present.get("version")) != (FORMAT, VERSION):
        raise ValueError(f"{path} is not of this version of gen3r eval tables; choose another folder.")
    for group in ("model", "settings", "data"):
        for name, value in wanted[group].items():
            before = present.get(group, {}).get(name)
            if before != value and name != "asked_for":
                raise ValueError(
                    f"{out} holds results of another run: {group} {name} was {before!r}, now {value!r}; choose another "
                    "folder."
                )
    if present.get("commit") != wanted["commit"] and not other_commits:
        raise ValueError(
            f"{out} holds results that commit {present.get('commit')} measured, this is {wanted['commit']}; choose "
            "another folder, or take them for this one's with --other-commits."
        )
