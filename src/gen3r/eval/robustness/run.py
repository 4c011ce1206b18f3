"""Measure robustness clip by clip."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from gen3r.data.clip import Clip
from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.robustness.benchmark import Robustness
from gen3r.eval.robustness.progress import Progress
from gen3r.eval.suite.benchmark import SuiteSettings
from gen3r.pipeline import Gen3RPipeline


def run_robustness(
    pipeline: Gen3RPipeline,
    benchmark: Robustness,
    seeds: Sequence[int],
    clips_of: Callable[[Sequence[int]], Iterable[Clip]],
    progress: Progress,
    settings: SuiteSettings,
    *,
    batch: int = 1,
    advance: Callable[[int, int], None] | None = None,
) -> None:
    """Measure every clip that is not done, ``batch`` at a time, and keep the numbers of each batch.

    Args:
        pipeline: the model.
        benchmark: what goes wrong.
        seeds: of the clips.
        clips_of: the clips of some seeds, of the model's size; asked for those that are measured alone.
        progress: holds the tally; afterwards all clips are in it.
        settings: how scenes are generated.
        batch: clips generated together.
        advance: called with (clips done, clips in all).

    Raises:
        ValueError: for a clip without any surface.
    """
    for start in range(0, len(seeds), batch):
        waiting = [seed for seed in seeds[start : start + batch] if not progress.done(seed)]
        if waiting:
            truths = [Truth.of(clip, pipeline.device) for clip in clips_of(waiting)]
            benchmark.measure(progress.tally, pipeline, truths, settings)
            progress.keep()
        if advance is not None:
            advance(min(start + batch, len(seeds)), len(seeds))
