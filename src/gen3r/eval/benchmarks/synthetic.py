"""The synthetic benchmark: a model against exact truth on clips that training can never have seen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from gen3r.data.clip import Clip
from gen3r.eval.benchmarks import stages
from gen3r.eval.benchmarks.scores import baseline_scores
from gen3r.eval.benchmarks.tally import Tally
from gen3r.eval.benchmarks.truth import Truth
from gen3r.pipeline import Gen3RPipeline
from gen3r.scene.scene import Scene

MIN_FRAMES = 5
"""One view, the other end, and something between them to generate."""


@dataclass(frozen=True, kw_only=True)
class SyntheticBenchmark:
    """How generation is run; what is measured is fixed (see ``quantities``)."""

    steps: int | None = None
    """Denoising steps; None takes the model's own."""
    guidance: float | None = None
    """Text guidance; None takes the model's own."""
    batch: int = 1
    """Clips generated together. ``seconds_per_clip`` is the batch's time divided by it."""
    noise_seed: int = 0
    """Added to each clip's seed to seed its noise."""

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise ValueError(f"expected a batch of at least one clip, got {self.batch}.")


def run_synthetic(
    pipeline: Gen3RPipeline,
    clips: Sequence[Clip],
    mean_map: Float[Tensor, "H W"],
    settings: SyntheticBenchmark,
    advance: Callable[[int, int], None] | None = None,
) -> Tally:
    """Measure every quantity on every clip.

    Generation is given the first frame (``gen1``) or the first and the last (``gen2``), the caption and the true
    cameras, relative to the first one and in mean depths of the first view. What stops a model on a clip counts as
    the worst value of the quantities it left out.

    Args:
        clips: of the model's size.
        mean_map: ``baselines.depth.mean_depth_map`` of training clips.
        advance: called with (clips done, clips in all).

    Raises:
        ValueError: for clips of fewer than ``MIN_FRAMES`` frames, or without any surface.
    """
    tally = Tally()
    for start in range(0, len(clips), settings.batch):
        batch = [Truth.of(clip, pipeline.device) for clip in clips[start : start + settings.batch]]
        for truth in batch:
            if truth.frames < MIN_FRAMES:
                raise ValueError(f"expected clips of at least {MIN_FRAMES} frames, got {truth.frames}.")
            tally.add(truth.seed, baseline_scores(truth, mean_map.to(pipeline.device)))
            _reconstruction(pipeline, truth, tally)
        _generation(pipeline, batch, settings, tally)
        if advance is not None:
            advance(start + len(batch), len(clips))
    return tally


def _reconstruction(pipeline: Gen3RPipeline, truth: Truth, tally: Tally) -> None:
    names = ("vae_psnr",)
    tally.attempt("autoencoder", truth.seed, names, lambda: stages.autoencode(pipeline, truth))
    names = ("vggt_absrel", "vggt_delta1", "vggt_rot_auc5", "vggt_rot_median_deg")
    tally.attempt("vggt", truth.seed, names, lambda: stages.reconstruct(pipeline, truth))
    names = ("adapter_absrel", "adapter_rot_median_deg")
    tally.attempt("adapter", truth.seed, names, lambda: stages.round_trip(pipeline, truth))


def _generation(pipeline: Gen3RPipeline, batch: Sequence[Truth], settings: SyntheticBenchmark, tally: Tally) -> None:
    last = batch[0].frames - 1
    one_view, seconds = stages.timed(lambda: _scenes(pipeline, batch, (0,), settings), pipeline.device)
    two_views = _scenes(pipeline, batch, (0, last), settings)
    for truth, one, two in zip(batch, one_view, two_views, strict=True):
        tally.add(truth.seed, {"seconds_per_clip": seconds / len(batch)})
        names = ("gen1_last_psnr", "gen1_mean_psnr", "gen1_between_psnr", "gen1_absrel", "camera_auc30")
        tally.attempt(
            "1 view", truth.seed, names, lambda one=one, truth=truth: stages.score_one_view(stages.made(one), truth)
        )
        tally.attempt(
            "1 view, then VGGT",
            truth.seed,
            ("twostage_absrel",),
            lambda one=one, truth=truth: stages.reconstruct_generated(pipeline, stages.made(one), truth),
        )
        names = ("gen2_mean_psnr", "gen2_absrel")
        tally.attempt(
            "2 views", truth.seed, names, lambda two=two, truth=truth: stages.score_two_views(stages.made(two), truth)
        )


def _scenes(
    pipeline: Gen3RPipeline, batch: Sequence[Truth], at: Sequence[int], settings: SyntheticBenchmark
) -> list[Scene | Exception]:
    return stages.generate_each(
        pipeline,
        batch,
        lambda truths: stages.generate(
            pipeline, truths, at, noise_seed=settings.noise_seed, steps=settings.steps, guidance=settings.guidance
        ),
    )
