"""Stage 3: a student of the joint flow that goes from noise to a scene in a few steps, without guidance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from gen3r.conditioning.condition import Condition
from gen3r.hub.few_steps import STUDENT, STUDENT_FILE
from gen3r.hub.files import write_json
from gen3r.hub.folder import save_network
from gen3r.hub.load import TRANSFORMER
from gen3r.latents.joint import split
from gen3r.models.transformer import JointTransformer
from gen3r.pipeline.few_steps import FewSteps, even_levels
from gen3r.presets.distill import DistillStage
from gen3r.train.latents.identity import ENCODERS_FILE
from gen3r.train.lora import is_updated, save_lora
from gen3r.train.objectives.base import Batch, Objective, Terms
from gen3r.train.objectives.diffusion import DiffusionObjective
from gen3r.train.objectives.distill_lessons import METHODS, Class, Lesson, Velocity, teacher_path
from gen3r.train.objectives.noise import TIMESTEPS
from gen3r.train.rng import Rng, normal


class DistillObjective(Objective):
    """Trains ``networks.transformer``, the student; its teacher and whatever makes conditions stay as they are.

    The loss is the mean squared error of the student's velocity on the lessons of one of
    ``distill_lessons.METHODS``, both halves weighed as in stage 2.

    Args:
        student: begins as a copy of the teacher's transformer.
        teacher: the trained flow; frozen here.
        stage: method, steps, guidance.
        negative: text features of the empty prompt, where guidance is distilled in.

    Raises:
        ValueError: for guidance without ``negative``.
    """

    def __init__(
        self,
        student: JointTransformer,
        teacher: DiffusionObjective,
        stage: DistillStage,
        *,
        negative: Float[Tensor, "one L Dt"] | None = None,
    ) -> None:
        super().__init__({TRANSFORMER: student})
        if stage.guidance != 1.0 and negative is None:
            raise ValueError(f"expected features of the empty prompt to distil guidance {stage.guidance}, got none.")
        self.teacher = teacher.eval().requires_grad_(False)
        self.stage, self.method = stage, METHODS[stage.method]
        self.levels = even_levels(stage.steps, teacher.stage.shift)
        self.register_buffer("negative", negative)
        if stage.target_decay and self.method.asks_student:
            for name, value in self._trained().items():
                self.running.register_buffer(_flat(name), value.detach().clone())

    def train(self, mode: bool = True) -> DistillObjective:
        """The teacher never trains."""
        super().train(mode)
        self.teacher.eval()
        return self

    def loss(self, batch: Batch, rng: Rng) -> Terms:
        """The student's mean error on some lessons on a batch."""
        batch, condition = self._told(batch, rng)
        self._follow()
        lessons = self.method.lessons(batch["clean"], rng, self._class(condition))
        pairs = [self.errors(lesson, condition) for lesson in lessons]
        appearance, geometry = (torch.stack(half).mean() for half in zip(*pairs, strict=True))
        weight = self.teacher.stage.geometry_weight if self.teacher.halves == 2 else 0.0
        total = (appearance + weight * geometry) / (1 + weight)
        return Terms(total, {"appearance": appearance.detach(), "geometry": geometry.detach()})

    def errors(self, lesson: Lesson, condition: Condition) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Mean squared velocity errors of the appearance and of the geometry half, 0 where there is no such half."""
        velocity = self.velocity(lesson.noisy, lesson.sigma, condition)
        error = (velocity.float() - lesson.velocity).square()
        if self.teacher.halves == 1:
            return error.mean(), error.new_zeros(())
        appearance, geometry = split(error)
        return appearance.mean(), geometry.mean()

    def velocity(
        self, noisy: Float[Tensor, "b c f h w2"], sigma: Float[Tensor, " b"], condition: Condition
    ) -> Float[Tensor, "b c f h w2"]:
        """What the student predicts."""
        return _velocity(self.networks[TRANSFORMER], {}, noisy, sigma, condition)

    def _class(self, condition: Condition) -> Class:
        return Class(
            teacher=self._teacher(condition),
            target=self._target(condition),
            levels=self.levels,
            shift=self.teacher.stage.shift,
            substeps=self.stage.substeps,
        )

    @torch.no_grad()
    def _told(self, batch: Batch, rng: Rng) -> tuple[Batch, Condition]:
        batch = self.teacher.encoded(batch, rng)
        return batch, self.teacher.condition(batch)

    def _teacher(self, condition: Condition) -> Velocity:
        weight, other = self.stage.guidance, None
        if weight != 1.0:
            other = condition.with_text(cast(Tensor, self.negative).expand_as(condition.text))

        @torch.no_grad()
        def velocity(noisy: Tensor, sigma: Tensor) -> Tensor:
            positive = self.teacher.velocity(condition, noisy, sigma * TIMESTEPS).float()
            if other is None:
                return positive
            negative = self.teacher.velocity(other, noisy, sigma * TIMESTEPS).float()
            return negative + weight * (positive - negative)

        return velocity

    # the student as it was --------------------------------------------------------------------------------------------

    def _trained(self) -> Mapping[str, Tensor]:
        return {name: value for name, value in self.networks[TRANSFORMER].named_parameters() if value.requires_grad}

    def _followed(self) -> dict[str, Tensor]:
        """The average under the names of the student; empty where the student itself is meant."""
        kept = dict(self.running.named_buffers())
        return {name: kept[_flat(name)] for name in self._trained() if _flat(name) in kept}

    @torch.no_grad()
    def _follow(self) -> None:
        trained = self._trained()
        for name, average in self._followed().items():
            average.lerp_(trained[name], 1 - self.stage.target_decay)

    def _target(self, condition: Condition) -> Velocity:
        followed = self._followed()

        @torch.no_grad()
        def velocity(noisy: Tensor, sigma: Tensor) -> Tensor:
            return _velocity(self.networks[TRANSFORMER], followed, noisy, sigma, condition).float()

        return velocity

    # looking, saving --------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def metrics(self, batch: Batch, rng: Rng) -> dict[str, float]:
        """Squared distance of the student's samples to the teacher's from the same noise, relative to their power.

        ``same_steps`` is that of the teacher in as few steps: what distillation is to improve on.
        """
        batch, condition = self._told(batch, rng)
        noise, given = normal(batch["clean"].shape, rng, batch["clean"].device), self._class(condition)
        end = teacher_path(noise, given)[-1][1]
        power = end.square().mean()
        student = self._walk(lambda x, sigma: self.velocity(x, sigma, condition).float(), noise, rng)
        few = self._walk(given.teacher, noise, rng)
        return {
            "total": float((student - end).square().mean() / power),
            "same_steps": float((few - end).square().mean() / power),
        }

    def _walk(self, velocity: Velocity, latents: Float[Tensor, "b c f h w2"], rng: Rng) -> Float[Tensor, "b c f h w2"]:
        """As the pipeline goes."""
        ends = (*self.levels[1:], 0.0)
        for high, low in zip(self.levels, ends, strict=True):
            speed = velocity(latents, torch.full((len(latents),), high, device=latents.device))
            if self.method.sampler == "euler":
                latents = latents + (low - high) * speed
            else:
                latents = (1 - low) * (latents - high * speed) + low * normal(latents.shape, rng, latents.device)
        return latents

    def export(self, folder: Path, batches: list[Batch]) -> None:
        """The student beside ``few_steps.json``, which says how it is sampled; nothing that passes for its teacher.

        Beside them, in ``ENCODERS_FILE``, stand the networks whose latents the transformer speaks.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if self.teacher.made_by:
            write_json(folder / ENCODERS_FILE, self.teacher.made_by)
        few = FewSteps(levels=self.levels, folder=STUDENT, sampler=self.method.sampler)
        write_json(folder / STUDENT_FILE, asdict(few))
        student = cast(JointTransformer, self.networks[TRANSFORMER])
        if is_updated(student):
            save_lora(student, folder / STUDENT)
        else:
            save_network(student, student.settings, folder / STUDENT)


def _flat(name: str) -> str:
    """A name that a buffer can have."""
    return name.replace(".", "-")


def _velocity(
    transformer: nn.Module, weights: dict[str, Tensor], noisy: Tensor, sigma: Tensor, condition: Condition
) -> Tensor:
    """What a transformer predicts, with some of its weights replaced."""
    inputs = (noisy, sigma * TIMESTEPS, condition.control)
    others = {"text": condition.text, "camera": condition.camera, "image": condition.image}
    if not weights:
        return transformer(*inputs, **others)
    return functional_call(transformer, weights, inputs, others)
