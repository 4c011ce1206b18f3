"""Whole folders from one layout to the other: exact, in pieces, taken up again, and refused where they must be."""

import dataclasses
import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from gen3r.hub.conversion import MARKER, ConversionOptions, convert_folder
from gen3r.hub.files import ModelFolderError
from gen3r.hub.layout import ModelFolder
from gen3r.hub.load import load_networks, save_networks
from gen3r.hub.shards import WeightsFile
from gen3r.hub.stored import open_safetensors
from gen3r.pipeline import PipelineConfig
from hub.standin import build_standin, build_standin_vggt, write_weights
from hub.test_official import assert_equal


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = build_standin(tmp_path_factory.mktemp("official"))
    part = folder / "text_encoder/diffusion_pytorch_model.safetensors"  # the published one is in half precision
    save_file({name: tensor.bfloat16() for name, tensor in load_file(part).items()}, part, {"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def ours(standin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return convert_folder(standin, tmp_path_factory.mktemp("converted") / "ours", PipelineConfig)


def contents(folder: Path) -> dict[str, Any]:
    """Every file but the weights by its path, and every tensor by folder and name, whatever file it lies in."""
    held: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".safetensors":
            held |= {f"{path.parent.relative_to(folder)}:{key}": tensor for key, tensor in load_file(path).items()}
        elif path.is_file() and not name.endswith(".safetensors.index.json"):
            held[name] = path.read_bytes()
    return held


def assert_same_contents(first: Path, second: Path) -> None:
    one, other = contents(first), contents(second)
    assert set(one) == set(other)
    for name, value in one.items():
        if isinstance(value, Tensor):
            assert value.dtype == other[name].dtype, name
            assert torch.equal(value, other[name]), name
        else:
            assert value == other[name], name


def test_the_converted_folder_holds_the_same_model(standin: Path, ours: Path) -> None:
    networks, settings = load_networks(standin, PipelineConfig)
    again, settings_again = load_networks(ours, PipelineConfig)
    assert settings_again == settings
    assert_equal(again, networks)


def test_there_and_back_is_exact(standin: Path, ours: Path, tmp_path: Path) -> None:
    assert_same_contents(convert_folder(ours, tmp_path / "official", PipelineConfig), standin)


def test_shards_change_nothing(standin: Path, ours: Path, tmp_path: Path) -> None:
    options = ConversionOptions(shard_bytes=300_000)
    middle = convert_folder(standin, tmp_path / "ours", PipelineConfig, options=options)
    assert len(list(middle.glob("transformer/*.safetensors"))) > 1
    assert_same_contents(middle, ours)
    back = convert_folder(middle, tmp_path / "official", PipelineConfig, options=options)
    assert_same_contents(back, standin)
    assert len(list(back.glob("vggt/*.safetensors"))) == 1  # its official class reads no shards


def test_a_companion_travels_into_the_folder(standin: Path, tmp_path: Path) -> None:
    bare = Path(shutil.copytree(standin, tmp_path / "bare"))
    shutil.rmtree(bare / "vggt")
    companion = build_standin_vggt(tmp_path / "VGGT-1B", track_head=True)
    model = ModelFolder(path=bare, layout="official", companions={"vggt": companion})
    middle = convert_folder(model, tmp_path / "ours", PipelineConfig)
    back = convert_folder(middle, tmp_path / "official", PipelineConfig)
    assert_same_contents(back / "vggt", companion)


def trained(ours: Path, folder: Path) -> Path:
    """A model of ours as training leaves it: other weights, settings of its own, the official leftovers beside it."""
    networks, settings = load_networks(ours, PipelineConfig)
    with torch.no_grad():
        networks.transformer.proj_out.bias.add_(1)
    save_networks(networks, dataclasses.replace(settings, name="mine", shift=3.0, frames=17), folder)
    shutil.copytree(ours / "official", folder / "official")
    return folder


def test_models_of_ours_keep_weights_and_settings(ours: Path, tmp_path: Path) -> None:
    source = trained(ours, tmp_path / "mine")
    official = convert_folder(source, tmp_path / "official", PipelineConfig)
    assert json.loads((official / "scheduler/scheduler_config.json").read_text())["shift"] == 3.0
    networks, settings = load_networks(official, PipelineConfig)
    expected, expected_settings = load_networks(source, PipelineConfig)
    assert settings == expected_settings
    assert_equal(networks, expected)
    again = convert_folder(official, tmp_path / "again", PipelineConfig)
    for kind in ("vae", "vggt", "geometry_adapter", "transformer"):
        config = json.loads((source / kind / "config.json").read_text())
        assert json.loads((again / kind / "config.json").read_text()) == config


def test_configs_that_no_longer_fit_are_written_anew(ours: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(ours, tmp_path / "mine"))
    carried = source / "official/transformer/config.json"
    carried.write_text(json.dumps(json.loads(carried.read_text()) | {"num_layers": 7}))
    official = convert_folder(source, tmp_path / "official", PipelineConfig)
    assert json.loads((official / "transformer/config.json").read_text())["num_layers"] == 2


def test_half_the_size_on_request(ours: Path, tmp_path: Path) -> None:
    options = ConversionOptions(dtype=torch.bfloat16)
    official = convert_folder(ours, tmp_path / "official", PipelineConfig, options=options)
    for path in official.rglob("*.safetensors"):
        assert {tensor.dtype for tensor in load_file(path).values()} == {torch.bfloat16}


def interrupt_after(files: int) -> Callable[[int, int], None]:
    calls = []

    def progress(done: int, total: int) -> None:
        calls.append(done)
        if len(calls) == files:
            raise KeyboardInterrupt

    return progress


def test_an_interrupted_conversion_goes_on(standin: Path, ours: Path, tmp_path: Path) -> None:
    target, partial = tmp_path / "ours", tmp_path / "ours.partial"
    with pytest.raises(KeyboardInterrupt):
        convert_folder(standin, target, PipelineConfig, progress=interrupt_after(8))
    assert not target.exists()
    finished = sorted(partial.rglob("*.safetensors"))
    assert len(finished) >= 2
    kept, damaged = finished[:2]
    identity = kept.stat().st_ino
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1  # one bit, well behind the header
    damaged.write_bytes(content)
    (partial / "vae/.model.safetensors.cut").write_bytes(b"0")
    relative = kept.relative_to(partial)
    steps: list[tuple[int, int]] = []
    convert_folder(standin, target, PipelineConfig, progress=lambda *step: steps.append(step))
    assert steps == sorted(steps)
    assert steps[-1][0] == steps[-1][1]
    assert not partial.exists()
    assert (target / relative).stat().st_ino == identity
    assert_same_contents(target, ours)


def edit_config(relative: str, **changes: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / relative
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit


REFUSALS = {
    "another normalisation": (edit_config("vae/config.json", latents_mean=[0.5] * 16), "no vae with latents_mean"),
    "another adapter": (
        edit_config("geometry_adapter/config.json", grid_ratio=2.0),
        "geometry_adapter with grid_ratio",
    ),
    "another pose": (edit_config("vggt/config.json", initial_pose=[0.0] * 9), "no vggt with initial_pose"),
    "other heads": (
        edit_config("vggt/config.json", dino_heads=4),
        "cannot hold this vggt: it would take dino_heads = 2",
    ),
    "plain positions": (edit_config("transformer/config.json", shared_rope=False), "no transformer with shared_rope"),
    "other distances": (
        edit_config("text_encoder/config.json", relative_attention_max_distance=64),
        "cannot hold this text_encoder: it would take relative_attention_max_distance = 128 for 64",
    ),
    "nothing carried": (lambda folder: shutil.rmtree(folder / "official"), "copy the folder official/"),
    "damaged weights": (
        lambda folder: (folder / "vae/model.safetensors").write_bytes(b"0" * 100),
        r"vae/model\.safetensors cannot be read .* damaged",
    ),
    "no config": (lambda folder: (folder / "vggt/config.json").unlink(), r"expected config\.json in .*vggt"),
    "tensor missing": (
        lambda folder: drop_tensor(folder / "transformer/model.safetensors", "proj_out.bias"),
        r"transformer does not fit JointTransformer .*\n  missing proj_out\.bias",
    ),
}


def drop_tensor(path: Path, name: str) -> None:
    tensors = load_file(path)
    del tensors[name]
    save_file(tensors, path)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_what_the_other_layout_cannot_hold_is_refused_first(ours: Path, tmp_path: Path, refusal: str) -> None:
    change, said = REFUSALS[refusal]
    source = Path(shutil.copytree(ours, tmp_path / "source"))
    change(source)
    with pytest.raises(ModelFolderError, match=said):
        convert_folder(source, tmp_path / "target", PipelineConfig)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_the_shipped_model_stays_in_our_layout(tmp_path: Path) -> None:
    from gen3r.hub.registry import resolve_model

    with pytest.raises(ModelFolderError, match="no vae with linear = True"):
        convert_folder(resolve_model("tiny"), tmp_path / "target", PipelineConfig)


def test_targets_that_are_in_the_way_are_left_alone(standin: Path, ours: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a model to convert to the gen3r layout, got one that is in it"):
        convert_folder(ours, tmp_path / "ours", PipelineConfig, to="gen3r")
    with pytest.raises(ValueError, match="which exists"):
        convert_folder(standin, ours, PipelineConfig)
    (tmp_path / "ours.partial").mkdir()
    (tmp_path / "ours.partial/holiday.jpg").write_bytes(b"0")
    with pytest.raises(ValueError, match="move it away"):
        convert_folder(standin, tmp_path / "ours", PipelineConfig)
    assert [path.name for path in tmp_path.rglob("*")] == ["ours.partial", "holiday.jpg"]
    with pytest.raises(ValueError, match="positive shard size"):
        ConversionOptions(shard_bytes=0)


def test_a_disk_too_small_is_told_before(standin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10**6))
    with pytest.raises(ValueError, match=r"expected 1\d MB free in .*, got 1 MB"):
        convert_folder(standin, tmp_path / "ours", PipelineConfig)
    assert not list(tmp_path.iterdir())


def test_only_files_of_the_conversion_count_as_done(
    standin: Path, ours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, partial = tmp_path / "ours", tmp_path / "ours.partial"
    with pytest.raises(KeyboardInterrupt):
        convert_folder(standin, target, PipelineConfig, progress=interrupt_after(8))
    done = sum(path.stat().st_size for path in partial.rglob("*") if path.is_file())
    whole = sum(path.stat().st_size for path in ours.rglob("*") if path.is_file())
    assert 0 < done < whole - 2 * 10**6
    leftover = partial / "transformer/.model.safetensors.0123456789abcdef"
    leftover.parent.mkdir(exist_ok=True)
    leftover.write_bytes(bytes(whole))
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda path: usage._replace(free=whole - done - 10**6))
        with pytest.raises(ValueError, match="MB free in"):
            convert_folder(standin, target, PipelineConfig)
        patched.setattr(shutil, "disk_usage", lambda path: usage._replace(free=whole - done))
        convert_folder(standin, target, PipelineConfig)
    assert_same_contents(target, ours)


def test_a_disk_that_fills_up_leaves_what_is_done(
    standin: Path, ours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, moved = os.replace, []

    def full(source: Any, target: Any) -> None:
        moved.append(target)
        if len(moved) > 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        with pytest.raises(ValueError, match=r"ours\.partial is full.*No space left.*goes on where it was"):
            convert_folder(standin, tmp_path / "ours", PipelineConfig)
    assert (tmp_path / "ours.partial" / MARKER).is_file()
    assert not list((tmp_path / "ours.partial").rglob(".*.safetensors.*"))
    assert_same_contents(convert_folder(standin, tmp_path / "ours", PipelineConfig), ours)


WRITING_PROGRAM = """
import sys
from pathlib import Path
import torch
from gen3r.hub.shards import weights_files
from gen3r.hub.stored import open_weights

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

source, target = map(Path, sys.argv[1:])
files = weights_files("model", open_weights(source, "model"), 40 * 10**6, torch.bfloat16)
before = peak()
for name, file in files.items():
    file.write(target / name)
    assert file.is_at(target / name)
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="measures with Linux's peak of this process")
def test_writing_needs_a_few_tensors_of_memory(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    target.mkdir()
    tensors = {f"{layer}.weight": torch.full((1472, 1472), 0.5) for layer in range(16)}  # 16 x 8.7 MB
    write_weights(source, "model", tensors, 60 * 10**6)
    program = [sys.executable, "-c", WRITING_PROGRAM, str(source), str(target)]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 3 * 8.7e6 / 1024 + 8 * 1024  # kB; about two tensors while files are compared


def test_written_files_are_those_that_safetensors_writes(tmp_path: Path) -> None:
    tensors = {
        "bytes": torch.arange(3, dtype=torch.uint8), "wide": torch.rand(2, 3, dtype=torch.float64),
        "half": torch.rand(5).bfloat16(), "scalar": torch.tensor(1.5), "empty": torch.zeros(0, 2),
    }  # fmt: skip
    save_file(tensors, tmp_path / "a.safetensors")
    stored = open_safetensors(tmp_path / "a.safetensors")
    file = WeightsFile(tensors=stored)
    file.write(tmp_path / "b.safetensors")
    again = load_file(tmp_path / "b.safetensors")
    assert set(again) == set(tensors)
    assert all(
        torch.equal(again[name], tensor) and again[name].dtype == tensor.dtype for name, tensor in tensors.items()
    )
    assert file.is_at(tmp_path / "b.safetensors")
    assert file.is_at(tmp_path / "a.safetensors")
    assert not WeightsFile(tensors=stored, dtype=torch.float16).is_at(tmp_path / "b.safetensors")
    assert not file.is_at(tmp_path / "absent.safetensors")
