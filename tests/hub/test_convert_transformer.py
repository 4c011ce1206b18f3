"""Names of the joint transformer: both ways, and strict."""

import pytest
import torch

from gen3r.hub.convert.transformer import transformer_config, transformer_keys, widen_base_model
from gen3r.models.transformer import JointTransformer

OFFICIAL = {
    "model_type": "i2v", "patch_size": [1, 2, 2], "text_len": 512, "in_dim": 36, "in_channels": 32, "dim": 24,
    "hidden_size": 1536, "ffn_dim": 32, "freq_dim": 16, "text_dim": 8, "out_dim": 16, "num_heads": 2, "num_layers": 2,
    "window_size": [-1, -1], "qk_norm": True, "cross_attn_norm": True, "eps": 1e-6, "add_control_adapter": True,
    "in_dim_control_adapter": 24,
}  # fmt: skip


def model(seed: int) -> JointTransformer:
    torch.manual_seed(seed)
    return JointTransformer(transformer_config(OFFICIAL))


def test_there_and_back() -> None:
    first, second, keys = model(0), model(1), transformer_keys(2)
    official = keys.export(first)
    assert {"blocks.1.cross_attn.k_img.weight", "head.modulation", "control_adapter.conv.bias"} <= set(official)
    keys.load(second, official)
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name


def test_norms_change_places() -> None:
    keys = transformer_keys(2)
    assert keys.to_ours("blocks.1.norm3.weight") == "blocks.1.norm2.weight"
    assert keys.to_official("blocks.1.norm2.weight") == "blocks.1.norm3.weight"


def test_missing_unexpected_and_misshapen_are_all_named() -> None:
    official = transformer_keys(2).export(model(0))
    del official["blocks.0.ffn.2.bias"]
    official["blocks.7.ffn.2.bias"] = torch.zeros(1)
    official["head.head.weight"] = torch.zeros(3, 3)
    with pytest.raises(ValueError, match="JointTransformer") as error:
        transformer_keys(2).load(model(1), official)
    for name in ("missing blocks.0.ffn.2.bias", "unexpected blocks.7.ffn.2.bias", "head.head.weight has shape (3, 3)"):
        assert name in str(error.value)


def test_base_model_is_widened_by_zeros() -> None:
    official = transformer_keys(2).export(model(0))
    kernel = official["patch_embedding.weight"]
    base = official | {"patch_embedding.weight": kernel[:, :32]}
    with pytest.raises(ValueError, match=r"patch_embedding\.weight has shape"):
        transformer_keys(2).load(model(1), base)
    widened = model(1)
    transformer_keys(2).load(widened, widen_base_model(base))
    assert torch.equal(widened.patch_embedding.weight[:, :32], kernel[:, :32])
    assert not widened.patch_embedding.weight[:, 32:].any()
    assert torch.equal(widen_base_model(official)["patch_embedding.weight"], kernel)
    with pytest.raises(ValueError, match="more than the 32"):
        widen_base_model(official, 32)


def test_other_networks_are_refused() -> None:
    with pytest.raises(ValueError, match="model_type must be i2v"):
        transformer_config(OFFICIAL | {"model_type": "t2v"})
    with pytest.raises(ValueError, match=r"lacks \['eps'\]"):
        transformer_config({name: value for name, value in OFFICIAL.items() if name != "eps"})
