"""Every preset builds networks that fit each other."""

import pytest
import torch

from gen3r.latents.grid import LatentGrid
from gen3r.models.adapter import GeometryAdapter
from gen3r.models.transformer import JointTransformer
from gen3r.models.vae import LinearShortcutVAE
from gen3r.models.vggt import VGGT
from gen3r.presets import PRESETS, load_preset

MILLIONS = {"tiny": 12, "small": 30}


@pytest.mark.parametrize("name", PRESETS)
def test_networks_fit_each_other(name: str) -> None:
    preset = load_preset(name)
    grid = LatentGrid(preset.frames, preset.height, preset.width, preset.vggt.network.patch_size)
    adapter = preset.adapter.network
    assert adapter.token_channels == 5 * preset.vggt.network.token_dim
    assert adapter.latent_size(grid.token_grid) == grid.latent_size
    assert adapter.latent_channels == preset.vae.network.z_dim == preset.diffusion.network.out_channels
    assert preset.diffusion.network.text_dim == preset.diffusion.text.width
    assert preset.diffusion.network.text_length == preset.diffusion.text.length
    assert preset.diffusion.conditioning.rays_at_latent_size == preset.diffusion.network.camera_downsample_first
    with torch.device("meta"):
        networks = [
            VGGT(preset.vggt.network),
            LinearShortcutVAE(preset.vae.network),
            GeometryAdapter(adapter),
            JointTransformer(preset.diffusion.network),
        ]
    total = sum(value.numel() for network in networks for value in network.parameters())
    assert total < MILLIONS[name] * 1_000_000


def test_tiny_parts_stay_within_their_budgets() -> None:
    with torch.device("meta"):
        vae = LinearShortcutVAE(load_preset("tiny").vae.network)
    assert sum(value.numel() for value in vae.parameters()) < 1_500_000


def test_an_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="tiny, small"):
        load_preset("huge")
