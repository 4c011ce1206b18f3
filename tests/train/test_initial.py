"""Networks that are found ready, and weights that training starts from: strict but for what Gen3R adds to its base."""

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from gen3r.hub.folder import save_network
from gen3r.hub.networks import ADAPTER, IMAGE_ENCODER, KINDS, TEXT_ENCODER, TRANSFORMER, VAE, VGGT_FOLDER
from gen3r.models.transformer import JointTransformer, TransformerConfig
from gen3r.train.earlier import find_parts, tokenizer_of
from gen3r.train.initial import initial_config, open_initial, start_from
from hub.standin import TRANSFORMER_JSON, build_standin, build_standin_vggt, write_json

WEIGHTS = "diffusion_pytorch_model.safetensors"
PICKLED = {"wan_vae": "Wan2.1_VAE.pth", "text_encoder": "models_t5_x.pth", "clip_image_encoder": "models_clip_x.pth"}
CONFIG = TransformerConfig(
    num_attention_heads=2, attention_head_dim=16, num_layers=2, ffn_dim=32, text_dim=24, text_length=8, freq_dim=32,
    image_dim=16, camera_downsample_first=True, camera_residual_kernel=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_standin(tmp_path_factory.mktemp("official"))


@pytest.fixture(scope="module")
def base(official: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base model as published: noisy and control channels only, the other networks pickled."""
    folder = tmp_path_factory.mktemp("base")
    weights = load_file(official / "transformer" / WEIGHTS)
    kernel = "patch_embedding.weight"
    save_file(weights | {kernel: weights[kernel][:, :32].contiguous()}, folder / WEIGHTS)
    write_json(folder / "config.json", TRANSFORMER_JSON | {"in_dim": 32})
    for part, file in PICKLED.items():
        tensors = load_file(official / part / WEIGHTS)
        torch.save({name.removeprefix("model."): tensor for name, tensor in tensors.items()}, folder / file)
    return folder


def network(seed: int = 0, **changes: object) -> JointTransformer:
    torch.manual_seed(seed)
    return JointTransformer(dataclasses.replace(CONFIG, **changes))  # type: ignore[arg-type]


def stored(transformer: JointTransformer, folder: Path) -> Path:
    save_network(transformer, transformer.settings, folder / TRANSFORMER)
    return folder


def state(transformer: JointTransformer) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in transformer.state_dict().items()}


def test_networks_are_found_in_every_layout(official: Path, base: Path, tmp_path: Path) -> None:
    assert set(find_parts([official])) == set(KINDS)
    assert set(find_parts([base])) == {TRANSFORMER, VAE, TEXT_ENCODER, IMAGE_ENCODER}
    assert set(find_parts([build_standin_vggt(tmp_path / "VGGT-1B")])) == {VGGT_FOLDER}
    run = stored(network(), tmp_path / "run" / "export").parent
    for place in (run, run / "export", run / "export" / TRANSFORMER):
        assert find_parts([place])[TRANSFORMER].config == CONFIG
    assert find_parts([tmp_path / "nothing", run, official])[TRANSFORMER].config == CONFIG  # the first wins
    assert tokenizer_of([run, official]) == official / "tokenizer"
    assert tokenizer_of([base]) is None


def test_the_tiny_model_is_found_by_its_name() -> None:
    assert set(find_parts(["tiny"])) == {VAE, VGGT_FOLDER, ADAPTER, TRANSFORMER, TEXT_ENCODER}


def test_all_weights_of_a_run_are_taken(tmp_path: Path) -> None:
    trained, fresh = network(1), network(2)
    place = stored(trained, tmp_path)
    part = open_initial(place, TRANSFORMER, CONFIG)
    started = start_from(fresh, part)
    assert all(torch.equal(value, fresh.state_dict()[name]) for name, value in trained.state_dict().items())
    assert (started.taken, started.new, started.widened) == (len(state(trained)), (), 0)


def test_the_base_model_is_widened_with_zeros(base: Path, official: Path) -> None:
    part = find_parts([official])[TRANSFORMER]
    config = initial_config(open_initial(base, TRANSFORMER, part.config), part.config)
    assert config == part.config
    fresh = JointTransformer(config)
    start_from(fresh, open_initial(base, TRANSFORMER, config))
    for name, expected in part.load().state_dict().items():
        got = fresh.state_dict()[name]
        if name == "patch_embedding.weight":
            assert torch.equal(got[:, :32], expected[:, :32])
            assert not got[:, 32:].any()
        else:
            assert torch.equal(got, expected), name


@pytest.mark.parametrize("names", ["ours", "official"])
def test_a_bare_file_is_taken_under_either_names(names: str, official: Path, tmp_path: Path) -> None:
    part = find_parts([official])[TRANSFORMER]
    file = official / "transformer" / WEIGHTS
    if names == "ours":
        save_network(part.load(), part.config, tmp_path / "own")
        file = tmp_path / "own" / "model.safetensors"
    fresh = JointTransformer(part.config)
    start_from(fresh, open_initial(file, TRANSFORMER, part.config))
    assert all(torch.equal(value, fresh.state_dict()[name]) for name, value in part.load().state_dict().items())
    with pytest.raises(ValueError, match="expected a folder to start the vae from"):
        open_initial(file, VAE, None)


def test_what_gen3r_adds_may_be_new_and_is_named(tmp_path: Path) -> None:
    base = network(1, image_dim=None, in_channels=32)
    tensors = {name: value for name, value in base.state_dict().items() if not name.startswith("camera_adapter")}
    stored(base, tmp_path)
    save_file(tensors, tmp_path / TRANSFORMER / "model.safetensors")
    fresh = network(2)
    before = state(fresh)
    part = open_initial(tmp_path, TRANSFORMER, CONFIG)
    assert initial_config(part, CONFIG) == CONFIG
    started = start_from(fresh, part)
    assert set(started.new) == {
        "add_k_proj", "add_v_proj", "camera_adapter", "condition_embedder.image_embedder", "norm_added_k",
    }  # fmt: skip
    assert started.widened == 4
    assert "last 4 input channels of the patch kernel start at zero" in started.describe("x")
    assert "new, with a random start: add_k_proj" in started.describe("x")
    for name, value in fresh.state_dict().items():
        if name == "patch_embedding.weight":
            assert torch.equal(value[:, :32], tensors[name])
            assert not value[:, 32:].any()
        else:
            assert torch.equal(value, tensors.get(name, before[name])), name


def damaged(tmp_path: Path, change: dict[str, Tensor | None]) -> Path:
    trained = network(1)
    stored(trained, tmp_path)
    tensors = {name: value for name, value in (state(trained) | change).items() if value is not None}
    save_file(tensors, tmp_path / TRANSFORMER / "model.safetensors")
    return tmp_path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"blocks.1.ffn.net.2.bias": None}, r"missing blocks\.1\.ffn\.net\.2\.bias"),
        ({"camera_adapter.conv.weight": None}, r"missing camera_adapter\.conv\.weight"),  # a part of a part
        ({"blocks.2.norm2.weight": torch.zeros(32)}, r"unexpected blocks\.2\.norm2\.weight"),
        ({"proj_out.bias": torch.zeros(3)}, r"proj_out\.bias has shape \(3,\), expected \(64,\)"),
        ({"patch_embedding.weight": torch.zeros(32, 40, 1, 2, 2)}, r"patch_embedding\.weight has shape"),
    ],
)
def test_anything_else_is_refused_before_a_weight_moves(
    tmp_path: Path, change: dict[str, Tensor | None], message: str
) -> None:
    fresh = network(2)
    before = state(fresh)
    with pytest.raises(ValueError, match=message):
        start_from(fresh, open_initial(damaged(tmp_path, change), TRANSFORMER, CONFIG))
    assert all(torch.equal(value, before[name]) for name, value in fresh.state_dict().items())


def test_another_network_is_refused(tmp_path: Path) -> None:
    part = open_initial(stored(network(), tmp_path), TRANSFORMER, CONFIG)
    with pytest.raises(ValueError, match=r"another network: num_attention_heads 2, expected 4"):
        initial_config(part, dataclasses.replace(CONFIG, num_attention_heads=4, attention_head_dim=8))
    with pytest.raises(ValueError, match=r"expected a vae to start from in .*, found only transformer"):
        open_initial(tmp_path, VAE, None)
