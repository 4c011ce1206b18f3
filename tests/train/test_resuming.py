"""What a stage's run may go on with, whose latents it takes, and which settings count."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from gen3r.presets import load_preset
from gen3r.presets.stages import Preset
from gen3r.train.diffusion_builder import build_diffusion
from gen3r.train.earlier import find_parts
from gen3r.train.inputs import StageInputs
from gen3r.train.latents import LatentCache
from gen3r.train.latents.identity import ENCODERS_FILE
from gen3r.train.release import ReleaseConfig, release
from gen3r.train.stage_data import StageData
from gen3r.train.stages import settings, train
from train.objectives.test_objectives import tiny_preset
from train.tiny_dataset import write_dataset
from train.tiny_run import write_pack

STEPS = 2


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Hashes of networks are not kept in the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def short(preset: Preset) -> Preset:
    stages = {
        name: replace(stage, loop=replace(stage.loop, steps=STEPS, batch_size=2, checkpoint_every=1))
        for name in ("vggt", "vae", "adapter", "diffusion")
        for stage in (getattr(preset, name),)
    }
    return replace(preset, **stages)


class Runs:
    """Runs of the stages on one pack, and what they said."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.preset = folder, short(tiny_preset())
        self.packs = [write_pack(folder / f"{count}.safetensors", count=count, side=112) for count in (4, 3)]
        self.networks = [folder / name for name in ("vggt", "vae", "adapter")]
        self.alone = ""

    def __call__(self, stage: str, out: str, **options: Any) -> str:
        said = Console(record=True, width=400, file=io.StringIO())
        given: dict[str, Any] = {"data": [self.packs[0]], "networks": self.networks} | options
        train(stage, given.pop("preset", self.preset), self.folder / out, console=said, **given)
        return said.export_text()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    made = Runs(tmp_path_factory.mktemp("runs"))
    for stage in ("vggt", "vae", "adapter", "diffusion"):
        made(stage, stage)
    made.alone = made("vae", "other", overrides={"seed": 3, "sharding": "fsdp2"})
    return made


def weights(run: Path, kind: str = "transformer") -> dict[str, torch.Tensor]:
    return load_file(run / "export" / kind / "model.safetensors")


@pytest.mark.slow
def test_resuming_nothing_starts_as_a_new_run_does(runs: Runs) -> None:
    options: dict[str, Any] = {"initial": runs.folder / "diffusion"}
    runs("diffusion", "new", **options)
    said = runs("diffusion", "resumed", resume=True, **options)
    assert "nothing to resume in" in said
    assert "starts from" in said
    new, resumed = weights(runs.folder / "new"), weights(runs.folder / "resumed")
    assert all(torch.equal(value, resumed[name]) for name, value in new.items())


@pytest.mark.slow
def test_a_run_goes_on_only_as_it_was_begun(runs: Runs) -> None:
    with pytest.raises(ValueError, match="with seed 0, got 5"):
        runs("vae", "vae", resume=True, overrides={"seed": 5})
    with pytest.raises(ValueError, match=r"other data: clips was 4, is 3"):
        runs("vae", "vae", resume=True, data=[runs.packs[1]])
    with pytest.raises(ValueError, match=r"other encoders: vae was"):
        runs("adapter", "adapter", resume=True, networks=[runs.folder / "other", *runs.networks])
    noisy = replace(runs.preset, diffusion=replace(runs.preset.diffusion, shift=5.0))
    with pytest.raises(ValueError, match=r"other settings: shift was 2.0, is 5.0"):
        runs("diffusion", "diffusion", resume=True, preset=noisy)
    said = runs("vae", "vae", resume=True, overrides={"lr": 0.5, "log_every": 2})
    assert "lr was 0.001, is 0.5" in said
    assert "log_every was 1, is 2" in said


@pytest.mark.slow
def test_latents_in_the_run_are_of_its_clips_and_networks(runs: Runs) -> None:
    run = runs.folder / "stale"
    run.mkdir()
    shutil.copy(runs.folder / "diffusion" / "latents.safetensors", run)
    assert "encoded 8/8" not in runs("diffusion", "stale", overrides={"steps": 1})  # just these: taken as they are
    again = runs.folder / "again"
    again.mkdir()
    shutil.copy(runs.folder / "diffusion" / "latents.safetensors", again)
    said = runs("diffusion", "again", networks=[runs.folder / "other", *runs.networks], overrides={"steps": 1})
    assert "other networks: the clips are encoded again" in said
    first, second = (LatentCache(place / "latents.safetensors").tensors["appearance_mean"] for place in (run, again))
    assert not torch.equal(first, second)
    shutil.copy(run / "latents.safetensors", again)
    with pytest.raises(ValueError, match="made with other networks"):
        runs("diffusion", "again", resume=True, networks=[runs.folder / "other", *runs.networks])


