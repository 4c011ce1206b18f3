"""Steps of the flow from noise to clean joint latents, with or without text guidance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, cast

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from jaxtyping import Float
from torch import Tensor

from gen3r.conditioning.condition import Condition
from gen3r.models.transformer import JointTransformer
from gen3r.pipeline.few_steps import FewSteps, Scheduler, scheduler_of
from gen3r.pipeline.guidance import GUIDANCE_MODES, GuidanceMode
from gen3r.pipeline.parallel import Parallel

StepCallback = Callable[[int, int], None]
"""Called after each denoising step with the number of finished steps and their total. May raise to cancel."""
Watch = Callable[[Tensor], None]
"""Called after each denoising step, before the `StepCallback`, with the clean joint latents as estimated so far."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the flow is followed."""

    steps: int
    """Euler steps."""
    shift: float = 2.0
    """Shift of the flow-matching schedule: larger spends more steps on strong noise."""
    guidance: float = 1.0
    """Text guidance w: velocity = v_negative + w (v_positive - v_negative); 1 is off and halves the cost."""
    guidance_skip: float = 0.0
    """The last share of the steps that goes without guidance, in [0, 1]."""
    few: FewSteps | None = None
    """Noise levels and sampler of a few-step transformer, in place of the schedule's."""

    def __post_init__(self) -> None:
        if self.few is not None and self.few.steps != self.steps:
            raise ValueError(f"expected a step for each of {self.few.steps} noise levels, got {self.steps} steps.")
        if not 0.0 <= self.guidance_skip <= 1.0:
            raise ValueError(f"guidance_skip is a share of the steps in [0, 1], got {self.guidance_skip}.")

    def scheduler(self, device: torch.device | str) -> Scheduler:
        """diffusers' scheduler, with its levels set."""
        if self.few is not None:
            return scheduler_of(self.few.sampler, self.few.levels, device)
        scheduler = FlowMatchEulerDiscreteScheduler(shift=self.shift)
        scheduler.set_timesteps(self.steps, device=device)
        return scheduler

    @property
    def noisy(self) -> bool:
        """Whether steps draw noise."""
        return self.few is not None and self.few.sampler == "lcm"

    def guided(self, step: int) -> bool:
        """Whether the step of this index (from 0) computes the negative branch."""
        return self.guidance != 1.0 and step < self.steps - int(self.guidance_skip * self.steps)


def denoise(
    transformer: JointTransformer,
    noise: Float[Tensor, "B C f h W"],
    condition: Condition,
    negative_text: Float[Tensor, "B L Dt"] | None,
    sampling: Sampling,
    *,
    mode: GuidanceMode = "passes",
    parallel: Parallel | None = None,
    rounding: torch.dtype = torch.float32,
    generators: Sequence[torch.Generator] = (),
    callback: StepCallback | None = None,
    watch: Watch | None = None,
) -> Float[Tensor, "B C f h W"]:
    """Clean joint latents.

    Args:
        transformer: predicts the velocity.
        noise: standard normal, on the transformer's device.
        condition: of the positive branch.
        negative_text: text features of the other branch; None leaves guidance out.
        sampling: schedule and guidance.
        mode: how the two branches of guidance are computed (see ``pipeline.guidance``), where ``parallel`` does not
            divide them among processes.
        parallel: the processes that share the work (see ``pipeline.parallel``); all of them call this function, start
            from the first one's noise and condition, and return the same latents.
        rounding: type of the noise, of velocities and guidance, and of the latents after each step; float32 keeps
            every digit, bfloat16 is the official arithmetic.
        generators: one per clip, for samplers that draw noise in every step.
        callback: called after each step.
        watch: called with ``x - sigma v``, where the straight flow from the latents ``x`` of a step would end.

    Raises:
        ValueError: for a sampler that draws noise without generators, or among processes that share the work.
    """
    if sampling.noisy and (parallel is not None or len(generators) != len(noise)):
        raise ValueError("this sampler draws noise: it needs a generator for each clip, and one process.")
    drawn: dict[str, Any] = {"generator": list(generators)} if sampling.noisy else {}
    guidance = GUIDANCE_MODES[mode]
    if parallel is not None:
        noise, condition, negative_text = parallel.agree(noise, condition, negative_text)
        guidance = parallel.guidance or guidance
    scheduler = sampling.scheduler(noise.device)
    latents = noise.to(rounding).float()
    with nullcontext() if parallel is None else parallel.sharing(transformer, latents):
        velocity_of = guidance(transformer, condition, negative_text, sampling.guidance, rounding)
        for step, timestep in enumerate(torch.as_tensor(scheduler.timesteps, device=noise.device)):
            times = timestep.float().expand(len(latents))
            velocity = velocity_of(latents, times, step=step, guided=sampling.guided(step))
            if watch is not None:
                watch(latents - float(torch.as_tensor(scheduler.sigmas)[step]) * velocity)
            moved = cast(Tensor, scheduler.step(velocity, timestep, latents, return_dict=False, **drawn)[0])  # pyright: ignore[reportArgumentType]
            latents = moved.to(rounding).float()
            if callback is not None:
                callback(step + 1, sampling.steps)
    return latents
