"""Lazily opened files, and networks filled from them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModel, UMT5Config, UMT5EncoderModel

from gen3r.hub.convert import KeyTable
from gen3r.hub.files import ModelFolderError
from gen3r.hub.stored import changed, joined, open_pickled, open_safetensors, open_weights
from gen3r.hub.stream import Placement, build_on_meta, stream_weights
from gen3r.models.adapter import AdapterConfig, GeometryAdapter
from gen3r.models.transformer import JointTransformer, TransformerConfig
from gen3r.models.vae import LinearShortcutVAE, VAEConfig
from gen3r.models.vggt import VGGT, VGGTConfig
from hub.standin import write_weights

TRANSFORMER = TransformerConfig(
    num_attention_heads=2, attention_head_dim=16, num_layers=2, ffn_dim=32, text_dim=16, text_length=8, image_dim=12,
    camera_downsample_first=True,
)  # fmt: skip
VGGT_CONFIG = VGGTConfig(
    image_size=28, embed_dim=16, dino_depth=1, dino_heads=2, depth=4, heads=2, kept_layers=(0, 1, 2, 3),
    camera_depth=1, camera_heads=2, dense_features=8, dense_channels=(8, 8, 8, 8), dense_hidden=4,
)  # fmt: skip
CLIP = CLIPVisionConfig(
    hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14
)
UMT5 = UMT5Config(vocab_size=20, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, dropout_rate=0.0)


def transformer_output(model: nn.Module) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    return model(
        draw(1, 16, 1, 4, 8), torch.tensor([500.0]), draw(1, 20, 1, 4, 8), draw(1, 3, 16), draw(1, 24, 1, 4, 8),
        draw(1, 2, 12),
    )  # fmt: skip


CASES = {
    "transformer": (lambda: JointTransformer(TRANSFORMER), transformer_output),
    "vggt": (lambda: VGGT(VGGT_CONFIG), lambda model: model(torch.full((1, 2, 3, 28, 28), 0.3)).depth),
    "adapter": (
        lambda: GeometryAdapter(AdapterConfig(hidden=4, token_channels=20, resample_scale=2, res_blocks=1)),
        lambda model: model.decode(model.encode(torch.ones(1, 20, 1, 4, 4)).mode()),
    ),
    "vae": (
        lambda: LinearShortcutVAE(VAEConfig(base_dim=4, dim_mult=(1, 1, 1, 1), num_res_blocks=1, linear=True)),
        lambda model: model(torch.full((1, 3, 5, 16, 16), 0.2)),
    ),
    "image": (
        lambda: CLIPVisionModel(CLIP),
        lambda model: model(pixel_values=torch.full((1, 3, 28, 28), 0.3)).last_hidden_state,
    ),
    "text": (
        lambda: UMT5EncoderModel(UMT5),
        lambda model: model(input_ids=torch.tensor([[3, 4, 1]])).last_hidden_state,
    ),
}


def on_disk(network: nn.Module, folder: Path, *, sharded: bool = False) -> None:
    tensors = {name: tensor.detach().clone().contiguous() for name, tensor in network.state_dict().items()}
    half = sum(tensor.nbytes for tensor in tensors.values()) // 2
    write_weights(folder, "model", tensors, half if sharded else None)


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_streamed_networks_compute_what_built_ones_do(case: str, tmp_path: Path) -> None:
    build, output = CASES[case]
    torch.manual_seed(0)
    expected = build().eval()
    on_disk(expected, tmp_path, sharded=True)
    streamed = stream_weights(build_on_meta(build), open_weights(tmp_path, "model")).eval()
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    assert all(torch.equal(tensor, streamed.state_dict()[name]) for name, tensor in expected.state_dict().items())
    assert torch.equal(output(streamed), output(expected))
    wanted = [parameter.requires_grad for parameter in expected.parameters()]
    assert [parameter.requires_grad for parameter in streamed.parameters()] == wanted


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_half_precision_is_that_of_the_libraries(case: str, tmp_path: Path) -> None:
    build, output = CASES[case]
    torch.manual_seed(0)
    expected = build().eval()
    on_disk(expected, tmp_path)
    placement = Placement(dtype=torch.bfloat16)
    streamed = stream_weights(build_on_meta(build), open_weights(tmp_path, "model"), placement=placement).eval()
    kept = {name for name, tensor in streamed.state_dict().items() if tensor.dtype == torch.float32}
    if case == "transformer":
        assert {"scale_shift_table", "condition_embedder.time_proj.weight", "blocks.1.norm2.bias"} <= kept
        assert "blocks.1.attn1.norm_q.weight" not in kept
        assert (output(streamed) - output(expected)).abs().max() < 0.1 * output(expected).abs().max()
    else:
        assert not kept
    for name, tensor in expected.state_dict().items():
        assert torch.equal(streamed.state_dict()[name].float(), tensor if name in kept else tensor.bfloat16().float())


def test_the_layer_t5_needs_in_float32_stays_so_under_float16(tmp_path: Path) -> None:
    on_disk(UMT5EncoderModel(UMT5), tmp_path)
    network = build_on_meta(lambda: UMT5EncoderModel(UMT5))
    stream_weights(network, open_weights(tmp_path, "model"), placement=Placement(dtype=torch.float16))
    kept = {name.split(".")[-2] for name, tensor in network.state_dict().items() if tensor.dtype == torch.float32}
    assert kept == {"wo"}


def test_tied_weights_may_be_stored_once_and_stay_tied(tmp_path: Path) -> None:
    expected = UMT5EncoderModel(UMT5)
    tensors = {name: tensor.detach().clone() for name, tensor in expected.state_dict().items()}
    del tensors["encoder.embed_tokens.weight"]
    save_file(tensors, tmp_path / "model.safetensors")
    network = stream_weights(build_on_meta(lambda: UMT5EncoderModel(UMT5)), open_weights(tmp_path, "model"))
    assert network.shared.weight is network.encoder.embed_tokens.weight
    assert torch.equal(network.shared.weight, expected.shared.weight)


def test_what_does_not_fit_is_named_with_its_file(tmp_path: Path) -> None:
    tensors = {"old.weight": torch.zeros(3, 2), "old.bias": torch.zeros(4), "stranger": torch.zeros(1)}
    save_file(tensors, tmp_path / "model.safetensors")
    table = KeyTable(pairs=(("old", "0"), ("second", "1")))
    network = build_on_meta(lambda: nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1, bias=False)))
    with pytest.raises(ModelFolderError, match="3 problems") as error:
        stream_weights(network, open_weights(tmp_path, "model"), table)
    for said in (
        "missing second.weight",
        "unexpected stranger in model.safetensors",
        "old.bias in model.safetensors has shape (4,), expected (3,)",
        str(tmp_path),
    ):
        assert said in str(error.value)


def test_values_are_read_in_full_for_every_type(tmp_path: Path) -> None:
    types = [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.float8_e4m3fn]
    tensors = {str(dtype): torch.arange(6).reshape(2, 3).to(dtype) for dtype in types}
    tensors |= {"scalar": torch.tensor(2.5), "empty": torch.zeros(0, 3), "bool": torch.tensor([True, False])}
    save_file(tensors, tmp_path / "a.safetensors")
    stored = open_safetensors(tmp_path / "a.safetensors")
    for name, tensor in tensors.items():
        read = stored[name].read()
        assert (read.dtype, read.shape, stored[name].shape) == (tensor.dtype, tensor.shape, tuple(tensor.shape))
        assert torch.equal(read.float(), tensor.float())


def test_changes_wait_for_the_reading(tmp_path: Path) -> None:
    tensor = torch.arange(12.0).reshape(6, 2)
    save_file({"a": tensor}, tmp_path / "a.safetensors")
    stored = open_safetensors(tmp_path / "a.safetensors")["a"]
    thirds = [changed(stored, lambda whole, part=part: whole.chunk(3)[part]) for part in range(3)]
    assert [third.shape for third in thirds] == [(2, 2)] * 3
    again = joined(thirds, torch.cat)
    assert again.shape == (6, 2)
    assert torch.equal(again.read(), tensor)
    (tmp_path / "a.safetensors").write_bytes(b"")
    with pytest.raises(ModelFolderError, match=r"a\.safetensors ends inside a"):
        again.read()


class Payload:
    """What a hostile file would hold."""


def test_pickled_files_hold_tensors_and_nothing_else(tmp_path: Path) -> None:
    good, hostile, other = tmp_path / "good.pth", tmp_path / "hostile.pth", tmp_path / "other.pth"
    tensors = {"a": torch.arange(3.0), "b": torch.ones(2, 2, dtype=torch.bfloat16)}
    torch.save(tensors, good)
    stored = open_pickled(good)
    assert all(torch.equal(stored[name].read(), tensor) for name, tensor in tensors.items())
    torch.save({"a": Payload()}, hostile)
    torch.save({"a": [torch.zeros(1)]}, other)
    with pytest.raises(ModelFolderError, match=r"hostile\.pth cannot be read as plain weights"):
        open_pickled(hostile)
    with pytest.raises(ModelFolderError, match=r"other\.pth: expected tensors by name"):
        open_pickled(other)
    with pytest.raises(ModelFolderError, match="found none"):
        open_pickled(tmp_path / "absent.pth")
    good.write_bytes(good.read_bytes()[:-200])
    with pytest.raises(ModelFolderError, match=r"good\.pth cannot be read"):
        open_pickled(good)


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    write_weights(tmp_path, "model", {name: torch.full((64,), 1.0) for name in "abcd"}, 600)
    assert len(list(tmp_path.glob("model-*-of-00002.safetensors"))) == 2
    return tmp_path


FIRST, SECOND = (f"model-0000{number}-of-00002.safetensors" for number in (1, 2))
INDEX = "model.safetensors.index.json"


def change_index(folder: Path, **changes: str | None) -> None:
    content = json.loads((folder / INDEX).read_text())
    weight_map = content["weight_map"] | changes
    content["weight_map"] = {name: file for name, file in weight_map.items() if file is not None}
    (folder / INDEX).write_text(json.dumps(content))


DAMAGES = {
    "missing shard": (lambda folder: (folder / SECOND).unlink(), f"names files that are not there: {SECOND}"),
    "truncated shard": (
        lambda folder: (folder / FIRST).write_bytes((folder / FIRST).read_bytes()[:-8]),
        rf"{FIRST} cannot be read .* damaged",
    ),
    "empty shard": (lambda folder: (folder / FIRST).write_bytes(b""), rf"{FIRST} cannot be read .* damaged"),
    "tensor of the index is not there": (lambda folder: change_index(folder, e=FIRST), rf"{FIRST} lacks e \(1 "),
    "tensor is in another shard": (lambda folder: change_index(folder, a=SECOND), rf"{FIRST} also holds a \(1 "),
    "tensor the index does not name": (lambda folder: change_index(folder, d=None), rf"{SECOND} also holds d \(1 "),
    "file outside the folder": (lambda folder: change_index(folder, a="../model.safetensors"), "expected a weight_map"),
    "index without map": (lambda folder: (folder / INDEX).write_text("{}"), f"{INDEX}: expected a weight_map"),
    "index that is no object": (lambda folder: (folder / INDEX).write_text("[]"), f"{INDEX}: expected a JSON object"),
    "index that is no JSON": (lambda folder: (folder / INDEX).write_text("{"), f"{INDEX} is not valid JSON"),
    "no index": (lambda folder: (folder / INDEX).unlink(), r"expected weights at .*model\.safetensors"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_shards_are_named(shards: Path, damage: str) -> None:
    assert set(open_weights(shards, "model")) == set("abcd")
    change, said = DAMAGES[damage]
    change(shards)
    with pytest.raises(ModelFolderError, match=said):
        open_weights(shards, "model")


MEMORY_PROGRAM = """
import sys
from pathlib import Path
import torch
from torch import nn
from gen3r.hub.stored import changed, open_weights
from gen3r.hub.stream import Placement, build_on_meta, stream_weights

