from dataclasses import replace

import pytest
import torch
from torch import nn

from gen3r.hub.convert import KeyTable
from gen3r.hub.convert.adapter import adapter_keys
from gen3r.hub.convert.vggt import VGGT_KEYS
from gen3r.models.adapter import AdapterConfig, GeometryAdapter
from gen3r.models.vggt import VGGT, VGGTConfig

VGGT_CONFIG = VGGTConfig(
    image_size=28,
    embed_dim=8,
    dino_depth=1,
    dino_heads=2,
    depth=4,
    heads=2,
    kept_layers=(0, 1, 2, 3),
    camera_depth=1,
    camera_heads=2,
    dense_features=8,
    dense_channels=(8, 8, 8, 8),
)
ADAPTER_CONFIG = AdapterConfig(hidden=4, token_channels=20, resample_scale=2, res_blocks=1)
CASES = pytest.mark.parametrize(
    ("build", "keys"),
    [
        (lambda: VGGT(VGGT_CONFIG), VGGT_KEYS),
        (lambda: GeometryAdapter(ADAPTER_CONFIG), adapter_keys(ADAPTER_CONFIG)),
        (
            lambda: GeometryAdapter(replace(ADAPTER_CONFIG, res_blocks=3)),
            adapter_keys(replace(ADAPTER_CONFIG, res_blocks=3)),
        ),
    ],
    ids=["vggt", "adapter", "adapter3"],
)


@CASES
def test_export_and_load_are_inverse(build, keys: KeyTable) -> None:
    source, target = build(), build()
    keys.load(target, keys.export(source))
    for name, tensor in source.state_dict().items():
        assert torch.equal(tensor, target.state_dict()[name]), name


@CASES
def test_meta_models_are_filled(build, keys: KeyTable) -> None:
    source = build()
    with torch.device("meta"):
        target = build()
    keys.load(target, keys.export(source))
    assert not any(tensor.is_meta for tensor in target.state_dict().values())


@CASES
def test_every_wrong_name_is_named(build, keys: KeyTable) -> None:
    model = build()
    official = keys.export(model)
    lost = sorted(official)[3]
    del official[lost]
    official[keys.prefix + "surplus.weight"] = torch.zeros(1)
    squeezed = sorted(official)[0]
    official[squeezed] = torch.zeros(7, 7, 7)
    with pytest.raises(ValueError, match="3 problems") as error:
        keys.load(model, official)
    for expected in (f"missing {lost}", "unexpected", "surplus.weight", f"{squeezed} has shape (7, 7, 7)"):
        assert expected in str(error.value)


def test_the_tracking_head_is_ignored_by_name() -> None:
    model = VGGT(VGGT_CONFIG)
    official = VGGT_KEYS.export(model) | {"track_head.tracker.weight": torch.zeros(3)}
    VGGT_KEYS.load(model, official)
    assert VGGT_KEYS.to_ours("track_head.tracker.weight") is None
    assert VGGT_KEYS.to_ours("track_header.weight") == "track_header.weight"


def test_adapter_files_of_the_trainer_are_read() -> None:
    model, keys = GeometryAdapter(ADAPTER_CONFIG), adapter_keys(ADAPTER_CONFIG)
    official = {name.removeprefix("model."): tensor + 1 for name, tensor in keys.export(model).items()}
    expected = {name: tensor + 1 for name, tensor in model.state_dict().items()}
    keys.load(model, official | {"mean": torch.zeros(16), "std": torch.ones(16)})
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, expected[name])


def test_prefixes_end_at_dots_and_the_longest_wins() -> None:
    table = KeyTable(pairs=(("a", "x"), ("a.b", "y")))
    assert [table.to_ours(name) for name in ("a.c", "a.b.c", "a.bc", "ab.c")] == ["x.c", "y.c", "x.bc", "ab.c"]
    assert [table.to_official(name) for name in ("x.c", "y.c", "xy.c")] == ["a.c", "a.b.c", "xy.c"]


def test_ambiguous_tables_are_refused() -> None:
    with pytest.raises(ValueError, match="one to one"):
        KeyTable(pairs=(("a", "x"), ("b", "x")))


def test_two_names_for_one_tensor_are_refused() -> None:
    table = KeyTable(pairs=(), prefix="model.")
    with pytest.raises(ValueError, match="twice"):
        table.convert(
            {"model.weight": torch.zeros(1, 1), "weight": torch.zeros(1, 1), "bias": torch.zeros(1)}, nn.Linear(1, 1)
        )
