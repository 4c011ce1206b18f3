"""The cleaning benchmark: how near to the true surface clouds are, and how much of it they cover, level by level."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gen3r.cameras.alignment import MIN_POINTS, spread_ratio_scale, umeyama
from gen3r.cameras.projection import unproject
from gen3r.data.clip import Clip
from gen3r.eval.benchmarks import stages
from gen3r.eval.benchmarks.quantities import CLEANED, CLEANING_COLUMNS, CLEANING_QUANTITIES, FLOATING, cleaning_name
from gen3r.eval.benchmarks.scores import Scores
from gen3r.eval.benchmarks.tally import Tally
from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.metrics.chamfer import nearest_distances
from gen3r.pipeline import Gen3RPipeline
from gen3r.scene.cleaning import CLEANING_LEVELS, clean_mask
from gen3r.scene.scene import Scene

TABLE = {
    "rows": {
        cleaning_name(name, level, ""): f"{what}, `{level}`"
        for name, what in CLEANED.items()
        for level in CLEANING_LEVELS
    },
    "columns": {column: f"{column}, {quantity.unit}" for column, quantity in CLEANING_COLUMNS.items()},
}
"""How `eval.report` arranges the numbers: the name of a quantity is that of its row and of its column."""


def run_cleaning(
    pipeline: Gen3RPipeline,
    clips: Sequence[Clip],
    *,
    steps: int | None = None,
    guidance: float | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> Tally:
    """Clean what a model makes of every clip at every level, and measure what is left.

    Args:
        clips: of the model's size.
        steps: denoising steps of the scenes generated from first frame, caption and true cameras; None takes the
            model's own.
        guidance: their text guidance; None takes the model's own.
        advance: called with (clips done, clips in all).

    Raises:
        ValueError: for a clip without any surface.
    """
    tally = Tally(quantities=CLEANING_QUANTITIES)
    for done, clip in enumerate(clips, start=1):
        truth = Truth.of(clip, pipeline.device)
        makers: Mapping[str, Callable[[], Scene]] = {
            "vggt": lambda truth=truth: pipeline.reconstruct(truth.video),
            "gen1": lambda truth=truth: stages.generate(
                pipeline, [truth], (0,), noise_seed=0, steps=steps, guidance=guidance, scene_cameras=None
            )[0],
        }
        for subject, make in makers.items():
            names = [cleaning_name(subject, level, column) for level in CLEANING_LEVELS for column in CLEANING_COLUMNS]
            tally.attempt(
                CLEANED[subject],
                truth.seed,
                names,
                lambda subject=subject, make=make, truth=truth: cleaning_scores(subject, make(), truth),
            )
        if advance is not None:
            advance(done, len(clips))
    return tally


def cleaning_scores(subject: str, scene: Scene, truth: Truth) -> Scores:
    """Every quantity of every level for one scene.

    The cloud of all pixels is aligned with the truth once (similarity, matched pixels), so that levels differ only by
    the pixels they keep.

    Raises:
        ValueError: if too few pixels can be matched, or a level keeps nothing.
    """
    points, surface, valid = aligned_points(scene, truth)
    judged = scene.mask & ~(surface & ~valid)
    reference = unproject(truth.depth.cpu(), truth.cameras.to("cpu"))[valid]
    distances = torch.zeros(judged.shape, dtype=torch.float64)
    distances[judged] = nearest_distances(points[judged], reference)
    uncleaned = 100 * distances[judged].mean().item()
    scores: Scores = {}
    for level, cleaning in CLEANING_LEVELS.items():
        keep = clean_mask(scene, cleaning) & judged
        if not keep.any():
            raise ValueError(f"cleaning at level {level} keeps no pixel.")
        accuracy = 100 * distances[keep].mean().item()
        found = {
            "kept": 100 * keep.sum().item() / judged.sum().item(),
            "accuracy": accuracy,
            "change": accuracy - uncleaned,
            "floating": 100 * (distances[keep] > FLOATING).double().mean().item(),
            "completeness": 100 * nearest_distances(reference, points[keep]).mean().item(),
        }
        scores |= {cleaning_name(subject, level, column): found[column] for column in CLEANING_COLUMNS}
    return scores


def aligned_points(
    scene: Scene, truth: Truth
) -> tuple[Float[Tensor, "F H W 3"], Bool[Tensor, "F H W"], Bool[Tensor, "F H W"]]:
    """A scene's world points in the world of the truth; where the truth has a surface; where it is to be judged."""
    depth, valid = truth.depth.cpu(), truth.valid.cpu()
    points = scene.world_points()
    matched = scene.mask & valid
    if int(matched.sum()) < MIN_POINTS:
        raise ValueError(f"alignment needs at least {MIN_POINTS} pixels with true and predicted depth.")
    true_points = unproject(depth, truth.cameras.to("cpu"))
    similarity = umeyama(points[matched], true_points[matched], scale_rule=spread_ratio_scale)
    return similarity.apply(points), depth > 0, valid