def status(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))

def plain():
    return nn.Sequential(*(nn.Linear(WIDTH, WIDTH) for _ in range(LAYERS)))

def tied():
    network = plain()
    network.insert(0, nn.Embedding(3 * WIDTH, WIDTH))
    network.append(nn.Embedding(3 * WIDTH, WIDTH))
    network[-1].weight = network[0].weight
    return network

def split(stored):
    names = {"table": stored["table"]}
    for block in range(LAYERS // 3):
        for third in range(3):
            for leaf in ("weight", "bias"):
                part = changed(stored[f"{block}.{leaf}"], lambda whole, third=third: whole.chunk(3)[third])
                names[f"{1 + 3 * block + third}.{leaf}"] = part
    return names | dict.fromkeys(("0.weight", f"{LAYERS + 1}.weight"), names.pop("table"))

LAYERS, WIDTH = 24, 1472  # 24 x 8.7 MB in float32
dtype = getattr(torch, sys.argv[2])
stored = open_weights(Path(sys.argv[1]), "model")
tensor = max(weight.nbytes for weight in stored.values())
build, named = {"plain": (plain, lambda stored: stored), "fused": (tied, split)}[sys.argv[3]]
before = status("VmHWM")
network = stream_weights(build_on_meta(build), named(stored), placement=Placement(dtype=dtype))
size = sum(parameter.nbytes for parameter in network.parameters())
print(status("VmHWM") - before, size // 1024, tensor // 1024, status("RssShmem"))
"""

WIDTH, LAYERS = 1472, 24


def plain_weights() -> dict[str, Tensor]:
    tensors = {f"{layer}.weight": torch.full((WIDTH, WIDTH), 0.5) for layer in range(LAYERS)}
    return tensors | {f"{layer}.bias": torch.zeros(WIDTH) for layer in range(LAYERS)}


def fused_weights() -> dict[str, Tensor]:
    """Three layers in one tensor each, and one table that the network has at two places."""
    tensors = {f"{block}.weight": torch.full((3 * WIDTH, WIDTH), 0.5) for block in range(LAYERS // 3)}
    tensors |= {f"{block}.bias": torch.zeros(3 * WIDTH) for block in range(LAYERS // 3)}
    return tensors | {"table": torch.full((3 * WIDTH, WIDTH), 0.25)}


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="measures with Linux's peak of this process")
@pytest.mark.parametrize(
    ("held", "wanted", "names"),
    [
        (torch.float32, "float32", "plain"),
        (torch.float32, "bfloat16", "plain"),
        (torch.bfloat16, "float32", "plain"),
        (torch.float32, "float32", "fused"),
        (torch.bfloat16, "float32", "fused"),
    ],
    ids=str,
)
def test_loading_needs_the_model_and_little_more(held: torch.dtype, wanted: str, names: str, tmp_path: Path) -> None:
    tensors = {"plain": plain_weights, "fused": fused_weights}[names]()
    write_weights(tmp_path, "model", {name: tensor.to(held) for name, tensor in tensors.items()}, 60 * 2**20)
    program = [sys.executable, "-c", MEMORY_PROGRAM, str(tmp_path), wanted, names]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    grown, size, tensor, shared = map(int, done.stdout.split())
    assert size > 90 * 1024
    assert grown > 0.8 * size  # the peak before loading was not higher than the one while loading
    assert grown < size + 2 * tensor + 12 * 1024, (grown, size, tensor)  # kB; 12 MB for the allocator's leftovers
    assert shared < 1024, shared
