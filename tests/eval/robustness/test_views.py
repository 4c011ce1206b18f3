"""Spoiled views: what each way to spoil them does, by laws."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gen3r.eval.robustness.perturbations.base import ViewPerturbation
from gen3r.eval.robustness.perturbations.blur import DEFOCUS, SHAKE
from gen3r.eval.robustness.perturbations.jpeg import JPEG
from gen3r.eval.robustness.perturbations.light import light, srgb
from gen3r.eval.robustness.perturbations.registry import VIEW_PERTURBATIONS
from gen3r.eval.robustness.perturbations.sensor import (
    DIM_SHOT,
    LOW_LIGHT,
    RESTORED,
    SENSOR_NOISE,
    expose,
    read_variance,
)

KINDS = list(VIEW_PERTURBATIONS.values())
RANDOM = [SENSOR_NOISE, LOW_LIGHT, SHAKE]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int = 2, height: int = 32, width: int = 40) -> torch.Tensor:
    coarse = torch.rand(count, 3, 5, 6, generator=rng(1))
    return torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=True)


@pytest.mark.parametrize("kind", KINDS, ids=list(VIEW_PERTURBATIONS))
def test_spoiled_pictures_are_pictures_and_seeded(kind: ViewPerturbation) -> None:
    clean = pictures()
    assert kind(clean, kind.identity, rng()) is clean
    assert kind(clean[:0], kind.strengths[-1], rng()).shape == (0, 3, 32, 40)
    for strength in kind.measured:
        spoiled = kind(clean, strength, rng())
        assert spoiled.shape == clean.shape
        assert spoiled.dtype == clean.dtype
        assert 0 <= float(spoiled.min()) <= float(spoiled.max()) <= 1
        assert torch.equal(spoiled, kind(clean, strength, rng()))
        assert not torch.equal(spoiled, clean)
    if kind in RANDOM:
        assert not torch.equal(kind(clean, kind.strengths[-1], rng(0)), kind(clean, kind.strengths[-1], rng(3)))


@pytest.mark.parametrize("kind", KINDS, ids=list(VIEW_PERTURBATIONS))
def test_stronger_is_worse(kind: ViewPerturbation) -> None:
    clean = pictures(height=64, width=64)
    errors = [float((kind(clean, strength, rng()) - clean).square().mean()) for strength in kind.measured]
    assert errors == sorted(errors)


@given(st.floats(0.0, 1.0))
def test_light_and_srgb_are_inverse(value: float) -> None:
    assert float(srgb(light(torch.tensor(value)))) == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize("shot", SENSOR_NOISE.strengths)
def test_the_variance_is_poisson_gaussian(shot: float) -> None:
    for intensity in (0.1, 0.6):
        seen = expose(torch.full((200_000,), intensity), shot, rng())
        assert float(seen.mean()) == pytest.approx(intensity, rel=0.02)
        assert float(seen.var()) == pytest.approx(shot * intensity + read_variance(shot), rel=0.03)


def test_little_light_is_dark_and_half_made_up_for() -> None:
    grey = srgb(torch.full((1, 3, 128, 128), 0.5))
    dark = light(LOW_LIGHT(grey, 2.0, rng()))
    assert float(dark.mean()) == pytest.approx(0.5 * 2 ** (-2 * (1 - RESTORED)), rel=0.02)
    gain, arrived = 2 ** (2 * RESTORED), 0.5 / 4
    assert float(dark.var()) == pytest.approx(gain**2 * (DIM_SHOT * arrived + read_variance(DIM_SHOT)), rel=0.05)


@pytest.mark.parametrize("kind", [DEFOCUS, SHAKE])
@pytest.mark.parametrize("strength", [1e-6, 1.0, 5.0, 12.0])
def test_blur_keeps_what_is_even_and_all_light(kind: ViewPerturbation, strength: float) -> None:
    even = torch.full((1, 3, 32, 40), 0.3)
    torch.testing.assert_close(kind(even, strength, rng()), even, atol=1e-5, rtol=0)
    point = torch.zeros(1, 3, 33, 33)
    point[..., 16, 16] = 1
    assert float(light(kind(point, strength, rng())).sum()) == pytest.approx(3.0, rel=1e-3)


def test_a_point_out_of_focus_is_a_disc() -> None:
    point = torch.zeros(1, 3, 101, 101)
    point[..., 50, 50] = 1
    seen = light(DEFOCUS(point, 10.0, rng()))[0, 0]
    rows, columns = torch.meshgrid(torch.arange(101.0) - 50, torch.arange(101.0) - 50, indexing="ij")
    radius = (rows.square() + columns.square()).sqrt()
    assert float(seen[radius < 9].min()) > 0
    assert float(seen[radius > 11.5].max()) == 0


def test_jpeg_of_an_even_picture_is_even() -> None:
    even = torch.full((1, 3, 32, 40), 128 / 255)
    torch.testing.assert_close(JPEG(even, 90.0, rng()), even, atol=3 / 255, rtol=0)
    assert JPEG.label(90.0) == "quality 10"
