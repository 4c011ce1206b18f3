"""The clips of results files and the scenes of them, made again as they were made when they were measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gen3r.eval.benchmarks import stages
from gen3r.eval.benchmarks.clips import read_pack
from gen3r.eval.benchmarks.scores import Scores
from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.gallery.criteria import measured
from gen3r.eval.gallery.properties import properties_of
from gen3r.eval.suite.benchmark import SuiteSettings
from gen3r.eval.suite.config import ClipChoice
from gen3r.eval.suite.sources import open_source
from gen3r.eval.suite.tables.prediction import Prediction
from gen3r.pipeline import Gen3RPipeline

SYNTHETIC = {"kind": "synthetic"}
"""What files that do not say it were measured on."""
SAME = ("steps", "guidance", "noise_seed", "frames", "size")
"""Settings that make a scene."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How the scenes of some results files came about."""

    clips: tuple[str, ...]
    """Names of all clips, in the order of the files."""
    generation: SuiteSettings
    """How scenes were generated."""
    shape: tuple[int, int, int]
    """Frames, height and width."""
    data: Mapping[str, Any]
    """Where the clips come from."""

    @classmethod
    def of(cls, records: Sequence[Mapping[str, Any]]) -> Recipe:
        """What the files say.

        Raises:
            ValueError: if they do not say it, contradict each other, or have no clip in common.
        """
        first = records[0]
        settings, data = first.get("settings", {}), first.get("data", SYNTHETIC)
        if any(settings.get(name) is None for name in ("steps", "guidance", "frames", "size")):
            raise ValueError(
                "expected results of generated scenes, but the file does not say their steps, guidance, frames and "
                "size; measure with gen3r eval tables or gen3r eval synthetic."
            )
        for other in records[1:]:
            for name in SAME:
                one, two = settings.get(name, 0), other.get("settings", {}).get(name, 0)
                if one != two:
                    raise ValueError(f"expected files of the same scenes, but {name} is {one} in one and {two} in one.")
            if _place(data) != _place(other.get("data", SYNTHETIC)):
                raise ValueError("expected files of the same clips, but they come from different data.")
        names = tuple(name for name in first["clips"] if all(name in record["clips"] for record in records))
        if not names:
            raise ValueError("the files have no clip in common; measure the same clips.")
        return cls(
            clips=names,
            generation=SuiteSettings(
                steps=settings["steps"], guidance=settings["guidance"], noise_seed=settings.get("noise_seed", 0)
            ),
            shape=(settings["frames"], *settings["size"]),
            data=data,
        )

    def truths(
        self, pipeline: Gen3RPipeline, *, datasets: Sequence[Path] = (), pack: Path | None = None
    ) -> Callable[[str], Truth]:
        """A function from the name of a clip to the clip.

        Args:
            pipeline: the model.
            datasets: where the datasets of the files are, if their clips were not generated.
            pack: of generated clips, to take them from.

        Raises:
            ValueError: for a model of another size, or clips that are not there.
        """
        grid = pipeline.grid()
        if (grid.frames, *grid.size) != self.shape:
            raise ValueError(
                f"the files are about clips of frames, height, width {self.shape}, this model makes "
                f"{(grid.frames, *grid.size)}; name the model that was measured."
            )
        stored = self.data["kind"] == "stored"
        if stored != bool(datasets):
            advice = "name their folders with --data" if stored else "leave --data out"
            raise ValueError(f"the clips of the files are {'from datasets' if stored else 'generated'}; {advice}.")
        if pack is not None:
            clips = {clip.seed: clip for clip in read_pack(pack, [int(name) for name in self.clips], grid)}
            return lambda name: Truth.of(clips[int(name)], pipeline.device)
        choice = ClipChoice(count=1)
        if stored:
            folders = tuple(str(path.resolve()) for path in datasets)
            choice = ClipChoice(datasets=folders, split=self.data["split"], stride=self.data["stride"])
        source = open_source(choice, grid)
        missing = set(self.clips) - {clip.name for clip in source.listed()} if stored else set()
        if missing:
            raise ValueError(f"{len(missing)} clips of the files are not in these datasets, such as {min(missing)}.")
        return lambda name: source.truth(name, pipeline)


def _place(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: data.get(name) for name in ("kind", "datasets", "split", "stride")} | {
        "datasets": data.get("datasets") or []
    }


def generate(pipeline: Gen3RPipeline, truth: Truth, settings: SuiteSettings) -> Prediction:
    """The scene from the first frame, the caption and the true cameras; what stops it is raised."""
    scenes = stages.generate(
        pipeline,
        [truth],
        (0,),
        noise_seed=settings.noise_seed,
        steps=settings.steps,
        guidance=settings.guidance,
    )
    return Prediction.of_scene(scenes[0], truth)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Every clip of the files, measured once more."""

    scores: Mapping[str, Scores]
    """Name of each clip -> key of a criterion -> number."""
    properties: Mapping[str, Scores]
    """Name of each clip -> property -> number, NaN where it means nothing."""
    failures: Mapping[str, str]
    """Name of each clip without a scene -> why."""


def measure_all(
    recipe: Recipe,
    pipeline: Gen3RPipeline,
    truth_of: Callable[[str], Truth],
    advance: Callable[[int, int], None] | None = None,
) -> Measured:
    """Make the scene of every clip and measure it.

    Args:
        recipe: which, and how.
        pipeline: the model.
        truth_of: what ``Recipe.truths`` gives.
        advance: called with (clips done, clips in all).

    Raises:
        ValueError: if no clip gives a scene.
    """
    scores: dict[str, Scores] = {}
    properties: dict[str, Scores] = {}
    failures: dict[str, str] = {}
    for done, name in enumerate(recipe.clips, start=1):
        truth = truth_of(name)
        try:
            prediction = generate(pipeline, truth, recipe.generation)
            numbers = measured(prediction, truth)
        except Exception as error:  # noqa: BLE001  whatever stops a clip is that clip's failure, and is shown
            failures[name] = f"{type(error).__name__}: {error}"
        else:
            scores[name], properties[name] = numbers, properties_of(prediction, truth)
        if advance is not None:
            advance(done, len(recipe.clips))
    if not scores:
        raise ValueError(f"no clip gave a scene; the first: {next(iter(failures.values()))}")
    return Measured(scores=scores, properties=properties, failures=failures)


def largest_change(recorded: Mapping[str, float], again: Mapping[str, float]) -> float:
    """Largest difference of a clip's two numbers, relative to the recorded one; 0 without common clips."""
    pairs = [(recorded[clip], again[clip]) for clip in recorded if clip in again]
    return max((abs(one - two) / max(abs(one), 1e-9) for one, two in pairs if math.isfinite(one)), default=0.0)
