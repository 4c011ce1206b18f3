"""Scenes after every number of steps, from the same views, cameras and noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from gen3r.data.clip import Clip
from gen3r.eval.benchmarks import stages
from gen3r.eval.benchmarks.scores import Scores, depth_of, mean_psnr, poses_of
from gen3r.eval.benchmarks.tally import Tally
from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.metrics.agreement import agreement
from gen3r.eval.metrics.pose import pose_auc
from gen3r.eval.metrics.psnr import psnr
from gen3r.eval.metrics.ssim import ssim
from gen3r.eval.steps.quantities import COLUMNS, row_of
from gen3r.eval.steps.subjects import Subject
from gen3r.scene.scene import Scene


@dataclass(frozen=True, kw_only=True)
class StepsBenchmark:
    """What is compared."""

    steps: tuple[int, ...] = (1, 2, 3, 4, 6, 8, 12, 20, 30)
    """Numbers of steps of every subject."""
    reference_steps: int = 30
    """Steps of the first subject that all others are held against."""
    student_steps: tuple[int, ...] | None = None
    """Numbers of steps of all subjects but the first; None: those of ``steps``."""
    noise_seed: int = 0
    """Added to a clip's seed to seed its noise."""

    def __post_init__(self) -> None:
        if min(*self.steps, *(self.student_steps or (1,)), self.reference_steps) < 1:
            raise ValueError(f"expected numbers of steps from 1 on, got {self.steps} and {self.reference_steps}.")

    def runs(self, subjects: Sequence[Subject]) -> list[tuple[Subject, int]]:
        """Who goes how many steps, the reference first."""
        wanted = [
            (subject, count)
            for place, subject in enumerate(subjects)
            for count in sorted(set(self.steps if place == 0 or self.student_steps is None else self.student_steps))
        ]
        first = (subjects[0], self.reference_steps)
        return [first, *(run for run in wanted if run != first)]


def run_steps(
    subjects: Sequence[Subject],
    clips: Sequence[Clip],
    settings: StepsBenchmark,
    advance: Callable[[int, int], None] | None = None,
) -> Tally:
    """Measure ``COLUMNS`` of every run on every clip; the first subject after ``reference_steps`` is the reference.

    Scenes are generated one at a time, from the first frame, the caption and the true cameras.

    Args:
        subjects: whose clips have one size.
        clips: of that size.
        settings: numbers of steps.
        advance: called with (scenes made, scenes in all).
    """
    runs = settings.runs(subjects)
    tally = Tally(
        quantities={
            row_of(subject.label, steps) + column: quantity
            for subject, steps in runs
            for column, quantity in COLUMNS.items()
        }
    )
    done = 0
    for clip in clips:
        reference: Scene | None = None
        for subject, steps in runs:
            pipeline, row = subject.at(steps), row_of(subject.label, steps)
            truth = Truth.of(clip, pipeline.device)
            made, seconds = stages.timed(
                lambda pipeline=pipeline, truth=truth, steps=steps: stages.generate_each(
                    pipeline,
                    [truth],
                    lambda batch: stages.generate(
                        pipeline, batch, (0,), noise_seed=settings.noise_seed, steps=steps, guidance=None
                    ),
                )[0],
                pipeline.device,
            )
            if reference is None and isinstance(made, Scene):
                reference = made
            names = [row + column for column in COLUMNS if column != "seconds"]
            tally.attempt(
                row,
                truth.seed,
                names,
                lambda made=made, truth=truth, row=row, reference=reference: {
                    row + column: value for column, value in scores_of(stages.made(made), truth, reference).items()
                },
            )
            tally.add(truth.seed, {row + "seconds": seconds})
            done += 1
            if advance is not None:
                advance(done, len(runs) * len(clips))
    return tally


def scores_of(scene: Scene, truth: Truth, reference: Scene | None) -> Scores:
    """Every column but the time, of one scene; ``reference`` is of the same noise."""
    video, last = stages.frames_of(scene), truth.frames - 1
    true = truth.video.to(video)
    consistency = agreement(video, scene.depth, scene.cameras)
    same = video if reference is None else stages.frames_of(reference)
    return {
        "last_psnr": mean_psnr(video, truth, [last]),
        "mean_psnr": mean_psnr(video, truth, range(1, truth.frames)),
        "ssim": ssim(video[1:], true[1:]).mean().item(),
        "sharpness": (gradient(video[1:]) / gradient(true[1:])).item(),
        "absrel": depth_of(scene.depth, truth).absrel,
        "auc30": pose_auc(poses_of(scene.cameras.extrinsics, truth), 30.0),
        "agreement": consistency.within,
        "warp_psnr": consistency.psnr,
        "same_noise_psnr": psnr(video[1:], same[1:]).mean().item(),
    }


def gradient(video: Float[Tensor, "F 3 H W"]) -> Float[Tensor, ""]:
    """Mean absolute difference of neighbouring pixels: blur lowers it, noise raises it."""
    return (video.diff(dim=-1).abs().mean() + video.diff(dim=-2).abs().mean()) / 2
