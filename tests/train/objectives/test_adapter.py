"""The adapter's objective: what recomputing changes, and what it does not."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from gen3r.latents.appearance import AppearanceCodec
from gen3r.latents.codecs import VGGTAdapterCodec
from gen3r.models.adapter import AdapterConfig, GeometryAdapter
from gen3r.models.vae import LinearShortcutVAE, VAEConfig
from gen3r.models.vggt import VGGT, VGGTConfig
from gen3r.train import augment
from gen3r.train.losses.adapter import AdapterLossConfig
from gen3r.train.objectives.adapter import AdapterObjective, start_from_tokens
from gen3r.train.planning.tracing import LiveBytes
from gen3r.train.sources import PackedClips
from train.tiny_run import write_pack

VIEWS = VGGTConfig(
    image_size=56,
    patch_embed="conv",
    embed_dim=16,
    depth=4,
    heads=2,
    kept_layers=(0, 1, 2, 3),
    camera_depth=1,
    camera_heads=2,
    camera_iterations=2,
    dense_features=8,
    dense_channels=(8, 8, 8, 8),
    dense_hidden=4,
)
VIDEO = VAEConfig(base_dim=4, num_res_blocks=1)


def objective(recompute: bool, *, kl_average: float | None = None, dense_frames: int | None = None) -> AdapterObjective:
    """The same random networks each time."""
    torch.manual_seed(0)
    adapter = GeometryAdapter(AdapterConfig(hidden=4, token_channels=160, resample_scale=20, res_blocks=1))
    adapter.set_gradient_checkpointing(recompute)
    appearance = AppearanceCodec(LinearShortcutVAE(VIDEO), VIDEO.latents_mean, VIDEO.latents_std)
    return AdapterObjective(adapter, VGGT(VIEWS), appearance, AdapterLossConfig(), kl_average, dense_frames).train()


def step(made: AdapterObjective, frames: int) -> tuple[dict[str, float], dict[str, Tensor], int]:
    """Terms, gradients and the most bytes at once of one step on fixed noise."""
    images = torch.rand(1, frames, 3, 56, 56, generator=torch.Generator().manual_seed(1))
    with LiveBytes() as live:
        terms = made.loss({"images": images}, torch.Generator().manual_seed(2))
        terms.total.backward()
    gradients = {name: value.grad for name, value in made.networks.named_parameters() if value.grad is not None}
    return terms.floats(), gradients, live.peak


def test_recomputing_changes_neither_losses_nor_gradients_and_keeps_far_less() -> None:
    (terms, gradients, bytes_kept), (again, same, bytes_recomputed) = (
        step(objective(recompute), frames=9) for recompute in (False, True)
    )
    assert again == pytest.approx(terms, rel=1e-5)
    assert set(gradients) == set(same) == {name for name, _ in objective(False).networks.named_parameters()}
    for name, gradient in gradients.items():
        assert (same[name] - gradient).norm() <= 1e-5 * gradient.norm(), name
    assert bytes_recomputed < 0.6 * bytes_kept


def test_the_average_of_the_weight_starts_at_the_first_and_moves_little() -> None:
    made = objective(recompute=False, kl_average=0.9)
    weight = made.running.get_buffer("kl_weight")
    first = step(made, frames=1)[0]
    assert float(weight) == pytest.approx(first["kl_weight"])
    weight.fill_(1.0)
    second = step(made, frames=1)[0]
    assert second["kl_weight"] == pytest.approx(0.9 + 0.1 * first["kl_weight"])
    assert second["alignment"] == pytest.approx(AdapterLossConfig().align * second["kl_weight"] * second["kl"])


@torch.no_grad()
def test_a_fresh_adapter_with_a_linear_path_knows_the_tokens_it_is_for(tmp_path: Path) -> None:
    torch.manual_seed(0)
    vggt = VGGT(VIEWS)
    source = PackedClips([write_pack(tmp_path / "pack.safetensors", count=12, side=56)])
    config = AdapterConfig(
        hidden=4, token_channels=160, resample_scale=20, res_blocks=1, token_statistics=(4, 4), linear=True
    )
    before, after = GeometryAdapter(config).eval(), GeometryAdapter(config).eval()
    start_from_tokens(after, vggt, source, clips=8, seed=0)
    unseen = VGGTAdapterCodec(vggt, after).tokens(augment.video(source.get(range(12))))
    mean = unseen.mean((0, 2), keepdim=True)

    def left(adapter: GeometryAdapter) -> float:
        rebuilt = adapter.decode(adapter.encode(unseen).mode())
        return float((rebuilt - unseen).square().mean() / (mean - unseen).square().mean())

    assert left(before) > 1
    assert left(after) < 0.5


def test_statistics_are_weights_that_checkpoints_keep_and_nobody_trains() -> None:
    config = AdapterConfig(
        hidden=4, token_channels=160, resample_scale=20, res_blocks=1, token_statistics=(4, 4), linear=True
    )
    weights = dict(GeometryAdapter(config).named_parameters())
    assert {"statistics.mean", "statistics.std"} <= set(weights)
    assert not weights["statistics.mean"].requires_grad
    assert not weights["statistics.std"].requires_grad
