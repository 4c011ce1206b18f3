"""The video VAE: the linear path's laws, the unclamped decoder, and equality with diffusers without the linear path."""

import dataclasses

import pytest
import torch
from torch import Tensor

from gen3r.models.vae import LinearShortcutVAE, LinearVideoCode, VAEConfig, fit_linear_shortcut

UNIT = {"latents_mean": (0.0,) * 4, "latents_std": (1.0,) * 4}
TINY = VAEConfig(
    base_dim=4,
    z_dim=4,
    dim_mult=(1, 1, 1),
    num_res_blocks=1,
    temporal_downsample=(True, True),
    is_residual=True,
    patch_size=2,
    linear=True,
    **UNIT,
)


@pytest.fixture(scope="module")
def clips() -> Tensor:
    """Smooth random video in -1..1."""
    rng = torch.Generator().manual_seed(0)
    coarse = torch.rand(16, 3, 3, 6, 6, generator=rng) * 2 - 1
    return torch.nn.functional.interpolate(coarse, size=(9, 64, 64), mode="trilinear")


def error(code: LinearVideoCode, video: Tensor) -> float:
    with torch.no_grad():
        return float((code.decode(code.encode(video)) - video).square().mean())


def test_all_components_reproduce_the_video() -> None:
    """With as many latents as a block of the first frame has values, PCA loses nothing of the first frame."""
    video = torch.rand(16, 3, 5, 64, 64) * 2 - 1
    code = LinearVideoCode(192, margin=0, reach=0)
    fit_linear_shortcut(code, video, refit_decoder=False)
    with torch.no_grad():
        torch.testing.assert_close(code.decode(code.encode(video))[:, :, 0], video[:, :, 0], atol=1e-3, rtol=0)


def test_latents_are_white_on_the_clips_they_were_fitted_on(clips: Tensor) -> None:
    code = LinearVideoCode(4, margin=4, reach=1)
    fit_linear_shortcut(code, clips)
    with torch.no_grad():
        latents = code.encode(clips)
    for part in (latents[:, :, 0], latents[:, :, 1:]):
        flat = part.transpose(0, 1).flatten(1)
        torch.testing.assert_close(flat.mean(1), torch.zeros(4), atol=1e-3, rtol=0)
        torch.testing.assert_close(torch.cov(flat, correction=0), torch.eye(4), atol=1e-2, rtol=0)


def test_more_channels_and_the_refitted_decoder_lose_less(clips: Tensor) -> None:
    errors = []
    for channels, refit in ((2, False), (4, False), (4, True)):
        code = LinearVideoCode(channels)
        fit_linear_shortcut(code, clips, refit_decoder=refit)
        errors.append(error(code, clips))
    assert errors[0] > errors[1] > errors[2]


def test_too_little_to_fit_on_is_refused(clips: Tensor) -> None:
    with pytest.raises(ValueError, match="add clips"):
        fit_linear_shortcut(LinearVideoCode(4), clips[:2])
    with pytest.raises(ValueError, match="4k"):
        fit_linear_shortcut(LinearVideoCode(4), clips[:, :, :4])


def test_a_fresh_network_is_the_linear_code(clips: Tensor) -> None:
    vae = LinearShortcutVAE(TINY)
    fit_linear_shortcut(vae.linear, clips)
    with torch.no_grad():
        torch.testing.assert_close(vae(clips[:1]), vae.linear.decode(vae.linear.encode(clips[:1])))
        assert torch.all(vae.encode(clips[:1]).logvar == TINY.logvar_start)


def test_time_is_causal(clips: Tensor) -> None:
    """A prefix of 4k+1 frames gives a prefix of the latents, and a prefix of the latents a prefix of the frames."""
    vae = trained_a_little(clips)
    with torch.no_grad():
        latents, prefix = vae.encode(clips[:1]).mean, vae.encode(clips[:1, :, :5]).mean
        torch.testing.assert_close(latents[:, :, :2], prefix, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(vae.decode(latents)[:, :, :5], vae.decode(prefix), atol=1e-5, rtol=1e-5)


def trained_a_little(clips: Tensor) -> LinearShortcutVAE:
    torch.manual_seed(0)
    vae = LinearShortcutVAE(TINY)
    fit_linear_shortcut(vae.linear, clips)
    optimizer = torch.optim.Adam(vae.parameters(), lr=1e-3)
    for _ in range(2):
        optimizer.zero_grad()
        (vae(clips[:2, :, :5, :16, :16]) - clips[:2, :, :5, :16, :16]).square().mean().backward()
        optimizer.step()
    return vae


def test_the_decoder_does_not_clamp_and_passes_gradients(clips: Tensor) -> None:
    vae = LinearShortcutVAE(TINY)
    fit_linear_shortcut(vae.linear, clips)
    latents = (20 * torch.randn(1, 4, 2, 2, 2)).requires_grad_()
    video = vae.decode(latents)
    assert video.abs().max() > 1
    video.sum().backward()
    assert latents.grad.abs().min() > 0


def test_without_the_linear_path_it_is_the_diffusers_vae() -> None:
    vae = LinearShortcutVAE(dataclasses.replace(TINY, linear=False)).eval()
    video = torch.rand(2, 3, 9, 16, 16) * 2 - 1
    with torch.no_grad():
        expected = vae.vae.encode(video).latent_dist
        posterior = vae.encode(video)
        torch.testing.assert_close(posterior.mean, expected.mean)
        torch.testing.assert_close(posterior.logvar, expected.logvar)
        torch.testing.assert_close(vae.decode(posterior.mean).clamp(-1, 1), vae.vae.decode(posterior.mean).sample)
    assert not any("linear" in name for name in vae.state_dict())


def test_sizes_off_the_grid_are_refused() -> None:
    vae = LinearShortcutVAE(TINY)
    with pytest.raises(ValueError, match="4k"):
        vae.encode(torch.zeros(1, 3, 4, 16, 16))
    with pytest.raises(ValueError, match="multiple of 8"):
        vae.encode(torch.zeros(1, 3, 5, 12, 16))


@pytest.mark.parametrize(
    "change",
    [{"patch_size": None}, {"temporal_downsample": (True, False)}, {"latents_mean": (0.0,)}, {"dim_mult": (1, 1)}],
)
def test_configs_that_make_another_grid_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        dataclasses.replace(TINY, **change)
