"""The official folder as published, and the base model of its training."""

import dataclasses
import json
import logging
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPVisionModel

from gen3r.conditioning.image import ImageEncoder, clip_pixels_untruncated
from gen3r.hub.base import GEN3R_CHANNELS, open_base_model
from gen3r.hub.convert.wan import image_encoder_keys, split_image_encoder
from gen3r.hub.entries import MODELS
from gen3r.hub.files import ModelFolderError
from gen3r.hub.layout import ModelFolder, detect_layout
from gen3r.hub.load import load_networks
from gen3r.hub.networks import Networks
from gen3r.hub.official import OFFICIAL_PARTS, open_official_part, open_official_weights
from gen3r.hub.registry import fetch_model
from gen3r.hub.stored import StoredTensor
from gen3r.hub.stream import Placement
from gen3r.models.adapter import AdapterConfig
from gen3r.models.transformer import JointTransformer, TransformerConfig
from gen3r.models.vae import VAEConfig
from gen3r.models.vggt import VGGTConfig
from gen3r.pipeline import Gen3RPipeline, PipelineConfig
from hub.conftest import Serve
from hub.standin import (
    ADAPTER_CONFIG,
    ADAPTER_JSON,
    FRAMES,
    IMAGE_BLOCKS,
    IMAGE_WIDTH,
    SHIFT,
    SIDE,
    TEXT_JSON,
    TRANSFORMER_JSON,
    VAE_CONFIG,
    VGGT_CONFIG,
    build_standin,
    build_standin_vggt,
    write_json,
)
from parity._goldens import manifest

DOCUMENT = Path(__file__).parents[2] / "docs" / "models.md"


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_standin(tmp_path_factory.mktemp("official"))


@pytest.fixture(scope="module")
def networks(standin: Path) -> Networks:
    return load_networks(standin, PipelineConfig)[0]


@pytest.fixture
def copy(standin: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(standin, tmp_path / "copy"))


def tensors_of(networks: Networks) -> dict[str, torch.Tensor]:
    parts = (networks.appearance, networks.geometry, networks.transformer, networks.text, networks.image)
    return {
        f"{number}.{name}": tensor
        for number, part in enumerate(parts)
        if part is not None
        for name, tensor in part.state_dict().items()
    }


def assert_equal(first: Networks, second: Networks) -> None:
    ours, theirs = tensors_of(first), tensors_of(second)
    assert list(ours) == list(theirs)
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_sizes_are_read_off_the_files(networks: Networks) -> None:
    assert networks.appearance.vae.config == VAE_CONFIG
    assert networks.geometry.vggt.config == VGGT_CONFIG
    assert networks.geometry.adapter.config == ADAPTER_CONFIG
    sizes = networks.transformer.settings
    assert (sizes.dim, sizes.in_channels, sizes.image_dim) == (TRANSFORMER_JSON["dim"], 36, IMAGE_WIDTH)
    assert networks.text.encoder.config.num_heads == TEXT_JSON["num_heads"]
    assert networks.image is not None
    assert len(networks.image.vision.encoder.layers) == IMAGE_BLOCKS - 1


FULL_SIZE = {
    "vae": ("wan_vae.full.json", {}, VAEConfig()),
    "vggt": ("vggt_1b.json", {"img_size": 518, "patch_size": 14, "embed_dim": 1024}, VGGTConfig()),
    "geometry_adapter": (
        "geo_adapter.json",
        ADAPTER_JSON | {"hidden_dim": 128, "input_dim": 10240, "output_dim": 10240},
        AdapterConfig(),
    ),
    "transformer": (
        "wan_transformer_gen3r.full.json",
        TRANSFORMER_JSON
        | {"dim": 1536, "ffn_dim": 8960, "freq_dim": 256, "num_heads": 12, "num_layers": 30, "text_dim": 4096},
        TransformerConfig(),
    ),
    "text_encoder": ("umt5_xxl_encoder.full.json", {"vocab": 256384, "dim": 4096, "dim_attn": 4096}, None),
    "image_encoder": ("clip_xlm_roberta_vit_h14.full.json", {}, None),
}


