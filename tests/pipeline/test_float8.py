"""Eight-bit storage: how far weights move, and that everything else stays."""

import pytest
import torch
from torch import nn
from transformers import UMT5Config, UMT5EncoderModel

from gen3r.models.transformer.precision import Float32Linear
from gen3r.pipeline.float8 import STORAGE, Float8Linear, store_in_float8, to_float8

LARGEST_ERROR = 2**-4
"""Half a step of three bits of mantissa."""


def widen(stored: torch.Tensor, scale: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return (stored.to(dtype) * scale.to(dtype)).float()


@pytest.mark.parametrize("scale", [1e-5, 2e-3, 1.0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_small_and_large_weights_keep_as_many_digits(scale: float, dtype: torch.dtype) -> None:
    """Plain float8 loses weights of 2e-3 by a quarter and cannot hold 1e4 at all."""
    weight = (torch.randn(32, 64, generator=torch.Generator().manual_seed(0)) * scale).to(dtype)
    stored, factor = to_float8(weight)
    assert stored.dtype == STORAGE
    widened = widen(stored, factor, dtype)
    assert (widened - weight.float()).norm() < 0.03 * weight.float().norm()
    visible = weight.float().abs() > 2e-3 * scale
    relative = ((widened - weight.float()).abs() / weight.float().abs())[visible]
    assert relative.max() <= LARGEST_ERROR
    assert torch.equal(widen(*to_float8(widened), dtype), widened)


def test_rows_have_scales_of_their_own() -> None:
    weight = torch.randn(2, 64, generator=torch.Generator().manual_seed(0))
    weight[1] *= 1e-6
    layer = Float8Linear(nn.Linear(64, 2))
    layer.stored, layer.scale = to_float8(weight)
    assert ((layer.weight - weight).norm(dim=1) < 0.03 * weight.norm(dim=1)).all()


@torch.no_grad()
def test_a_layer_computes_with_the_weight_it_shows() -> None:
    linear = nn.Linear(8, 4).to(torch.bfloat16)
    linear.weight[0] = 0
    layer = Float8Linear(linear)
    x = torch.randn(3, 8, dtype=torch.bfloat16)
    assert layer.weight.dtype == torch.bfloat16
    assert torch.equal(layer(x), nn.functional.linear(x, layer.weight, linear.bias))
    assert torch.equal(layer(x)[:, 0], linear.bias[:1].expand(3))
    assert [name for name, _ in layer.named_parameters()] == ["bias"]


def test_only_plain_linear_layers_that_are_not_kept_are_narrowed() -> None:
    network = nn.ModuleDict(
        {
            "mlp": nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)),
            "norm_out": nn.Linear(4, 4),
            "time": Float32Linear(4, 4),
        }
    )
    store_in_float8(network, keep=["norm"])
    kinds = [type(network["mlp"][0]), type(network["norm_out"]), type(network["time"])]
    assert kinds == [Float8Linear, nn.Linear, Float32Linear]


@torch.no_grad()
def test_text_features_of_an_encoder_in_eight_bits() -> None:
    """T5's feed-forward casts to the type of its last weight before calling that layer."""
    torch.manual_seed(0)
    config = UMT5Config(vocab_size=20, d_model=64, d_kv=16, d_ff=128, num_layers=4, num_heads=4, dropout_rate=0.0)
    encoder = UMT5EncoderModel(config).eval().to(torch.bfloat16)
    ids = torch.arange(12)[None]
    expected = encoder(input_ids=ids).last_hidden_state.float()
    store_in_float8(encoder)
    assert encoder.shared.weight.dtype == torch.bfloat16
    found = encoder(input_ids=ids).last_hidden_state
    assert found.dtype == torch.bfloat16
    assert 0 < (found.float() - expected).norm() < 0.1 * expected.norm()
