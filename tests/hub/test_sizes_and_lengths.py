"""The networks of the released model, without memory for their weights, at clips they were not trained on."""

from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from gen3r.hub.networks import ADAPTER, KINDS, TRANSFORMER, VAE
from gen3r.latents.grid import LatentGrid
from gen3r.models.adapter import AdapterConfig
from gen3r.models.transformer import TransformerConfig
from gen3r.models.vae import VAEConfig

CLIPS = [(1, 112, 112), (5, 336, 224), (17, 448, 784), (49, 560, 560)]
RELEASED: dict[str, Any] = {VAE: VAEConfig(), ADAPTER: AdapterConfig(), TRANSFORMER: TransformerConfig()}


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: "x".join(map(str, clip)))
@torch.no_grad()
def test_any_clip_on_the_grid_is_accepted(clip: tuple[int, int, int]) -> None:
    grid, settings = LatentGrid(*clip), RELEASED[TRANSFORMER]
    channels, frames, rows, columns = grid.joint_shape
    with FakeTensorMode():
        networks = {kind: KINDS[kind].build(config).eval() for kind, config in RELEASED.items()}
        appearance = networks[VAE].encode(torch.empty(1, 3, grid.frames, *grid.size)).mean
        tokens = torch.empty(1, RELEASED[ADAPTER].token_channels, grid.frames, *grid.token_grid)
        geometry = networks[ADAPTER].encode(tokens).mode()
        assert appearance.shape == geometry.shape == (1, channels, frames, *grid.latent_size)
        velocity = networks[TRANSFORMER](
            torch.cat([appearance, geometry], dim=-1),
            torch.empty(1),
            torch.empty(1, settings.in_channels - channels, frames, rows, columns),
            torch.empty(1, settings.text_length, settings.text_dim),
            torch.empty(1, settings.camera_channels, frames, grid.height, 2 * grid.width),
            torch.empty(1, 257, settings.image_dim),
        )
        assert velocity.shape == (1, *grid.joint_shape)
        assert networks[VAE].decode(appearance).shape == (1, 3, grid.frames, *grid.size)
        assert networks[ADAPTER].decode(geometry).shape == tokens.shape
