"""Two branches of guidance, one velocity."""

import pytest
import torch
from torch import Tensor

from gen3r.pipeline.denoise import Sampling, denoise
from gen3r.pipeline.guidance import GUIDANCE_MODES

from .denoising import STEPS, build_inputs, build_transformer, count_calls, generate

MODES = sorted(GUIDANCE_MODES)


@torch.no_grad()
def velocity(mode: str, guidance: float, *, batch: int = 2, rounding: torch.dtype = torch.float32) -> Tensor:
    noise, condition, negative = build_inputs(batch)
    velocity_of = GUIDANCE_MODES[mode](build_transformer(), condition, negative, guidance, rounding)
    return velocity_of(noise, torch.full((batch,), 500.0), step=0, guided=True)


@pytest.mark.parametrize("mode", MODES)
@torch.no_grad()
def test_the_branches_are_the_model_told_one_text_or_the_other(mode: str) -> None:
    noise, condition, negative = build_inputs(2)
    time = torch.full((2,), 500.0)
    positive, other = (
        build_transformer()(noise, time, condition.control, text, condition.camera, condition.image)
        for text in (condition.text, negative)
    )
    assert not torch.allclose(positive, other, atol=1e-2)
    torch.testing.assert_close(velocity(mode, 1.0), positive, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(velocity(mode, 0.0), other, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(velocity(mode, 3.0), other + 3.0 * (positive - other), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_rounding_is_the_type_in_which_branches_are_combined(mode: str) -> None:
    exact, rounded = velocity(mode, 3.0), velocity(mode, 3.0, rounding=torch.bfloat16)
    assert (exact.dtype, rounded.dtype) == (torch.float32, torch.bfloat16)
    assert 1e-4 < (rounded.float() - exact).norm() / exact.norm() < 2e-2


@pytest.mark.parametrize("skip", [0.0, 0.3, 1.0])
def test_one_batch_gives_what_two_passes_give(skip: float) -> None:
    passes, batch = (generate(build_transformer(), 2, mode=mode, guidance_skip=skip) for mode in ("passes", "batch"))
    torch.testing.assert_close(batch, passes, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("mode", "skip", "batches"),
    [
        ("passes", 0.0, [1] * 2 * STEPS),
        ("passes", 0.25, [1] * (2 * STEPS - 2)),
        ("passes", 1.0, [1] * STEPS),
        ("batch", 0.0, [2] * STEPS),
        ("batch", 0.25, [2] * (STEPS - 2) + [1] * 2),
        ("batch", 1.0, [1] * STEPS),
    ],
)
def test_skipped_guidance_saves_the_negative_forwards_of_the_last_steps(
    mode: str, skip: float, batches: list[int]
) -> None:
    transformer = build_transformer()
    taken = count_calls(transformer)
    generate(transformer, mode=mode, guidance_skip=skip)
    assert taken == batches


@pytest.mark.parametrize("mode", MODES)
def test_a_share_below_one_step_skips_nothing(mode: str) -> None:
    plain = generate(build_transformer(), mode=mode)
    assert torch.equal(generate(build_transformer(), mode=mode, guidance_skip=0.0), plain)
    assert torch.equal(generate(build_transformer(), mode=mode, guidance_skip=0.9 / STEPS), plain)
    assert not torch.equal(generate(build_transformer(), mode=mode, guidance_skip=1.0 / STEPS), plain)


@pytest.mark.parametrize("mode", MODES)
@torch.no_grad()
def test_guidance_of_one_or_without_a_negative_text_is_the_positive_branch(mode: str) -> None:
    transformer = build_transformer()
    taken = count_calls(transformer)
    noise, condition, negative = build_inputs()
    off = denoise(transformer, noise, condition, negative, Sampling(steps=STEPS, guidance=1.0), mode=mode)
    alone = denoise(transformer, noise, condition, None, Sampling(steps=STEPS, guidance=3.0), mode=mode)
    assert torch.equal(off, alone)
    assert taken == [1] * 2 * STEPS


@pytest.mark.parametrize(("mode", "branches"), [("passes", 2), ("batch", 1)])
def test_what_does_not_depend_on_time_is_computed_once_per_run(mode: str, branches: int) -> None:
    transformer = build_transformer()
    once = [
        count_calls(module)
        for module in (
            transformer.camera_adapter.conv,
            transformer.condition_embedder.text_embedder,
            transformer.condition_embedder.image_embedder,
            transformer.blocks[0].attn2.to_k,
            transformer.blocks[-1].attn2.add_v_proj,
        )
    ]
    queries = count_calls(transformer.blocks[0].attn2.to_q)
    generate(transformer, mode=mode)
    assert [len(calls) for calls in once] == [branches] * len(once)
    assert len(queries) == STEPS * branches