@pytest.mark.slow
def test_latents_that_do_not_say_what_they_are_go_on_with_their_run_alone(runs: Runs) -> None:
    for name in ("old", "older"):
        shutil.copytree(runs.folder / "diffusion", runs.folder / name)
        path = runs.folder / name / "latents.safetensors"
        with safe_open(path, "pt") as file:
            metadata = {key: value for key, value in file.metadata().items() if key != "made"}
        tensors = {key: value for key, value in load_file(path).items() if key != "clip"}
        save_file(tensors, path, metadata)
    assert "does not say what it was made of" in runs("diffusion", "old", resume=True)
    shutil.rmtree(runs.folder / "older" / "checkpoints")
    assert "encoded again" in runs("diffusion", "older")


@pytest.mark.slow
def test_a_model_is_put_together_of_the_networks_it_was_trained_with(runs: Runs, tmp_path: Path) -> None:
    assert (runs.folder / "diffusion" / "export" / ENCODERS_FILE).is_file()
    places = (runs.folder / "diffusion", *runs.networks)
    config = ReleaseConfig(runs=places, preset="test", out=tmp_path / "model", revision="1")
    assert set(find_parts([release(config, runs.preset)])) >= {"vae", "vggt", "geometry_adapter", "transformer"}
    with pytest.raises(ValueError, match="trained on latents of another vae"):
        release(replace(config, runs=(runs.folder / "other", *places)), runs.preset)


def test_micro_steps_take_the_place_of_the_global_batch() -> None:
    assert load_preset("full").diffusion.loop.global_batch == 192
    _, loop = settings("diffusion", "full", {"accumulate": 3})
    assert (loop.accumulate, loop.global_batch) == (3, None)
    with pytest.raises(ValueError, match="got both"):
        settings("diffusion", "full", {"accumulate": 3, "global_batch": 8})


def test_low_rank_updates_of_full_have_a_preset_of_their_own() -> None:
    with pytest.raises(ValueError, match="--preset lora --lora 8"):
        settings("diffusion", "full", lora=8)
    preset, loop = settings("diffusion", "lora", lora=8)
    assert preset.diffusion.lora is not None
    assert (preset.diffusion.lora.rank, loop.lr) == (8, 1e-4)


def test_what_would_be_ignored_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="strides are those of diffusion"):
        settings("adapter", "full", official_strides=True)
    pack = write_pack(tmp_path / "pack.safetensors", side=112)
    with pytest.raises(ValueError, match="leave out official_strides"):
        train("diffusion", tiny_preset(), tmp_path / "run", data=[pack], official_strides=True)
    latents = tmp_path / "latents"
    latents.mkdir()
    (latents / "latents.json").write_text("{}")
    with pytest.raises(ValueError, match="--strides 1 1"):
        train("diffusion", tiny_preset(), tmp_path / "run", data=[latents], official_strides=True)


@pytest.mark.slow
def test_sharding_alone_is_said(runs: Runs) -> None:
    assert "sharding fsdp2: one process alone has nobody to share with" in runs.alone


@pytest.mark.slow
def test_clips_without_depth_are_to_be_encoded_first(runs: Runs, tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "clips", 1, frames=5, depth=False)
    with pytest.raises(ValueError, match="gen3r data encode, where VGGT measures"):
        runs("diffusion", "flat", data=[data])


@pytest.mark.slow
def test_clips_encoded_at_the_start_are_drawn_by_weight(runs: Runs, tmp_path: Path) -> None:
    write_dataset(tmp_path / "many", 3, frames=5, source="garden")
    write_dataset(tmp_path / "one", 1, frames=5, source="street", captions=("rare",), first=3)
    file = tmp_path / "mixture.toml"
    file.write_text('[[datasets]]\npath = "many"\n\n[[datasets]]\npath = "one"\nweight = 9.0\n')

    preset = runs.preset
    source = StageData(preset=preset, stage="diffusion", seed=0, limit=None, encoders=dict).training([file])
    inputs = StageInputs(
        preset=preset, loop=preset.diffusion.loop, data=source, held=None, networks=find_parts(runs.networks),
        tokenizer=None, encoders={}, initial=None, out=tmp_path / "run", fresh=True,
        report=lambda done, total: None, tell=lambda text: None,
    )  # fmt: skip
    batches = build_diffusion(inputs).batches
    cache = LatentCache(tmp_path / "run" / "latents.safetensors")
    assert len(cache) == 8  # mirrored ones too
    drawn = [cache.captions[item] for item in batches.order.items(0, 2000)]
    assert drawn.count("rare") / len(drawn) == pytest.approx(0.9, abs=0.03)
