"""Every preset builds networks that fit each other."""

import pytest
import torch
from torch import nn

from gen3r.conditioning.condition import ConditioningConfig
from gen3r.hub.official import OFFICIAL_SETTINGS
from gen3r.latents.grid import LatentGrid
from gen3r.models.adapter import GeometryAdapter
from gen3r.models.transformer import JointTransformer
from gen3r.models.vae import LinearShortcutVAE
from gen3r.models.vggt import VGGT
from gen3r.presets import PRESETS, load_preset
from gen3r.presets.loop import LoopConfig
from gen3r.presets.stages import AdapterStage, Preset

MILLIONS = {"tiny": 15, "small": 30}
RELEASED = (1_190_595_096, 126_892_531, 317_844_304, 1_616_337_728)
"""Parameters of the published VGGT, VAE, adapter and transformer."""


def networks(preset: Preset) -> list[nn.Module]:
    """VGGT, VAE, adapter and transformer without memory."""
    with torch.device("meta"):
        return [
            VGGT(preset.vggt.network),
            LinearShortcutVAE(preset.vae.network),
            GeometryAdapter(preset.adapter.network),
            JointTransformer(preset.diffusion.network),
        ]


def parameters(network: nn.Module) -> int:
    return sum(value.numel() for value in network.parameters())


@pytest.mark.parametrize("name", PRESETS)
def test_networks_fit_each_other(name: str) -> None:
    preset = load_preset(name)
    assert preset.name == name
    grid = LatentGrid(preset.frames, preset.height, preset.width, preset.vggt.network.patch_size)
    adapter, diffusion = preset.adapter.network, preset.diffusion
    assert adapter.token_channels == 5 * preset.vggt.network.token_dim
    assert adapter.latent_size(grid.token_grid) == grid.latent_size
    assert adapter.latent_channels == preset.vae.network.z_dim == diffusion.network.out_channels
    if diffusion.text is not None:
        assert diffusion.network.text_dim == diffusion.text.width
        assert diffusion.network.text_length == diffusion.text.length
    assert diffusion.conditioning.rays_at_latent_size == diffusion.network.camera_downsample_first


@pytest.mark.parametrize("name", MILLIONS)
def test_small_presets_are_small(name: str) -> None:
    assert sum(map(parameters, networks(load_preset(name)))) < MILLIONS[name] * 1_000_000


@pytest.mark.parametrize("name", ["full", "lora"])
def test_full_size_networks_are_the_released_ones(name: str) -> None:
    preset = load_preset(name)
    assert tuple(map(parameters, networks(preset))) == RELEASED
    assert preset.diffusion.conditioning == ConditioningConfig(**OFFICIAL_SETTINGS["conditioning"])
    for setting in ("frames", "height", "width", "steps", "guidance", "negative_prompt"):
        assert getattr(preset, setting) == OFFICIAL_SETTINGS[setting]


def test_full_follows_the_official_schedules() -> None:
    preset = load_preset("full")
    adapter, diffusion = preset.adapter.loop, preset.diffusion.loop
    assert (adapter.lr, adapter.weight_decay, adapter.betas, adapter.final_lr) == (1e-5, 1e-4, (0.9, 0.999), 0.2)
    assert (adapter.warmup, adapter.grad_clip, preset.adapter.kl_average) == (0, 0.5, None)
    assert (diffusion.lr, diffusion.weight_decay, diffusion.eps, diffusion.warmup) == (1e-5, 3e-2, 1e-10, 50)
    assert (diffusion.global_batch, preset.diffusion.shift, preset.diffusion.outlier) == (192, 2.0, 50.0)
    assert (preset.diffusion.drops.text, preset.diffusion.drops.camera) == (0.2, 0.5)
    assert preset.adapter.curriculum == ((0.0, 25), (0.5, 49))
    assert preset.diffusion.lora is None
    assert (adapter.decay_all, adapter.global_batch, adapter.precision, adapter.ema_decay) == (True, 64, "bf16", 0.0)
    assert (diffusion.betas, diffusion.final_lr, diffusion.precision, diffusion.ema_decay) == (
        (0.9, 0.999), 0.0, "bf16", 0.0,
    )  # fmt: skip
    assert (diffusion.clip_at(0), diffusion.clip_at(diffusion.steps // 10 + 1)) == (0.5, 0.25)
    assert (adapter.recompute, diffusion.recompute, adapter.seed, diffusion.seed) == (True, True, 42, 42)
    noise = preset.diffusion.noise
    assert (noise.table, noise.stratified, noise.bfloat16) == (True, True, False)


def test_full_tells_one_frame_both_ends_or_all_in_thirds() -> None:
    views = load_preset("full").diffusion.views
    shown = (views.first, views.ends, views.everything)
    assert [share / sum(shown) for share in shown] == pytest.approx([1 / 3] * 3)
    assert (views.anything, views.nothing) == (0, 0)


def test_the_limit_of_the_gradient_moves_in_the_first_tenth() -> None:
    config = LoopConfig(steps=100, batch_size=1, first_grad_clip=0.5, grad_clip=0.25)
    assert [config.clip_at(step) for step in (0, 5, 10, 99)] == [0.5, 0.375, 0.25, 0.25]
    assert LoopConfig(steps=100, batch_size=1, grad_clip=0.3).clip_at(0) == 0.3


def test_lora_trains_a_small_part_of_the_transformer() -> None:
    from gen3r.train.lora import add_lora

    stage = load_preset("lora").diffusion
    assert stage.lora is not None
    with torch.device("meta"):
        transformer = JointTransformer(stage.network)
        add_lora(transformer, stage.lora)
    trained = sum(value.numel() for value in transformer.parameters() if value.requires_grad)
    assert 0.01 < trained / RELEASED[3] < 0.02


@pytest.mark.parametrize("curriculum", [((0.5, 49),), ((0.0, 25), (0.0, 49)), ((0.0, 25), (1.0, 49))])
def test_impossible_curricula_are_refused(curriculum: tuple[tuple[float, int], ...]) -> None:
    stage = load_preset("tiny").adapter
    with pytest.raises(ValueError, match="growing shares from 0 on"):
        AdapterStage(network=stage.network, loop=stage.loop, curriculum=curriculum)


def test_tiny_parts_stay_within_their_budgets() -> None:
    with torch.device("meta"):
        vae = LinearShortcutVAE(load_preset("tiny").vae.network)
    assert parameters(vae) < 1_500_000


def test_an_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="tiny, small, full, lora"):
        load_preset("huge")
