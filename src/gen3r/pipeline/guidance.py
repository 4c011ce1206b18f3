"""Ways to compute the two branches of text guidance: one after the other, or in one batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.conditioning.condition import Condition
from gen3r.models.transformer import JointTransformer

GuidanceMode = Literal["passes", "batch"]


class GuidedVelocity(Protocol):
    """The velocity a step follows; built once per run, so that what does not depend on time is computed once."""

    def __init__(
        self, transformer: JointTransformer, condition: Condition, negative_text: Tensor | None, guidance: float
    ) -> None: ...

    def __call__(
        self, latents: Float[Tensor, "B C f h W"], timestep: Float[Tensor, " B"], guided: bool
    ) -> Float[Tensor, "B C f h W"]:
        """``v_negative + guidance (v_positive - v_negative)`` in float32, or the positive branch alone."""
        ...


class TwoPasses:
    """Positive and negative branch one after the other: the memory of one, the default."""

    def __init__(
        self, transformer: JointTransformer, condition: Condition, negative_text: Tensor | None, guidance: float
    ) -> None:
        self.transformer, self.control, self.guidance = transformer, condition.control, guidance
        self.positive = transformer.prepare(condition.text, condition.camera, condition.image)
        self.negative = None
        if negative_text is not None:
            self.negative = transformer.prepare(negative_text, condition.camera, condition.image)

    def __call__(
        self, latents: Float[Tensor, "B C f h W"], timestep: Float[Tensor, " B"], guided: bool
    ) -> Float[Tensor, "B C f h W"]:
        with self.transformer.cache_context("positive"):
            positive = self.transformer(latents, timestep, self.control, static=self.positive).float()
        if not guided or self.negative is None:
            return positive
        with self.transformer.cache_context("negative"):
            negative = self.transformer(latents, timestep, self.control, static=self.negative).float()
        return negative + self.guidance * (positive - negative)


class OneBatch:
    """Both branches in one forward of twice the batch, negative first: faster where memory allows."""

    def __init__(
        self, transformer: JointTransformer, condition: Condition, negative_text: Tensor | None, guidance: float
    ) -> None:
        self.alone = TwoPasses(transformer, condition, None, guidance)
        self.transformer, self.guidance = transformer, guidance
        self.both = None
        if negative_text is not None:
            camera, image, control = (
                None if part is None else torch.cat([part, part])
                for part in (condition.camera, condition.image, condition.control)
            )
            self.both = transformer.prepare(torch.cat([negative_text, condition.text]), camera, image)
            self.control = control

    def __call__(
        self, latents: Float[Tensor, "B C f h W"], timestep: Float[Tensor, " B"], guided: bool
    ) -> Float[Tensor, "B C f h W"]:
        if not guided or self.both is None:
            return self.alone(latents, timestep, guided=False)
        with self.transformer.cache_context("both"):
            doubled = self.transformer(
                latents.repeat(2, 1, 1, 1, 1), timestep.repeat(2), self.control, static=self.both
            )
        negative, positive = doubled.float().chunk(2)
        return negative + self.guidance * (positive - negative)


GUIDANCE_MODES: Mapping[GuidanceMode, type[GuidedVelocity]] = {"passes": TwoPasses, "batch": OneBatch}
"""By name: ``passes`` needs the memory of one branch, ``batch`` fewer launches."""
