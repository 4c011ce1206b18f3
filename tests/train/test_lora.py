"""Low-rank updates: only they move, they merge into the same function, and runs resume exactly."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from gen3r.hub.folder import load_network
from gen3r.hub.networks import TRANSFORMER
from gen3r.models.transformer import JointTransformer, TransformerConfig
from gen3r.presets.stages import LoRAConfig
from gen3r.train.lora import LORA_FILE, add_lora, load_lora, save_lora, save_transformer

CONFIG = TransformerConfig(
    num_attention_heads=2, attention_head_dim=16, num_layers=2, ffn_dim=32, text_dim=24, text_length=8, freq_dim=32,
    image_dim=16, camera_downsample_first=True, camera_residual_kernel=1,
)  # fmt: skip


def transformer() -> JointTransformer:
    torch.manual_seed(0)
    return JointTransformer(CONFIG).eval()


def inputs() -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(1)
    shapes = {
        "latents": (1, 16, 2, 4, 8),
        "control": (1, 20, 2, 4, 8),
        "text": (1, 5, 24),
        "camera": (1, 24, 2, 4, 8),
        "image": (1, 3, 16),
    }
    values = {name: torch.randn(shape, generator=rng) for name, shape in shapes.items()}
    return values | {"timestep": torch.tensor([500.0])}


def updated(**settings: Any) -> JointTransformer:
    """With updates that do something: fresh ones are zero."""
    model = transformer()
    add_lora(model, LoRAConfig(**({"rank": 4, "alpha": 8.0, "half": False} | settings)))
    rng = torch.Generator().manual_seed(2)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data = 0.05 * torch.randn(parameter.shape, generator=rng)
    return model


@torch.no_grad()
def test_fresh_updates_change_nothing_and_only_they_learn() -> None:
    model, values = transformer(), inputs()
    before = model(**values)
    add_lora(model, LoRAConfig(rank=4))
    torch.testing.assert_close(model(**values), before)
    learning = {name for name, value in model.named_parameters() if value.requires_grad}
    assert learning
    assert all(".lora_A." in name or ".lora_B." in name for name in learning)
    layers = {name.split(".lora_")[0].split(".", 2)[2] for name in learning}
    assert layers == {
        f"{attention}.{layer}" for attention in ("attn1", "attn2") for layer in ("to_q", "to_k", "to_v", "to_out.0")
    } | {"attn2.add_k_proj", "attn2.add_v_proj"}


def test_feed_forward_layers_may_be_updated_too() -> None:
    names = {name for name, value in updated(ffn=True, attention=False).named_parameters() if value.requires_grad}
    assert {name.split(".lora_")[0].split(".", 2)[2] for name in names} == {"ffn.net.0.proj", "ffn.net.2"}
    with pytest.raises(ValueError, match="attention or ffn"):
        LoRAConfig(attention=False)


@torch.no_grad()
def test_merged_and_unmerged_are_one_function(tmp_path: Path) -> None:
    model, values = updated(ffn=True), inputs()
    expected = model(**values)
    assert not torch.allclose(expected, transformer()(**values), atol=1e-3)
    save_transformer(model, tmp_path)
    merged = load_network(JointTransformer, TransformerConfig, tmp_path / TRANSFORMER).eval()
    torch.testing.assert_close(merged(**values), expected, atol=1e-5, rtol=1e-5)
    unmerged = transformer()
    load_lora(unmerged, tmp_path / "lora")
    torch.testing.assert_close(unmerged(**values), expected, atol=1e-6, rtol=1e-6)
    unmerged.disable_lora()
    torch.testing.assert_close(unmerged(**values), transformer()(**values))


def test_the_file_is_small_and_says_what_it_is(tmp_path: Path) -> None:
    model = updated()
    file = save_lora(model, tmp_path / "lora")
    tensors = load_file(file)
    learning = sum(value.numel() for value in model.parameters() if value.requires_grad)
    assert sum(value.numel() for value in tensors.values()) == learning
    assert all("lora" in name for name in tensors)
    with safe_open(file, "pt") as opened:
        assert '"r": 4' in "".join(opened.metadata().values())
    with pytest.raises(ValueError, match=r"found none; name the lora/ of an export"):
        load_lora(transformer(), tmp_path)
    assert file.name == LORA_FILE


@torch.no_grad()
def test_updates_on_half_precision_are_merged_in_full(tmp_path: Path) -> None:
    model = updated()
    expected = {name: value.clone() for name, value in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        if "lora" not in name:
            parameter.data = parameter.data.bfloat16()
    save_transformer(model, tmp_path)
    merged = load_file(tmp_path / TRANSFORMER / "model.safetensors")
    name = "blocks.0.attn1.to_q"
    a, b = (expected[f"{name}.lora_{half}.default.weight"] for half in "AB")
    torch.testing.assert_close(
        merged[f"{name}.weight"], expected[f"{name}.base_layer.weight"].bfloat16().float() + 2 * b @ a
    )
    assert merged[f"{name}.weight"].dtype == torch.float32
    assert merged["blocks.0.ffn.net.2.weight"].dtype == torch.bfloat16
    assert set(merged) == set(transformer().state_dict())
    assert dataclasses.asdict(LoRAConfig())["rank"] == 32
