"""Structural similarity against closed forms, its laws, and scikit-image where it is installed."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gen3r.eval.metrics.ssim import K1, K2, WINDOW, ssim


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=20, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1))
def test_plain_images_differ_by_brightness_alone(a: float, b: float) -> None:
    expected = (2 * a * b + K1**2) / (a * a + b * b + K1**2)
    assert ssim(torch.full((3, 12, 13), a), torch.full((3, 12, 13), b)).item() == pytest.approx(expected, abs=1e-5)


@settings(max_examples=10, deadline=None)
@given(st.floats(-1, 1))
def test_contrast_about_the_same_mean_is_scored_by_structure_alone(gain: float) -> None:
    target = images(1, WINDOW, WINDOW)
    offsets = torch.arange(WINDOW).double() - WINDOW // 2
    line = torch.exp(-offsets.square() / (2 * 1.5**2))
    weights = line[:, None] * line / line.sum() ** 2
    mean = (weights * target).sum()
    variance = (weights * (target - mean).square()).sum().item()
    predicted = mean + 0.4 * gain * (target - mean)
    expected = (2 * 0.4 * gain * variance + K2**2) / (variance * (1 + (0.4 * gain) ** 2) + K2**2)
    assert ssim(predicted, target).item() == pytest.approx(expected, abs=1e-5)


def test_equal_images_score_one_and_opposite_ones_below_zero() -> None:
    target = images(2, 3, 16, 20)
    torch.testing.assert_close(ssim(target, target), torch.ones(2))
    assert (ssim(1 - target, target) < 0).all()


def test_it_is_symmetric_and_each_image_has_its_own_number() -> None:
    a, b = images(2, 2, 3, 16, 16), images(2, 2, 3, 16, 16, seed=1)
    both = ssim(a, b)
    assert both.shape == (2, 2)
    torch.testing.assert_close(both, ssim(b, a))
    torch.testing.assert_close(both[1, 0], ssim(a[1, 0], b[1, 0]))


def test_more_noise_is_worse() -> None:
    target = images(3, 24, 24)
    noise = images(3, 24, 24, seed=1) - 0.5
    scores = [ssim(0.25 + target / 2 + level * noise, 0.25 + target / 2).item() for level in (0.0, 0.05, 0.1, 0.4)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] - scores[-1] > 0.2


def test_it_is_what_scikit_image_computes() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    a, b = images(3, 30, 26), (images(3, 30, 26) + 0.2 * images(3, 30, 26, seed=1)).clamp(0, 1)
    expected = metrics.structural_similarity(
        *(image.double().numpy() for image in (a, b)),
        data_range=1.0,
        channel_axis=0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert ssim(a, b).item() == pytest.approx(float(np.float64(expected)), abs=1e-6)


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 11x11, got 10x30"):
        ssim(images(3, 10, 30), images(3, 10, 30))
    with pytest.raises(ValueError, match="not finite"):
        ssim(torch.full((3, 12, 12), torch.nan), images(3, 12, 12))
