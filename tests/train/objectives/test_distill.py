"""Students for few steps: what their lessons say of flows that are known, and that the real objective learns them."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from gen3r.hub.few_steps import STUDENT, open_student
from gen3r.hub.networks import TRANSFORMER, Part
from gen3r.hub.stored import open_safetensors
from gen3r.hub.stream import SAME_NAMES
from gen3r.models.transformer import JointTransformer
from gen3r.pipeline.few_steps import even_levels
from gen3r.presets.distill import DistillStage
from gen3r.presets.stages import DiffusionStage, LoRAConfig
from gen3r.train.distilled import student_in
from gen3r.train.earlier import find_parts
from gen3r.train.lora import add_lora, merged_tensors, save_transformer
from gen3r.train.objectives.diffusion import DiffusionObjective
from gen3r.train.objectives.distill import DistillObjective
from gen3r.train.objectives.distill_lessons import METHODS, Class, ended, teacher_levels, teacher_path
from gen3r.train.rng import normal, sample_generators
from train.tiny_flow import LOOP, NETWORK, RandomLatents

SHIFT, SPREAD = 2.0, 0.5
SHAPE = (3, 16, 1, 2, 4)
COUPLES = ("reflow", "perflow", "progressive")


def wide(sigma: Tensor) -> Tensor:
    return sigma.view(-1, 1, 1, 1, 1)


def radius(sigma: Tensor | float) -> Tensor:
    """Standard deviation at a level, of clean numbers with deviation SPREAD: the flow scales everything by it."""
    sigma = torch.as_tensor(sigma)
    return (sigma**2 + (1 - sigma) ** 2 * SPREAD**2).sqrt()


def gaussian(noisy: Tensor, sigma: Tensor) -> Tensor:
    """The velocity of that flow, d radius / d sigma / radius x."""
    return noisy * wide((sigma - (1 - sigma) * SPREAD**2) / radius(sigma) ** 2)


def jump(noisy: Tensor, sigma: Tensor, end: Tensor) -> Tensor:
    """The velocity of the straight line to the flow's exact end."""
    return noisy * wide((1 - radius(end) / radius(sigma)) / (sigma - end))


def lessons_of(method: str, substeps: int, steps: int = 2) -> tuple[list, Class]:
    ends = torch.tensor([*even_levels(steps, SHIFT)[1:], 0.0])

    def perfect(noisy: Tensor, sigma: Tensor) -> Tensor:
        end = torch.zeros_like(sigma) if METHODS[method].sampler == "lcm" else _next(ends, sigma)
        safe = torch.where(sigma > end, sigma, end + 1.0)
        return jump(noisy, safe, end)

    given = Class(teacher=gaussian, target=perfect, levels=even_levels(steps, SHIFT), shift=SHIFT, substeps=substeps)
    clean = SPREAD * torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
    return METHODS[method].lessons(clean, sample_generators("distill", positions=range(3)), given), given


def _next(ends: Tensor, sigma: Tensor) -> Tensor:
    return torch.stack([ends[ends <= level + 1e-6].max() if level > 1e-6 else ends[-1] for level in sigma])


def test_the_teachers_levels_hold_the_students() -> None:
    given = Class(teacher=gaussian, target=gaussian, levels=even_levels(4, SHIFT), shift=SHIFT, substeps=5)
    fine = teacher_levels(given)
    assert len(fine) == 21
    assert bool((fine.diff() < 0).all())
    torch.testing.assert_close(fine[::5], torch.tensor([*given.levels, 0.0]))
    torch.testing.assert_close(fine, torch.tensor([*even_levels(20, SHIFT), 0.0]))


def test_a_path_follows_the_flow() -> None:
    given = Class(teacher=gaussian, target=gaussian, levels=even_levels(3, SHIFT), shift=SHIFT, substeps=60)
    noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    path = teacher_path(noise, given)
    assert [level for level, _ in path] == [*given.levels, 0.0]
    for level, latents in path:
        torch.testing.assert_close(latents, noise * radius(level), atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize("method", ["progressive", "consistency", "phased"])
def test_lessons_of_a_known_flow_are_its_straight_lines(method: str) -> None:
    lessons, given = lessons_of(method, substeps=60)
    ends = torch.tensor([*given.levels[1:], 0.0])
    for lesson in lessons:
        end = torch.zeros_like(lesson.sigma)
        if METHODS[method].sampler == "euler":
            end = torch.stack([ends[ends < level - 1e-6].max() for level in lesson.sigma])
        torch.testing.assert_close(lesson.velocity, jump(lesson.noisy, lesson.sigma, end), atol=4e-2, rtol=4e-2)


@pytest.mark.parametrize("method", ["reflow", "perflow"])
def test_couples_lie_on_lines_that_their_velocity_follows(method: str) -> None:
    lessons, given = lessons_of(method, substeps=3)
    noise = normal(SHAPE, sample_generators("distill", positions=range(3)), "cpu")  # as the method drew it
    path = teacher_path(noise, given)
    for step, lesson in enumerate(lessons):
        high, start = path[0 if method == "reflow" else step]
        reached = lesson.noisy + wide(high - lesson.sigma) * lesson.velocity
        torch.testing.assert_close(reached, start, atol=1e-5, rtol=1e-5)
        assert bool((lesson.sigma < high).all())


@pytest.mark.parametrize("method", METHODS)
def test_lessons_depend_on_the_seed_and_on_nothing_else_in_the_batch(method: str) -> None:
    _, given = lessons_of(method, substeps=2)
    clean = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))

    def made(items: range, seed: str) -> list:
        return METHODS[method].lessons(clean[list(items)], sample_generators(seed, positions=items), given)

    whole, again, alone = made(range(3), "a"), made(range(3), "a"), made(range(1, 2), "a")
    for first, second, single in zip(whole, again, alone, strict=True):
        assert torch.equal(first.noisy, second.noisy)
        torch.testing.assert_close(single.velocity[0], first.velocity[1])
    assert not torch.equal(whole[0].noisy, made(range(3), "b")[0].noisy)


