"""What every variant is measured by: generated scenes against the truth of held-out clips."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

from gen3r.cameras.projection import unproject
from gen3r.eval.benchmarks import stages
from gen3r.eval.benchmarks.quantities import Quantity
from gen3r.eval.benchmarks.scores import Scores, depth_of, mean_psnr, poses_of
from gen3r.eval.benchmarks.tally import Tally
from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.metrics.depth import ABSREL_CEILING
from gen3r.eval.metrics.points import cloud_errors
from gen3r.eval.metrics.pose import pose_auc
from gen3r.eval.suite.benchmark import SuiteSettings
from gen3r.pipeline import Gen3RPipeline
from gen3r.scene.scene import Scene

CLOUD_POINTS = 2000
"""Points of each cloud that are compared: many runs are measured, and they differ by more than this costs."""
WORST_DISTANCE = 100.0
"""Percent of the size of the scene."""


def _psnr(meaning: str) -> Quantity:
    return Quantity(meaning=meaning, unit="dB", higher_is_better=True, worst=0.0)


COLUMNS = MappingProxyType(
    {
        "one_last_psnr": _psnr("1 view: the last generated frame"),
        "one_absrel": Quantity(
            meaning="1 view: generated depth", unit="", higher_is_better=False, worst=ABSREL_CEILING
        ),
        "one_chamfer": Quantity(
            meaning="1 view: Chamfer distance of the generated points, of the diagonal of the scene",
            unit="%",
            higher_is_better=False,
            worst=WORST_DISTANCE,
        ),
        "one_auc30": Quantity(
            meaning="1 view: generated against requested cameras, area under recall up to 30 degrees",
            unit="",
            higher_is_better=True,
            worst=0.0,
        ),
        "two_between_psnr": _psnr("2 views: mean of the generated frames"),
        "two_absrel": Quantity(
            meaning="2 views: generated depth", unit="", higher_is_better=False, worst=ABSREL_CEILING
        ),
        "free_between_psnr": _psnr("2 views without cameras: mean of the generated frames"),
    }
)
"""One number per clip each. All are measured of every variant."""


def measure(
    tally: Tally, pipeline: Gen3RPipeline, truths: Sequence[Truth], settings: SuiteSettings, points: int = CLOUD_POINTS
) -> None:
    """Generate a few clips together from one view, from two, and from two without cameras, and note every column.

    What stops a model on a clip counts as the worst value of the columns it left out. Cameras are those that are read
    in the generated geometry, for all variants.
    """
    last = truths[0].frames - 1
    makers = (("one", (0,), True), ("two", (0, last), True), ("free", (0, last), False))
    for way, at, follow in makers:

        def make(some: Sequence[Truth], at: tuple[int, ...] = at, follow: bool = follow) -> list[Scene]:
            return stages.generate(
                pipeline,
                some,
                at,
                noise_seed=settings.noise_seed,
                steps=settings.steps,
                guidance=settings.guidance,
                follow=follow,
            )

        names = [name for name in COLUMNS if name.startswith(f"{way}_")]
        for truth, scene in zip(truths, stages.generate_each(pipeline, truths, make), strict=True):
            tally.attempt(
                way,
                truth.seed,
                names,
                lambda way=way, scene=scene, truth=truth: _SCORES[way](stages.made(scene), truth, points),
            )


def _one(scene: Scene, truth: Truth, points: int) -> Scores:
    cloud = cloud_errors(
        scene.world_points(), unproject(truth.depth.cpu(), truth.cameras.to("cpu")), truth.valid.cpu(), points=points
    )
    return {
        "one_last_psnr": mean_psnr(stages.frames_of(scene), truth, [truth.frames - 1]),
        "one_absrel": depth_of(scene.depth, truth).absrel,
        "one_chamfer": min(cloud.relative_percent, WORST_DISTANCE),
        "one_auc30": pose_auc(poses_of(scene.cameras.extrinsics, truth), 30.0),
    }


def _two(scene: Scene, truth: Truth, points: int) -> Scores:
    return {"two_between_psnr": _between(scene, truth), "two_absrel": depth_of(scene.depth, truth).absrel}


def _free(scene: Scene, truth: Truth, points: int) -> Scores:
    return {"free_between_psnr": _between(scene, truth)}


def _between(scene: Scene, truth: Truth) -> float:
    return mean_psnr(stages.frames_of(scene), truth, range(1, truth.frames - 1))


_SCORES = {"one": _one, "two": _two, "free": _free}
