"""Ways to compute the two branches of text guidance: one after the other, in one batch, or in two processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, Protocol

import torch
from jaxtyping import Float
from torch import Tensor, distributed

from gen3r.conditioning.condition import Condition
from gen3r.models.transformer import JointTransformer

GuidanceMode = Literal["passes", "batch"]


class GuidedVelocity(Protocol):
    """The velocity a step follows; built once per run, so that what does not depend on time is computed once."""

    def __call__(
        self, latents: Float[Tensor, "B C f h W"], timestep: Float[Tensor, " B"], *, step: int, guided: bool
    ) -> Float[Tensor, "B C f h W"]:
        """``v_negative + guidance (v_positive - v_negative)``, or the positive branch alone, in the run's type.

        ``step`` counts from 0; step caches (``pipeline.step_cache``) keep one state per branch and read it.
        """
        ...


Guidance = Callable[[JointTransformer, Condition, Tensor | None, float, torch.dtype], GuidedVelocity]
"""Makes the velocity of a run from transformer, condition, text of the negative branch (None: no guidance), weight, and
the type in which branches are combined."""


class TwoPasses:
    """Positive and negative branch one after the other: the memory of one, the default."""

    def __init__(
        self,
        transformer: JointTransformer,
        condition: Condition,
        negative_text: Tensor | None,
        guidance: float,
        rounding: torch.dtype = torch.float32,
    ) -> None:
        self.transformer, self.control, self.guidance = transformer, condition.control, guidance
        self.rounding = rounding
        self.positive = transformer.prepare(condition.text, condition.camera, condition.image)
        self.negative = None
        if negative_text is not None:
            self.negative = transformer.prepare(negative_text, condition.camera, condition.image)

    def __call__(
        self, latents: Float[Tensor, "B C f h W"], timestep: Float[Tensor, " B"], *, step: int, guided: bool
    ) -> Float[Tensor, "B C f h W"]:
        with self.transformer.cache_context("positive", step_index=step):
            positive = self.transformer(latents, timestep, self.control, static=self.positive).to(self.rounding)
        if not guided or self.negative is None:
            return positive
        with self.transformer.cache_context("negative", step_index=step):
            negative = self.transformer(latents, timestep, self.control, static=self.negative).to(self.rounding)
        return _guided(negative, positive, self.guidance)


class OneBatch:
    """Both branches in one forward of twice the batch, negative first: faster where memory allows."""

    def __init__(
        self,
        transformer: JointTransformer,
        condition: Condition,
        negative_text: Tensor | None,
        guidance: float,
        rounding: torch.dtype = torch.float32,
    ) -> None:
        self.alone = TwoPasses(transformer, condition, None, guidance, rounding)
        self.transformer, self.guidance, self.rounding = transformer, guidance, rounding
        self.both = None
        if negative_text is not None:
            camera, image, control = (
                None if part is None else torch.cat([part, part])
                for part in (condition.camera, condition.image, condition.control)
            )
            self.both = transformer.prepare(torch.cat([negative_text, condition.text]), camera, image)
            self.control = control

    def __call__(
        self, latents: Float[Tensor, "B C f h W"], timestep: Float[Tensor, " B"], *, step: int, guided: bool
    ) -> Float[Tensor, "B C f h W"]:
        if not guided or self.both is None:
            return self.alone(latents, timestep, step=step, guided=False)
        with self.transformer.cache_context("both", step_index=step):
            doubled = self.transformer(
                latents.repeat(2, 1, 1, 1, 1), timestep.repeat(2), self.control, static=self.both
            )
        negative, positive = doubled.to(self.rounding).chunk(2)
        return _guided(negative, positive, self.guidance)


class TwoRanks:
    """One branch in each of two processes, which swap velocities: half the time of a guided step.

    The first rank of ``group`` computes the positive branch, the second the negative one; in a step without guidance
    the second waits. Both follow the same latents, and the result is that of :class:`TwoPasses`.
    """

    def __init__(
        self,
        transformer: JointTransformer,
        condition: Condition,
        negative_text: Tensor | None,
        guidance: float,
        rounding: torch.dtype = torch.float32,
        *,
        group: distributed.ProcessGroup,
    ) -> None:
        if distributed.get_world_size(group) != 2:
            raise ValueError(f"guidance has two branches, got {distributed.get_world_size(group)} processes for them.")
        self.transformer, self.control, self.guidance = transformer, condition.control, guidance
        self.group, self.rounding = group, rounding
        self.has_negative = negative_text is not None
        self.is_positive = distributed.get_rank(group) == 0
        self.branch = "positive" if self.is_positive else "negative"
        text = condition.text if self.is_positive or negative_text is None else negative_text
        self.static = transformer.prepare(text, condition.camera, condition.image)

    def __call__(
        self, latents: Float[Tensor, "B C f h W"], timestep: Float[Tensor, " B"], *, step: int, guided: bool
    ) -> Float[Tensor, "B C f h W"]:
        guided = guided and self.has_negative
        mine = torch.empty_like(latents, dtype=self.rounding)
        if guided or self.is_positive:
            with self.transformer.cache_context(self.branch, step_index=step):
                mine = self.transformer(latents, timestep, self.control, static=self.static)
                mine = mine.to(self.rounding).contiguous()
        if not guided:
            distributed.broadcast(mine, group=self.group, group_src=0)
            return mine
        positive, negative = torch.empty_like(mine), torch.empty_like(mine)
        distributed.all_gather([positive, negative], mine, group=self.group)
        return _guided(negative, positive, self.guidance)


def _guided(negative: Tensor, positive: Tensor, weight: float) -> Tensor:
    return negative + weight * (positive - negative)


GUIDANCE_MODES: Mapping[GuidanceMode, Guidance] = {"passes": TwoPasses, "batch": OneBatch}
"""By name: ``passes`` needs the memory of one branch, ``batch`` fewer launches. (:class:`TwoRanks` needs a group.)"""
