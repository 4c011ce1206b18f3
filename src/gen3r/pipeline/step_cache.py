"""Step caches: neighbouring steps are alike, so some of them may reuse what an earlier one computed.

The three methods are those of diffusers; this says how each is set up on the joint transformer. States are kept per
branch of guidance and live as long as the run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast, runtime_checkable

import torch
from diffusers import FirstBlockCacheConfig, MagCacheConfig, TaylorSeerCacheConfig
from diffusers.hooks.hooks import HookRegistry, StateManager
from diffusers.hooks.mag_cache import _MAG_CACHE_LEADER_BLOCK_HOOK, MagCacheState

from gen3r.models.transformer import JointTransformer

StepCacheName = Literal["first_block", "mag", "taylorseer"]


@runtime_checkable
class StepCache(Protocol):
    """Settings of one method."""

    def enable(self, transformer: JointTransformer, steps: int) -> None:
        """Hook the method into ``transformer`` for a run of ``steps`` steps; ``disable_cache()`` takes it out."""
        ...


@dataclass(frozen=True, kw_only=True)
class FirstBlockCache:
    """Skip all blocks but the first where the first changed little (ParaAttention's First Block Cache)."""

    threshold: float = 0.05
    """Largest relative change of the first block's residual that skips the others; 0 skips where nothing changed."""

    def __post_init__(self) -> None:
        _check_threshold(self.threshold)

    def enable(self, transformer: JointTransformer, steps: int) -> None:
        """See :class:`StepCache`."""
        if len(transformer.blocks) < 2:
            raise ValueError("a first-block cache needs at least two blocks; this transformer has one.")
        transformer.enable_cache(FirstBlockCacheConfig(threshold=self.threshold))


@dataclass(frozen=True, kw_only=True)
class MagnitudeCache:
    """Skip all blocks while known magnitudes of their residual say that the error stays small (MagCache, 2506.09045).

    The magnitudes belong to weights and schedule; :func:`calibrate_magnitudes` measures them in one run.
    """

    ratios: tuple[float, ...] = ()
    """Per step, how much longer the blocks' residual is than in the step before; 1 for the first."""
    threshold: float = 0.06
    """Largest accumulated error of a stretch of skipped steps."""
    max_skip: int = 3
    """Longest stretch of skipped steps."""
    retention: float = 0.2
    """The first share of the steps, where nothing is skipped."""

    def __post_init__(self) -> None:
        _check_threshold(self.threshold)
        if not self.ratios or not all(math.isfinite(ratio) and ratio > 0 for ratio in self.ratios):
            raise ValueError(
                f"the step cache 'mag' needs the positive magnitude ratios of these weights, got {self.ratios}; "
                "measure them once with gen3r.pipeline.step_cache.calibrate_magnitudes."
            )
        if self.max_skip < 0 or not 0.0 <= self.retention <= 1.0:
            raise ValueError(
                f"expected max_skip >= 0 and retention in [0, 1], got {self.max_skip} and {self.retention}."
            )

    def enable(self, transformer: JointTransformer, steps: int) -> None:
        """See :class:`StepCache`."""
        config = MagCacheConfig(
            threshold=self.threshold,
            max_skip_steps=self.max_skip,
            retention_ratio=self.retention,
            num_inference_steps=steps,
            mag_ratios=list(self.ratios),
        )
        transformer.enable_cache(config)
        states = _magnitude_states(transformer)
        states._state_cls = cast(Any, _StepMagnitudeState)
        states._init_args = cast(Any, (states,))


@dataclass(frozen=True, kw_only=True)
class TaylorCache:
    """Predict the output of whole steps from the ones before by a Taylor series (TaylorSeer, 2503.06923)."""

    interval: int = 3
    """Every how many steps the blocks run; 1 predicts nothing."""
    warmup: int = 3
    """First steps, all of which run."""
    order: int = 1
    """Highest derivative; 0 repeats the last output."""

    def __post_init__(self) -> None:
        if self.interval < 1 or self.warmup < 1 or self.order < 0:
            raise ValueError(
                f"expected interval >= 1, warmup >= 1 and order >= 0, got {self.interval}, {self.warmup}, {self.order}."
            )

    def enable(self, transformer: JointTransformer, steps: int) -> None:
        """See :class:`StepCache`. Only the last projection is predicted, in float32: it is small beside a block."""
        config = TaylorSeerCacheConfig(
            cache_interval=self.interval,
            disable_cache_before_step=self.warmup,
            max_order=self.order,
            taylor_factors_dtype=torch.float32,
            skip_predict_identifiers=[r"blocks\.\d+"],
            cache_identifiers=["proj_out"],
        )
        transformer.enable_cache(config)


STEP_CACHES: Mapping[StepCacheName, type[StepCache]] = {
    "first_block": FirstBlockCache,
    "mag": MagnitudeCache,
    "taylorseer": TaylorCache,
}
"""By name."""


@contextmanager
def step_cached(transformer: JointTransformer, cache: StepCache | None, steps: int) -> Iterator[None]:
    """Within, forwards of ``transformer`` follow ``cache``, starting from empty states; None changes nothing."""
    if cache is None:
        yield
        return
    cache.enable(transformer, steps)
    try:
        yield
    finally:
        transformer.disable_cache()


def calibrate_magnitudes(transformer: JointTransformer, run: Callable[[], object], steps: int) -> tuple[float, ...]:
    """Magnitude ratios for :class:`MagnitudeCache`, one per step, averaged over the branches of guidance.

    Args:
        transformer: of the weights to measure.
        run: generates once with ``steps`` steps and no step cache, e.g. ``lambda: pipeline([photo], steps=steps)``.
        steps: of the run; other numbers of steps interpolate.

    Raises:
        ValueError: if no branch took ``steps`` steps.
    """
    config = MagCacheConfig(calibrate=True, num_inference_steps=steps + 1)  # not reached: it would print and forget
    transformer.enable_cache(config)
    try:
        run()
        states: Mapping[str, MagCacheState] = _magnitude_states(transformer)._state_cache
        measured = [state.calibration_ratios for state in states.values() if len(state.calibration_ratios) == steps]
        taken = {name: len(state.calibration_ratios) for name, state in states.items()}
    finally:
        transformer.disable_cache()
    if not measured:
        raise ValueError(f"expected a run of {steps} steps, got {taken or 'none'}; calibrate without guidance_skip.")
    return tuple(sum(ratios) / len(measured) for ratios in zip(*measured, strict=True))


class _StepMagnitudeState(MagCacheState):
    """A branch that joins late (the positive one after steps in one batch) looks up the ratios of its step."""

    def __init__(self, states: StateManager) -> None:
        super().__init__()
        self.step_index = states.context.step_index or 0


def _magnitude_states(transformer: JointTransformer) -> StateManager:
    hook = HookRegistry.check_if_exists_or_initialize(transformer.blocks[0]).get_hook(_MAG_CACHE_LEADER_BLOCK_HOOK)
    assert hook is not None
    return cast(Any, hook).state_manager


def _check_threshold(threshold: float) -> None:
    if not (math.isfinite(threshold) and threshold >= 0):
        raise ValueError(f"expected a threshold of at least 0, got {threshold}.")