def test_what_is_at_its_end_stays_exactly() -> None:
    latents, level = torch.randn(SHAPE), torch.full((3,), 0.4)
    assert torch.equal(ended(latents, level, level, gaussian), latents)


# the real objective ---------------------------------------------------------------------------------------------------


def objective_of(stage: DistillStage, *, lora: int | None = None) -> DistillObjective:
    torch.manual_seed(0)
    teacher = JointTransformer(NETWORK)
    torch.nn.init.normal_(teacher.proj_out.weight, std=0.3)
    student = copy.deepcopy(teacher)
    if lora is not None:
        add_lora(student, LoRAConfig(rank=lora, alpha=float(lora), half=False))
    flow = DiffusionObjective(teacher, None, DiffusionStage(network=NETWORK, text=None, loop=LOOP, shift=SHIFT))
    negative = None if stage.guidance == 1.0 else torch.zeros(1, 4, 16)
    return DistillObjective(student, flow, stage, negative=negative)


def test_a_student_that_goes_the_teachers_own_steps_has_nothing_to_learn() -> None:
    objective = objective_of(DistillStage(steps=3, substeps=1))
    before = {name: value.clone() for name, value in objective.saved_state().items()}
    optimizer = torch.optim.SGD(objective.networks.parameters(), lr=0.1)
    terms = objective(RandomLatents(2).at(0), sample_generators("loss", positions=range(2)))
    terms.total.backward()
    optimizer.step()
    assert float(terms.total.detach()) < 1e-10
    for name, value in objective.saved_state().items():
        torch.testing.assert_close(value, before[name], atol=1e-5, rtol=0)
    assert all(value.grad is None for value in objective.teacher.parameters())


@pytest.mark.parametrize("method", METHODS)
def test_a_student_learns(method: Any) -> None:
    objective = objective_of(DistillStage(method=method, steps=2, substeps=2, guidance=2.0))
    optimizer = torch.optim.Adam(objective.networks.parameters(), lr=5e-3)
    batch, losses = RandomLatents(1).at(0), []
    for _ in range(12):
        optimizer.zero_grad()
        loss = objective(batch, sample_generators("loss", positions=range(1))).total
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]
    values = objective.metrics(batch, sample_generators("look", positions=range(1)))
    assert all(math.isfinite(value) for value in values.values())


def test_guidance_is_the_teachers() -> None:
    batch, rng = RandomLatents(1).at(0), sample_generators("loss", positions=range(1))
    batch["text"] = torch.zeros_like(batch["text"])  # both branches say the same
    weak, strong = (objective_of(DistillStage(steps=2, guidance=weight)) for weight in (1.0, 4.0))
    torch.testing.assert_close(
        weak(batch, rng).total, strong(batch, sample_generators("loss", positions=range(1))).total
    )
    with pytest.raises(ValueError, match="features of the empty prompt"):
        DistillObjective(JointTransformer(NETWORK), weak.teacher, DistillStage(guidance=2.0))


def test_the_target_follows_the_student_and_is_saved() -> None:
    objective = objective_of(DistillStage(method="phased", target_decay=0.5))
    weight = dict(objective.networks[TRANSFORMER].named_parameters())["proj_out.weight"]
    before = weight.detach().clone()
    with torch.no_grad():
        weight.add_(1.0)
    objective(RandomLatents(1).at(0), sample_generators("loss", positions=range(1)))
    torch.testing.assert_close(objective.running.get_buffer("proj_out-weight"), before + 0.5)
    assert "running.proj_out-weight" in objective.saved_state()
    assert not dict(objective_of(DistillStage(method="phased", target_decay=0.0)).running.named_buffers())


@pytest.mark.parametrize("lora", [None, 2])
def test_exports_hold_the_student_and_pass_for_no_transformer(lora: int | None, tmp_path: Path) -> None:
    objective = objective_of(DistillStage(steps=4), lora=lora)
    with torch.no_grad():
        for value in objective.networks.parameters():
            if value.requires_grad:
                value.add_(0.01 * torch.randn_like(value))
    objective.export(tmp_path / "export", [])
    assert find_parts([tmp_path]) == {}
    student = cast(JointTransformer, objective.networks[TRANSFORMER])
    save_transformer(cast(JointTransformer, objective.teacher.networks[TRANSFORMER]), tmp_path)
    weights = open_safetensors(tmp_path / TRANSFORMER / "model.safetensors")
    teacher = Part(kind=TRANSFORMER, config=NETWORK, weights=weights, table=SAME_NAMES)
    few, part = student_in([tmp_path / "nothing", tmp_path], teacher)
    assert few is not None
    assert part is not None
    assert few.levels == even_levels(4, SHIFT)
    expected = student.state_dict() if lora is None else merged_tensors(student)
    for name, value in part.load().state_dict().items():
        torch.testing.assert_close(value, expected[name])
    if lora is not None:
        wrong = Part(kind=TRANSFORMER, config=NETWORK, weights={}, table=teacher.table)
        with pytest.raises(ValueError, match="missing"):
            open_student(tmp_path / "export" / STUDENT, wrong)
