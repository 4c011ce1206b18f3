"""Runs of stages 1 and 2 on stored datasets with published networks, from the pictures to an export."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from gen3r.hub.networks import ADAPTER, TRANSFORMER, VAE, VGGT_FOLDER
from gen3r.models.transformer import JointTransformer
from gen3r.presets import load_preset
from gen3r.presets.stages import LoRAConfig, Preset
from gen3r.train.earlier import find_parts
from gen3r.train.hooks import read_log
from gen3r.train.lora import load_lora
from gen3r.train.stages import train
from pipeline.conftest import build_pipeline
from prepare.clip_folders import write_dataset
from prepare.encoding.conftest import config_of, encode
from train.tiny_run import loop_config

STEPS = 4
LORA = "lora/pytorch_lora_weights.safetensors"


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Hashes of networks are not kept in the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def save_model(folder: Path, seed: int = 0) -> None:
    """With the conditioning of the released weights."""
    told = {"image_pixels": "untruncated", "normalize_scale": False}
    build_pipeline(seed, image_dim=16, **told).save_pretrained(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the released kind: text and image encoders that are not trained."""
    folder = tmp_path_factory.mktemp("models") / "random"
    save_model(folder)
    return folder


@pytest.fixture(scope="module")
def preset(model: Path) -> Preset:
    """``full`` with the sizes of ``model``: 5 frames of 112x112, and a single one at first."""
    parts, full = find_parts([model]), load_preset("full")
    loop = loop_config(STEPS, checkpoint_every=2, ema_decay=0.0, batch_size=1)
    full = replace(full, frames=5, height=112, width=112)
    adapter = replace(full.adapter, network=parts[ADAPTER].config, curriculum=((0.0, 1), (0.5, 5)), loop=loop)
    diffusion = replace(
        full.diffusion,
        network=parts[TRANSFORMER].config,
        loop=loop,
        conditioning=replace(full.diffusion.conditioning, rays_at_latent_size=True),
    )
    return replace(
        full,
        vggt=replace(full.vggt, network=parts[VGGT_FOLDER].config),
        vae=replace(full.vae, network=parts[VAE].config),
        adapter=adapter,
        diffusion=diffusion,
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "clips"
    return write_dataset(folder, 3, frames=7, depth=False)


def resumed(run: Path, place: Path) -> Path:
    """A run that was cut off after its first checkpoint."""
    shutil.copytree(run / "checkpoints" / "step-000000002", place / "checkpoints" / "step-000000002")
    return place


def assert_same_files(first: Path, second: Path) -> None:
    one, other = load_file(first), load_file(second)
    assert one.keys() == other.keys()
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def stored_names(checkpoint: Path) -> set[str]:
    names: set[str] = set()
    for file in checkpoint.glob("*.safetensors"):
        with safe_open(file, "pt") as opened:
            names |= set(opened.keys())
    return names


@pytest.mark.slow
def test_stage_1_without_depth_lengthens_its_clips_and_resumes_exactly(
    preset: Preset, model: Path, data: Path, tmp_path: Path
) -> None:
    validation = write_dataset(tmp_path / "held", 1, frames=5, depth=False, split="validation")
    said = Console(record=True, width=200, quiet=True)
    options: dict[str, Any] = {
        "data": [data],
        "validation": [validation],
        "networks": [model],
        "overrides": {"validate_every": STEPS, "validation_batches": 1, "sample_every": STEPS},
    }
    train("adapter", preset, tmp_path / "whole", console=said, **options)
    log = read_log(tmp_path / "whole")
    measured = next(line for line in log if any(name.startswith("val/") for name in line))
    assert {"val/vggt_degrees", "val/mode_degrees", "val/kl"} <= set(measured)
    assert not any("absrel" in name for name in measured)
    assert list((tmp_path / "whole" / "samples").glob("*.png"))
    train("adapter", preset, resumed(tmp_path / "whole", tmp_path / "broken"), resume=True, **options)
    weights = f"export/{ADAPTER}/model.safetensors"
    assert_same_files(tmp_path / "whole" / weights, tmp_path / "broken" / weights)
    with pytest.raises(ValueError, match="full takes the vae as it was published"):
        train("vae", preset, tmp_path / "other", **options)


@pytest.mark.slow
def test_updates_on_clips_encoded_in_every_step_resume_exactly(
    preset: Preset, model: Path, data: Path, tmp_path: Path
) -> None:
    updates = replace(preset, diffusion=replace(preset.diffusion, lora=LoRAConfig(rank=2)))
    options: dict[str, Any] = {"data": [data], "networks": [model], "initial": model}
    train("diffusion", updates, tmp_path / "whole", **options)
    export, base = tmp_path / "whole" / "export", find_parts([model])[TRANSFORMER].load()
    merged = load_file(export / TRANSFORMER / "model.safetensors")
    moved = {
        name for name, value in base.state_dict().items() if not torch.allclose(merged[name].float(), value, atol=1e-2)
    }
    small = load_file(export / LORA)
    assert any(value.any() for name, value in small.items() if "lora_B" in name)
    assert all(".to_" in name or "add_" in name for name in moved)
    stored = stored_names(tmp_path / "whole" / "checkpoints" / "step-000000004")
    trained = {name for name in stored if name.startswith("weights.networks.")}
    assert trained
    assert all(".lora_" in name for name in trained)

    train("diffusion", updates, resumed(tmp_path / "whole", tmp_path / "broken"), resume=True, **options)
    assert_same_files(export / LORA, tmp_path / "broken" / "export" / LORA)
    unmerged = find_parts([model])[TRANSFORMER].load()
    assert isinstance(unmerged, JointTransformer)
    load_lora(unmerged, export / "lora")
    with pytest.raises(ValueError, match="other lora"):
        train("diffusion", updates, tmp_path / "whole", resume=True, **(options | {"lora": 3}))
    with pytest.raises(ValueError, match="with --init"):
        train("diffusion", updates, tmp_path / "new", **(options | {"initial": None}))
    with pytest.raises(ValueError, match="not of the adapter"):
        train("adapter", preset, tmp_path / "new", **(options | {"lora": 2}))


@pytest.mark.slow
def test_stage_2_on_encoded_clips_reads_its_split_and_its_networks(
    preset: Preset, model: Path, data: Path, tmp_path: Path
) -> None:
    write_dataset(tmp_path / "more", 1, split="validation", depth=False)
    settings = {"split": None}
    latents = encode(config_of(data, tmp_path / "latents", model, **settings))
    held = encode(config_of(tmp_path / "more", tmp_path / "held", model, **settings))
    export = train(
        "diffusion",
        preset,
        tmp_path / "run",
        data=[latents],
        validation=[held],
        networks=[model],
        initial=model,
        overrides={"validate_every": STEPS, "validation_batches": 1},
    )
    started: dict[str, Tensor] = find_parts([model])[TRANSFORMER].load().state_dict()
    ended = load_file(export / TRANSFORMER / "model.safetensors")
    assert max(float((ended[name] - value).abs().max()) for name, value in started.items()) < 0.02  # a few steps away
    assert any(not torch.equal(ended[name], value) for name, value in started.items())
    with pytest.raises(ValueError, match=r"expected encoded train clips in .*found only validation"):
        train("diffusion", preset, tmp_path / "new", data=[held], networks=[model])
    other = tmp_path / "other"
    save_model(other, seed=7)
    with pytest.raises(ValueError, match="was encoded by another"):
        train("diffusion", preset, tmp_path / "new", data=[latents], networks=[other])
    with pytest.raises(ValueError, match="was encoded by another"):  # what lies beside the first weights counts too
        train("diffusion", preset, tmp_path / "new", data=[latents], initial=other)
    with pytest.raises(ValueError, match="got encoded clips, which are for diffusion alone"):
        train("adapter", preset, tmp_path / "new", data=[latents], networks=[model])
    with pytest.raises(ValueError, match="expected encoded clips throughout"):
        train("diffusion", preset, tmp_path / "new", data=[latents, data], networks=[model])
