"""The joint transformer at a size that runs in milliseconds."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from gen3r.models.transformer import JointTransformer, StaticCondition, TransformerConfig

TINY = TransformerConfig(
    num_attention_heads=2,
    attention_head_dim=12,
    num_layers=3,
    ffn_dim=32,
    text_dim=8,
    text_length=6,
    freq_dim=16,
    image_dim=None,
    camera_downsample_first=True,
    camera_residual_kernel=1,
)
WITH_IMAGE = replace(TINY, image_dim=10, camera_downsample_first=False, camera_residual_kernel=3)


def build(config: TransformerConfig) -> JointTransformer:
    torch.manual_seed(0)
    return JointTransformer(config).eval()


def inputs(config: TransformerConfig, batch: int = 2) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)

    def normal(*shape: int) -> Tensor:
        return torch.randn(batch, *shape, generator=generator)

    values = {
        "latents": normal(16, 2, 4, 8),
        "timestep": torch.linspace(100.0, 900.0, batch),
        "control": normal(20, 2, 4, 8),
        "text": normal(5, config.text_dim),
        "camera": normal(24, 2, 32, 64),
    }
    return values if config.image_dim is None else values | {"image": normal(7, config.image_dim)}


def split_static(values: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """What a step gets, and what a run gets."""
    step = {name: values[name] for name in ("latents", "timestep", "control")}
    return step, {name: value for name, value in values.items() if name not in step}


@pytest.mark.parametrize("config", [TINY, WITH_IMAGE], ids=["rays pooled", "image"])
def test_every_parameter_learns(config: TransformerConfig) -> None:
    model = build(config).train()
    values = inputs(config)
    velocity = model(**values)
    assert velocity.shape == values["latents"].shape
    velocity.square().mean().backward()
    silent = [
        name for name, parameter in model.named_parameters() if parameter.grad is None or not parameter.grad.any()
    ]
    assert not silent


@pytest.mark.parametrize("config", [TINY, WITH_IMAGE], ids=["rays pooled", "image"])
@torch.no_grad()
def test_static_condition_changes_nothing_and_saves_work(config: TransformerConfig) -> None:
    model, values = build(config), inputs(config)
    step, run = split_static(values)
    static = model.prepare(**run)
    expected = model(**values)
    assert torch.equal(model(**step, static=static), expected)
    assert torch.equal(model(**step, static=static), expected)
    later = step | {"timestep": step["timestep"] / 2}
    assert torch.equal(model(**later, static=static), model(**{**values, **later}))
    with FlopCounterMode(display=False) as all_of_it:
        model(**values)
    with FlopCounterMode(display=False) as steps_only:
        model(**step, static=static)
    assert steps_only.get_total_flops() < 0.9 * all_of_it.get_total_flops()


@torch.no_grad()
def test_static_condition_is_bound_to_its_size() -> None:
    model, values = build(TINY), inputs(TINY)
    step, run = split_static(values)
    static = model.prepare(**run)
    model(**step, static=static)
    step["latents"], step["control"] = step["latents"][:, :, :1], step["control"][:, :, :1]
    with pytest.raises(ValueError, match="prepare a new one"):
        model(**step, static=static)
    with pytest.raises(ValueError, match="not both"):
        model(**values, static=static)


def test_static_condition_refuses_training() -> None:
    model, values = build(TINY).train(), inputs(TINY)
    step, run = split_static(values)
    with pytest.raises(ValueError, match="carries no gradients"):
        model(**step, static=model.prepare(**run))


@torch.no_grad()
def test_batch_does_not_matter() -> None:
    model, values = build(WITH_IMAGE), inputs(WITH_IMAGE, batch=3)
    together = model(**values)
    for i in range(3):
        alone = model(**{name: value[i : i + 1] for name, value in values.items()})
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_each_condition_matters() -> None:
    model, values = build(WITH_IMAGE), inputs(WITH_IMAGE)
    expected = model(**values)
    for name, value in values.items():
        assert not torch.allclose(model(**{**values, name: value.flip(0)}), expected, atol=1e-4), name
    unknown = model(**{**values, "camera": torch.zeros_like(values["camera"])})
    assert not torch.allclose(unknown, model(**{**values, "camera": None}), atol=1e-6)


@torch.no_grad()
def test_missing_text_rows_are_zero_rows() -> None:
    model, values = build(TINY), inputs(TINY)
    padded = torch.nn.functional.pad(values["text"], (0, 0, 0, 1))
    torch.testing.assert_close(model(**values), model(**{**values, "text": padded}))


@torch.no_grad()
def test_rays_may_come_pooled() -> None:
    model, values = build(TINY), inputs(TINY)
    pooled = torch.nn.functional.avg_pool3d(values["camera"], (1, 8, 8))
    torch.testing.assert_close(model(**values), model(**{**values, "camera": pooled}))
    with pytest.raises(ValueError, match="camera must be"):
        build(WITH_IMAGE)(**{**inputs(WITH_IMAGE), "camera": pooled})


def test_halves_share_their_positions() -> None:
    latents = torch.empty(1, 1, 2, 4, 8)
    for shared in (True, False):
        cosine, sine = build(replace(TINY, shared_rope=shared)).rope(latents)
        for table in (cosine, sine):
            grid = table.unflatten(1, (2, 2, 4))
            left, right = grid.chunk(2, dim=3)
            assert torch.equal(left, right) is shared


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"latents": torch.zeros(2, 16, 2, 4, 6), "control": torch.zeros(2, 20, 2, 4, 6)}, "multiples of"),
        ({"control": torch.zeros(2, 19, 2, 4, 8)}, "channels"),
        ({"text": torch.zeros(2, 7, 8)}, "at most 6 rows"),
        ({"text": None}, "text features are required"),
        ({"image": torch.zeros(2, 7, 10)}, "image features are not used"),
    ],
)
def test_wrong_inputs_are_named(change: dict[str, Tensor | None], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(TINY)(**{**inputs(TINY), **change})


@pytest.mark.parametrize(
    ("setting", "value"),
    [("attention_head_dim", 7), ("freq_dim", 5), ("in_channels", 16), ("camera_residual_kernel", 2)],
)
def test_wrong_settings_are_named(setting: str, value: int) -> None:
    with pytest.raises(ValueError, match=setting):
        replace(TINY, **{setting: value})
    with pytest.raises(ValueError, match="unknown transformer settings"):
        TransformerConfig.from_dict({"heads": 3})


@torch.no_grad()
def test_saved_and_loaded(tmp_path: Path) -> None:
    model, values = build(WITH_IMAGE), inputs(WITH_IMAGE)
    model.save_pretrained(tmp_path)
    loaded = JointTransformer.from_pretrained(tmp_path)
    assert loaded.settings == WITH_IMAGE
    assert torch.equal(loaded(**values), model(**values))


@torch.no_grad()
def test_bfloat16_keeps_time_and_positions_exact() -> None:
    model, values = build(TINY), inputs(TINY)
    expected = model(**values)
    model.to(torch.bfloat16)
    embedder = model.condition_embedder
    assert embedder.time_embedder(embedder.timesteps_proj(values["timestep"])).dtype is torch.float32
    assert model.rope(values["latents"])[0].dtype is torch.float32
    output = model(**values)
    assert output.dtype is torch.float32
    assert (output - expected).norm() < 0.05 * expected.norm()
    close = torch.tensor([500.0, 500.5])
    assert not torch.equal(*embedder.timesteps_proj(close))


@torch.no_grad()
def test_autocast_keeps_a_float32_stream() -> None:
    model, values = build(TINY), inputs(TINY)
    streams: list[torch.dtype] = []
    model.blocks[-1].register_forward_hook(lambda _module, _inputs, output: streams.append(output.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        output = model(**values)
    assert streams == [torch.float32]
    assert (output - model(**values)).norm() < 0.05 * output.norm()


@torch.no_grad()
def test_half_precision_weights_keep_a_float32_stream_through_many_blocks() -> None:
    config = replace(TINY, num_layers=30)
    model, values = build(config), inputs(config)
    expected = model(**values)
    streams: list[torch.dtype] = []
    for block in model.to(torch.bfloat16).blocks:
        block.register_forward_hook(lambda _module, _inputs, output: streams.append(output.dtype))
    output = model(**values)
    assert streams == [torch.float32] * 30
    assert output.dtype is torch.float32
    assert not torch.equal(output, expected)
    assert (output - expected).norm() < 0.01 * expected.norm()
    for block in model.blocks:
        block.register_forward_pre_hook(lambda _module, inputs: (inputs[0].bfloat16(), *inputs[1:]))
    narrow = model(**values)
    assert (output - expected).norm() < 0.5 * (narrow - expected).norm()


def test_training_start_predicts_nothing_and_is_reproducible() -> None:
    first = JointTransformer(TINY).initialize_for_training(torch.Generator().manual_seed(3))
    second = JointTransformer(TINY).initialize_for_training(torch.Generator().manual_seed(3))
    for name, parameter in first.named_parameters():
        assert torch.equal(parameter, second.get_parameter(name)), name
    assert not first(**inputs(TINY)).any()


def test_static_condition_releases_what_it_projected() -> None:
    model, values = build(TINY), inputs(TINY)
    step, run = split_static(values)
    static: StaticCondition = model.prepare(**run)
    with torch.no_grad():
        model(**step, static=static)
    assert static.text is None
    assert static.camera is None
    assert static.contexts is not None
    kept = [context.keys_values for context in static.contexts]
    assert len(kept) == TINY.num_layers
    assert all(keys_values is not None and len(keys_values) == 2 for keys_values in kept)
    assert not torch.equal(kept[0][0], kept[1][0])