@pytest.mark.parametrize("kind", FULL_SIZE)
def test_full_size_names_and_shapes_give_the_full_size_networks(kind: str) -> None:
    file, values, expected = FULL_SIZE[kind]
    weights = {
        name: StoredTensor(
            name=name, file=Path(file), offset=0, shape=shape, dtype=torch.bfloat16, read=lambda: torch.empty(0)
        )
        for name, shape in manifest(file).items()
    }
    part = OFFICIAL_PARTS[kind].open(kind, values, weights, Path(file))
    assert expected is None or part.config == expected
    heads = {"text_encoder": ("num_heads", 64), "image_encoder": ("num_attention_heads", 16)}
    if kind in heads:
        name, count = heads[kind]
        assert getattr(part.config, name) == count
    counts = {"text_encoder": 5_680_910_336, "image_encoder": 611_086_080, "transformer": 1_616_337_728}
    ours = part.our_weights()
    if kind in counts:
        assert sum(torch.Size(tensor.shape).numel() for tensor in ours.values()) == counts[kind]
    official = OFFICIAL_PARTS[kind]
    back = official.fuse({part.table.to_official(name): tensor for name, tensor in ours.items()})
    whole = {**back, **official.unread(part, weights)}
    assert {name: tensor.shape for name, tensor in whole.items()} == manifest(file)


def test_settings_are_those_of_the_released_weights(standin: Path) -> None:
    settings = load_networks(standin, PipelineConfig)[1]
    assert (settings.frames, settings.height, settings.width, settings.steps) == (49, 560, 560, 50)
    assert (settings.guidance, settings.negative_prompt, settings.shift) == (5.0, "bad detailed", SHIFT)
    assert (settings.text_length, settings.conditioning.normalize_scale) == (512, False)


def test_the_shift_is_read(copy: Path) -> None:
    path = copy / "scheduler/scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"shift": 3.5}))
    assert load_networks(copy, PipelineConfig)[1].shift == 3.5


@torch.no_grad()
def test_image_features_are_those_of_the_whole_tower(standin: Path, networks: Networks) -> None:
    assert networks.image is not None
    weights = load_file(standin / "clip_image_encoder/diffusion_pytorch_model.safetensors")
    config = networks.image.vision.config.to_dict() | {"num_hidden_layers": IMAGE_BLOCKS}
    whole = CLIPVisionModel(type(networks.image.vision.config).from_dict(config)).eval()
    image_encoder_keys(IMAGE_BLOCKS).load(whole, split_image_encoder(weights))
    pictures = torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    expected = ImageEncoder(whole, clip_pixels_untruncated).encode(pictures)
    assert torch.equal(networks.image.encode(pictures), expected)


@pytest.mark.parametrize("vggt_inside", [True, False])
def test_shards_and_companions_hold_the_same_networks(vggt_inside: bool, networks: Networks, tmp_path: Path) -> None:
    folder = build_standin(tmp_path / "sharded", vggt=vggt_inside, max_shard_bytes=400_000)
    assert len(list(folder.glob("transformer/*.safetensors"))) > 1
    companion = build_standin_vggt(tmp_path / "VGGT-1B", track_head=True)
    model = ModelFolder(path=folder, layout=detect_layout(folder), companions={"vggt": companion})
    assert_equal(load_networks(model, PipelineConfig)[0], networks)


def test_what_is_not_read_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = build_standin(tmp_path / "official", vggt=False)
    build_standin_vggt(folder / "vggt", track_head=True)
    with caplog.at_level(logging.INFO, logger="gen3r"):
        load_networks(folder, PipelineConfig)
    told = {record.getMessage(): record.levelno for record in caplog.records if record.name == "gen3r.hub.official"}
    modules = f"log_scale, textual, visual.head, visual.post_norm, visual.transformer.{IMAGE_BLOCKS - 1}"
    assert told == {
        "vggt: 2 tensors of track_head are not used": logging.WARNING,
        f"image_encoder: 21 tensors of {modules} are not used": logging.INFO,
    }


@torch.no_grad()
def test_a_scene_comes_out_in_float32_and_bfloat16(standin: Path) -> None:
    half = {kind: Placement(dtype=torch.bfloat16) for kind in ("vae", "transformer", "text_encoder", "image_encoder")}
    picture = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    scenes = []
    for placements in ({}, half):
        pipeline = Gen3RPipeline(*load_networks(standin, PipelineConfig, placements))
        scenes.append(pipeline(picture, "a red ball", frames=FRAMES, size=(SIDE, SIDE), steps=2, generator=0))
    assert pipeline.transformer.patch_embedding.weight.dtype == torch.bfloat16
    full, rounded = scenes
    assert full.depth.isfinite().all()
    assert (full.rgb.float() - rounded.rgb.float()).abs().mean() < 0.05 * 255


