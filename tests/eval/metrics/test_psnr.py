import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gen3r.eval.metrics.psnr import CEILING_DB, psnr


def test_known_values() -> None:
    target = torch.full((4, 3, 8, 8), 0.5)
    assert psnr(target + 0.1, target) == pytest.approx([20.0] * 4, abs=1e-4)
    assert psnr(target + 0.01, target) == pytest.approx([40.0] * 4, abs=1e-3)


def test_equal_images_reach_the_ceiling_and_opposite_ones_zero() -> None:
    image = torch.rand(3, 8, 8)
    assert psnr(image, image).item() == CEILING_DB
    assert psnr(torch.ones(3, 8, 8), torch.zeros(3, 8, 8)).item() == pytest.approx(0.0)


def test_each_image_has_its_own_number() -> None:
    target = torch.full((2, 3, 4, 4), 0.5)
    predicted = target.clone()
    predicted[1] += 0.1
    assert psnr(predicted, target).tolist() == pytest.approx([CEILING_DB, 20.0], abs=1e-3)


def test_predictions_out_of_range_are_clamped() -> None:
    assert psnr(torch.full((3, 2, 2), 7.0), torch.ones(3, 2, 2)).item() == CEILING_DB


@settings(max_examples=25, deadline=None)
@given(st.floats(0.001, 0.2), st.floats(1.5, 4.0), st.integers(0, 2**31 - 1))
def test_more_noise_is_never_better(level: float, factor: float, seed: int) -> None:
    target = torch.full((3, 16, 16), 0.5)
    noise = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(seed)) - 0.5
    small = psnr(target + level * noise, target)
    large = psnr(target + factor * level * noise, target)
    assert large < small
    assert (small - large).item() == pytest.approx(20 * torch.log10(torch.tensor(factor)).item(), abs=1e-2)
