"""The robustness benchmark: scenes generated from wrong cameras or spoiled views, compared with the clean truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from gen3r.eval.benchmarks import stages
from gen3r.eval.benchmarks.quantities import Quantity
from gen3r.eval.benchmarks.scores import Scores, depth_of, mean_psnr, poses_of
from gen3r.eval.benchmarks.tally import Tally
from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.metrics.agreement import agreement
from gen3r.eval.metrics.depth import ABSREL_CEILING
from gen3r.eval.metrics.pose import pose_auc
from gen3r.eval.robustness.cases import CLEAN, Case, cases_of
from gen3r.eval.robustness.perturbations.base import Perturbation
from gen3r.eval.suite.benchmark import Needs, SuiteSettings, cell
from gen3r.pipeline import Gen3RPipeline
from gen3r.scene.scene import Scene

VIEWS = (0,)
"""Frames that are given: the first. What is wrong with it is wrong with all that the model sees."""
QUALITIES: Mapping[str, Quantity] = MappingProxyType(
    {
        "last_psnr": Quantity(meaning="PSNR of the last frame", unit="dB", higher_is_better=True, worst=0.0),
        "mean_psnr": Quantity(
            meaning="mean PSNR of the generated frames (all but the first)", unit="dB", higher_is_better=True, worst=0.0
        ),
        "absrel": Quantity(
            meaning="generated depth, one scale per clip", unit="", higher_is_better=False, worst=ABSREL_CEILING
        ),
        "auc30": Quantity(
            meaning="generated against true cameras, area under recall up to 30 degrees",
            unit="",
            higher_is_better=True,
            worst=0.0,
        ),
        "agreement": Quantity(
            meaning="share of what two frames see whose generated depths agree within 5 %",
            unit="",
            higher_is_better=True,
            worst=0.0,
        ),
    }
)
"""What is measured of every scene. All but agreement, which compares its frames with each other, is against the truth.
"""
CHANGES: Mapping[str, Quantity] = MappingProxyType(
    {
        f"{name}_change": replace(
            QUALITIES[name], meaning=f"{name} minus that of the clean run, clip by clip", worst=None
        )
        for name in ("last_psnr", "absrel", "auc30", "agreement")
    }
)
"""Differences to the clean run of the same clip."""
SHOWN: Mapping[str, str] = MappingProxyType(
    {
        "last_psnr": "last-frame PSNR, dB",
        "last_psnr_change": "change",
        "absrel": "depth AbsRel",
        "absrel_change": "change",
        "auc30": "camera AUC@30",
        "auc30_change": "change",
        "agreement": "agreement",
        "agreement_change": "change",
    }
)
"""Columns of the table."""


class Robustness:
    """A `Benchmark`: the clean run, then one row per perturbation and strength.

    Args:
        perturbations: what goes wrong, by name (see ``perturbations.registry``).
    """

    name = "robustness"
    title = "Robustness: scenes from wrong cameras and spoiled views, against the clean truth"
    needs = Needs(depth=True, cameras=True)
    columns: Mapping[str, Quantity] = MappingProxyType({**QUALITIES, **CHANGES})

    def __init__(self, perturbations: Mapping[str, Perturbation]) -> None:
        self.cases = cases_of(perturbations)
        self.rows: Mapping[str, str] = {CLEAN: "nothing wrong"} | {case.row: case.title for case in self.cases}
        self.cells = tuple(cell(row, column) for row in self.rows for column in self.columns)

    def measure(self, tally: Tally, pipeline: Gen3RPipeline, truths: Sequence[Truth], settings: SuiteSettings) -> None:
        """See `Benchmark`: the clean run, then every case, each for all clips together."""
        for case in (None, *self.cases):
            measure_case(case, tally, pipeline, truths, settings)

    def table(self) -> dict[str, dict[str, str]]:
        """How `eval.report` arranges the numbers."""
        rows = {cell(row, ""): title for row, title in self.rows.items()}
        return {"rows": rows, "columns": dict(SHOWN)}


def measure_case(
    case: Case | None, tally: Tally, pipeline: Gen3RPipeline, truths: Sequence[Truth], settings: SuiteSettings
) -> None:
    """Generate a few clips with something wrong (None: nothing) and note how they compare with the truth."""
    row = CLEAN if case is None else case.row
    told = truths if case is None else [case.told(truth, VIEWS) for truth in truths]
    scenes = stages.generate_each(
        pipeline,
        told,
        lambda some: stages.generate(
            pipeline, some, VIEWS, noise_seed=settings.noise_seed, steps=settings.steps, guidance=settings.guidance
        ),
    )
    for truth, scene in zip(truths, scenes, strict=True):
        names = [cell(row, quality) for quality in QUALITIES]
        tally.attempt(
            row,
            truth.seed,
            names,
            lambda scene=scene, truth=truth: {
                cell(row, quality): value for quality, value in scores(stages.made(scene), truth).items()
            },
        )
        noted = tally.scores[truth.seed]
        tally.add(truth.seed, {cell(row, change): _change(noted, row, change) for change in CHANGES})


def scores(scene: Scene, truth: Truth) -> Scores:
    """Every quality of one scene."""
    video, last = stages.frames_of(scene), truth.frames - 1
    return {
        "last_psnr": mean_psnr(video, truth, [last]),
        "mean_psnr": mean_psnr(video, truth, range(1, truth.frames)),
        "absrel": depth_of(scene.depth, truth).absrel,
        "auc30": pose_auc(poses_of(scene.cameras.extrinsics, truth), 30.0),
        "agreement": agreement(video, scene.depth, scene.cameras).within,
    }


def _change(noted: Scores, row: str, change: str) -> float:
    quality = change.removesuffix("_change")
    return noted[cell(row, quality)] - noted[cell(CLEAN, quality)]