def test_what_has_no_use_is_never_read(standin: Path, networks: Networks) -> None:
    def fail() -> torch.Tensor:
        raise AssertionError("read")

    model, official = ModelFolder(path=standin, layout="official"), OFFICIAL_PARTS["image_encoder"]
    weights = open_official_weights(model, "image_encoder")
    unread = official.unread(open_official_part(model, "image_encoder"), weights)
    assert {"model.textual.token_embedding.weight", "model.visual.head", "model.visual.post_norm.weight"} <= set(unread)
    assert f"model.visual.transformer.{IMAGE_BLOCKS - 1}.attn.to_qkv.weight" in unread
    guarded = weights | {name: dataclasses.replace(tensor, read=fail) for name, tensor in unread.items()}
    vision = official.open("image_encoder", {}, guarded, standin / "clip_image_encoder/config.json").load()
    assert networks.image is not None
    expected = networks.image.vision.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in vision.state_dict().items())


def test_placements_of_unknown_networks_are_refused(standin: Path) -> None:
    with pytest.raises(ValueError, match=r"expected placements of vae, .*got clip"):
        load_networks(standin, PipelineConfig, {"clip": Placement()})


def edit_json(relative: str, change: Callable[[dict], object]) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        values = json.loads((folder / relative).read_text())
        change(values)
        write_json(folder / relative, values)

    return edit


def edit_weights(relative: str, change: Callable[[dict], object]) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        tensors = load_file(folder / relative)
        change(tensors)
        save_file(tensors, folder / relative)

    return edit


