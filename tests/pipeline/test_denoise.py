"""Following the flow."""

from typing import Any

import pytest
import torch

from gen3r.models.transformer import JointTransformer
from gen3r.pipeline.denoise import Sampling, denoise

from .denoising import CONFIG, STEPS, build_inputs, build_transformer, generate


class StraightFlow(JointTransformer):
    """Knows the clean latents, which makes the flow a straight line."""

    def __init__(self, clean: torch.Tensor) -> None:
        super().__init__(CONFIG)
        self.clean = clean

    def forward(self, latents: torch.Tensor, timestep: torch.Tensor, *_args: Any, **_options: Any) -> torch.Tensor:
        return (latents - self.clean) / (timestep / 1000.0).view(-1, 1, 1, 1, 1)


@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("shift", [1.0, 2.0, 5.0])
@torch.no_grad()
def test_a_straight_flow_ends_at_the_clean_latents(steps: int, shift: float) -> None:
    noise, condition, _ = build_inputs(2)
    clean = torch.randn(noise.shape, generator=torch.Generator().manual_seed(5))
    latents = denoise(StraightFlow(clean), noise, condition, None, Sampling(steps=steps, shift=shift))
    torch.testing.assert_close(latents, clean, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_on_a_straight_flow_the_end_is_seen_from_every_step() -> None:
    noise, condition, _ = build_inputs(2)
    clean = torch.randn(noise.shape, generator=torch.Generator().manual_seed(5))
    seen: list[torch.Tensor] = []
    denoise(StraightFlow(clean), noise, condition, None, Sampling(steps=4), watch=seen.append)
    assert len(seen) == 4
    for estimate in seen:
        torch.testing.assert_close(estimate, clean, atol=1e-5, rtol=1e-5)


def test_the_callback_counts_and_may_cancel() -> None:
    seen: list[tuple[int, int]] = []
    generate(build_transformer(), callback=lambda done, total: seen.append((done, total)))
    assert seen == [(step, STEPS) for step in range(1, STEPS + 1)]

    def cancel(done: int, _total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    transformer = build_transformer()
    expected = generate(transformer)
    with pytest.raises(KeyboardInterrupt):
        generate(transformer, callback=cancel)
    assert torch.equal(generate(transformer), expected)


def test_latents_are_rounded_after_each_step_where_asked() -> None:
    exact, rounded = generate(build_transformer()), generate(build_transformer(), rounding=torch.bfloat16)
    assert rounded.dtype is torch.float32
    assert torch.equal(rounded.bfloat16().float(), rounded)
    assert 0 < (rounded - exact).norm() < 0.1 * exact.norm()


def test_batches_do_not_mix() -> None:
    transformer = build_transformer()
    noise, condition, negative = build_inputs(2)
    together = generate(transformer, 2)
    first = type(condition)(**{name: getattr(condition, name)[:1] for name in ("control", "text", "camera", "image")})
    with torch.no_grad():
        alone = denoise(transformer, noise[:1], first, negative[:1], Sampling(steps=STEPS, guidance=3.0))
    torch.testing.assert_close(together[:1], alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("skip", [-0.1, 1.1, float("nan")])
def test_a_share_of_the_steps_lies_between_none_and_all(skip: float) -> None:
    with pytest.raises(ValueError, match="share of the steps"):
        Sampling(steps=4, guidance_skip=skip)