WEIGHTS = "diffusion_pytorch_model.safetensors"
DAMAGES = {
    "no vggt": (lambda folder: shutil.rmtree(folder / "vggt"), r"copy/vggt, found no such folder; .*facebook/VGGT-1B"),
    "no adapter": (lambda folder: shutil.rmtree(folder / "geo_adapter"), "expected a folder .*geo_adapter, found none"),
    "no scheduler": (lambda folder: shutil.rmtree(folder / "scheduler"), r"scheduler_config\.json"),
    "no tokenizer": (lambda folder: (folder / "tokenizer/tokenizer.json").unlink(), r"tokenizer\.json, found none"),
    "no config": (lambda folder: (folder / "wan_vae/config.json").unlink(), r"expected config\.json in .*wan_vae"),
    "no weights": (lambda folder: (folder / "text_encoder" / WEIGHTS).unlink(), f"text_encoder/{WEIGHTS}"),
    "half the weights": (
        lambda folder: (folder / "vggt/model.safetensors").write_bytes(b"0" * 1000),
        r"vggt/model\.safetensors cannot be read .* damaged",
    ),
    "config without a key": (
        edit_json("transformer/config.json", lambda values: values.pop("eps")),
        r"transformer/config\.json: .*lacks \['eps'\]",
    ),
    "adapter config without a key": (
        edit_json("geo_adapter/config.json", lambda values: values.pop("hidden_dim")),
        r"geo_adapter/config\.json: .*lacks \['hidden_dim'\]",
    ),
    "scheduler without shift": (
        edit_json("scheduler/scheduler_config.json", lambda values: values.pop("shift")),
        r"scheduler_config\.json lacks the schedule's shift",
    ),
    "config of another size": (
        edit_json("text_encoder/config.json", lambda values: values.update(dim=4096)),
        r"text_encoder/config\.json: the config says dim is 4096, the tensors 32",
    ),
    "config of another depth": (
        edit_json("transformer/config.json", lambda values: values.update(num_layers=3)),
        r"copy/transformer does not fit JointTransformer .*\n  missing blocks\.2\.",
    ),
    "tensor of another shape": (
        edit_weights(
            f"wan_vae/{WEIGHTS}", lambda tensors: tensors.update({"model.encoder.head.2.bias": torch.zeros(5)})
        ),
        rf"model\.encoder\.head\.2\.bias in {WEIGHTS} has shape \(5,\), expected \(32,\)",
    ),
    "tensor missing": (
        edit_weights(f"geo_adapter/{WEIGHTS}", lambda tensors: tensors.pop("model.conv1.bias")),
        r"copy/geo_adapter does not fit .*\n  missing model\.conv1\.bias",
    ),
    "tensor too many": (
        edit_weights("vggt/model.safetensors", lambda tensors: tensors.update(extra=torch.zeros(1))),
        r"unexpected extra in model\.safetensors",
    ),
    "tensor that sizes are read off": (
        edit_weights(f"text_encoder/{WEIGHTS}", lambda tensors: tensors.pop("token_embedding.weight")),
        r"expected a tensor token_embedding\.weight",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named(copy: Path, damage: str) -> None:
    change, said = DAMAGES[damage]
    change(copy)
    with pytest.raises(ModelFolderError, match=said):
        load_networks(copy, PipelineConfig)


def test_folders_of_no_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match="got a folder with neither"):
        detect_layout(tmp_path)
    with pytest.raises(ModelFolderError, match="got no such folder"):
        detect_layout(tmp_path / "absent")
    (tmp_path / "run" / "export").mkdir(parents=True)
    with pytest.raises(ModelFolderError, match=r"is a training run; .*gen3r models assemble"):
        detect_layout(tmp_path / "run")
    (tmp_path / "transformer").mkdir()
    (tmp_path / "geo_adapter").mkdir()
    assert detect_layout(tmp_path) == "official"


@pytest.fixture(scope="module")
def base(standin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The training init as published: one folder, narrower patch kernel, the other networks pickled."""
    folder = tmp_path_factory.mktemp("base")
    weights = load_file(standin / "transformer" / WEIGHTS)
    kernel = "patch_embedding.weight"
    save_file(weights | {kernel: weights[kernel][:, :32].contiguous()}, folder / WEIGHTS)
    write_json(folder / "config.json", TRANSFORMER_JSON | {"in_dim": 32})
    pickled = {
        "wan_vae": "Wan2.1_VAE.pth",
        "text_encoder": "models_t5_umt5-xxl-enc-bf16.pth",
        "clip_image_encoder": "models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth",
    }
    for part, file in pickled.items():
        tensors = load_file(standin / part / WEIGHTS)
        torch.save({name.removeprefix("model."): tensor for name, tensor in tensors.items()}, folder / file)
    return folder


def test_the_base_model_starts_the_training(base: Path, networks: Networks) -> None:
    parts = open_base_model(base)
    started = parts["transformer"].load()
    kernel = "patch_embedding.weight"
    assert dataclasses.asdict(started.settings) == dataclasses.asdict(networks.transformer.settings)
    for name, tensor in networks.transformer.state_dict().items():
        expected = tensor.clone()
        if name == kernel:
            expected[:, 32:] = 0
        assert torch.equal(started.state_dict()[name], expected), name
    assert networks.image is not None
    loaded = {"vae": networks.appearance.vae, "text_encoder": networks.text.encoder}
    for kind, network in (loaded | {"image_encoder": networks.image.vision}).items():
        state = parts[kind].load().state_dict()
        assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


def test_the_document_makes_the_start_of_training(serve: Serve, base: Path, tmp_path: Path) -> None:
    repository = str(MODELS["wan2.1-fun-1.3b-camera"].repository)
    published = Path(shutil.copytree(base, tmp_path / "published"))
    write_json(published / "google/umt5-xxl/tokenizer.json", {})
    serve({repository: published})
    fetch_model("wan2.1-fun-1.3b-camera")
    (snippet,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), flags=re.DOTALL)
    made: dict[str, Any] = {}
    exec(compile(snippet, str(DOCUMENT), "exec"), made)
    kernel = made["transformer"].patch_embedding.weight
    assert isinstance(made["transformer"], JointTransformer)
    assert kernel.shape[1] == GEN3R_CHANNELS
    assert kernel[:, :32].abs().sum() > 0
    assert (kernel[:, 32:] == 0).all()
    assert set(made["parts"]) == {"transformer", "vae", "text_encoder", "image_encoder"}


def test_incomplete_base_models_are_refused(base: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(base, tmp_path / "base"))
    (folder / "Wan2.1_VAE.pth").unlink()
    with pytest.raises(ModelFolderError, match=r"expected one file Wan\*_VAE\.pth in .*found 0"):
        open_base_model(folder)
    (folder / WEIGHTS).unlink()
    with pytest.raises(ModelFolderError, match=rf"expected weights at .*{WEIGHTS}"):
        open_base_model(folder)
