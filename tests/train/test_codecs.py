"""A model with each geometry codec, chosen by its name alone: trained for a step, put together, asked for a scene."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, cast, get_args

import pytest
import torch
from safetensors import safe_open

from gen3r.hub.files import ModelFolderError
from gen3r.hub.folder import save_network
from gen3r.latents.codecs import CodecName
from gen3r.latents.codecs.registry import CODECS
from gen3r.models.adapter import GeometryAdapter
from gen3r.models.transformer import JointTransformer
from gen3r.models.vae import LinearShortcutVAE
from gen3r.models.vggt import VGGT
from gen3r.pipeline import Gen3RPipeline
from gen3r.presets.codecs import with_codec
from gen3r.presets.stages import Preset
from gen3r.scene.scene import Scene
from gen3r.train.latent_batches import ClipVideos, LatentBatches
from gen3r.train.latents import FrozenEncoders, LatentCache
from gen3r.train.release import ReleaseConfig, release
from gen3r.train.rng import generator
from gen3r.train.sources import PackedClips
from gen3r.train.stages import settings, train
from train.objectives.test_objectives import tiny_preset
from train.tiny_run import write_pack

NAMES = get_args(CodecName)


@pytest.fixture(scope="module")
def preset() -> Preset:
    stage = tiny_preset()
    diffusion = dataclasses.replace(stage.diffusion, mirrored=False, subsets=1)
    return dataclasses.replace(stage, diffusion=diffusion, steps=2)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, preset: Preset) -> Path:
    """Random networks of the earlier stages, each in a folder of its own, and a pack of clips."""
    folder = tmp_path_factory.mktemp("codecs")
    torch.manual_seed(0)
    write_pack(folder / "pack.safetensors", count=2, frames=5, side=112)
    for name, build, stage in (
        ("vggt", VGGT, preset.vggt),
        ("vae", LinearShortcutVAE, preset.vae),
        ("geometry_adapter", GeometryAdapter, preset.adapter),
    ):
        save_network(cast(Any, build)(stage.network), stage.network, folder / name / name)
    return folder


def run_of(place: Path, preset: Preset, codec: CodecName) -> Path:
    """One step of training."""
    run = place / f"run-{codec}"
    if not run.is_dir():
        kinds = ("vae", *CODECS[codec].networks)
        train(
            "diffusion",
            preset,
            run,
            codec=codec,
            data=[place / "pack.safetensors"],
            networks=[place / kind for kind in kinds],
            overrides={"steps": 1, "batch_size": 2, "checkpoint_every": 1, "sample_every": 1},
        )
    return run


@pytest.mark.parametrize("codec", NAMES)
def test_a_name_is_all_it_takes(place: Path, preset: Preset, codec: CodecName) -> None:
    run, out = run_of(place, preset, codec), place / f"model-{codec}"
    assert list((run / "samples").glob("*.png"))
    kinds = ("vae", *CODECS[codec].networks)
    release(ReleaseConfig(runs=(run, *(place / kind for kind in kinds)), preset="", out=out, revision="1"), preset)
    assert json.loads((out / "pipeline.json").read_text())["codec"] == codec
    folders = {path.name for path in out.iterdir() if path.is_dir()}
    assert folders == {"vae", "transformer", "text_encoder", "tokenizer", *CODECS[codec].networks}
    pipeline = Gen3RPipeline.from_pretrained(out)
    view = torch.rand(1, 3, 112, 112, generator=torch.Generator().manual_seed(0))
    scene = pipeline(view, "a room", cameras="orbit_left", generator=0)
    scene.save(place / f"scene-{codec}")
    again = Scene.load(place / f"scene-{codec}")
    assert again.rgb.shape == (5, 112, 112, 3)
    assert again.depth.isfinite().all()
    again.cameras.validate()
    if pipeline.geometry.reader is None:
        with pytest.raises(ValueError, match="no VGGT"):
            pipeline.reconstruct(view)


def test_all_have_the_same_transformer(preset: Preset) -> None:
    networks = [with_codec(preset, name).diffusion.network for name in NAMES]
    with torch.device("meta"):
        shapes = [{name: p.shape for name, p in JointTransformer(n).named_parameters()} for n in networks]
    assert all(shape == shapes[0] for shape in shapes)
    assert [network.shared_rope for network in networks] == [True, True, True, True, False]


def test_no_alignment_goes_with_its_name(preset: Preset) -> None:
    assert settings("adapter", preset, codec="vggt-adapter-nokl")[0].adapter.alignment == 0
    assert settings("adapter", preset)[0].adapter.alignment == 1
    with pytest.raises(ValueError, match="shared_rope"):
        dataclasses.replace(preset.diffusion, codec="none")


def test_latents_of_another_codec_are_refused(place: Path, preset: Preset) -> None:
    cache = LatentCache(run_of(place, preset, "xyz") / "latents.safetensors")
    assert cache.codec == "xyz"
    stage = preset.diffusion
    with pytest.raises(ValueError, match="of the codec vggt-adapter, got those of xyz"):
        LatentBatches(cache, None, stage, batch_size=1, seed=0)
    with safe_open(str(run_of(place, preset, "none") / "latents.safetensors"), "pt") as file:
        assert not [name for name in file.keys() if name.startswith("geometry")]  # noqa: SIM118


def test_what_a_codec_is_made_of_is_missed_by_name(place: Path, preset: Preset) -> None:
    run = run_of(place, preset, "vggt-adapter")
    with pytest.raises(ValueError, match="found none in"):
        release(ReleaseConfig(runs=(run, place / "vae"), preset="", out=place / "lacking", revision="1"), preset)
    model = place / "unknown"
    model.mkdir()
    (model / "pipeline.json").write_text(json.dumps({"name": "x", "codec": "ply"}))
    with pytest.raises(ModelFolderError, match=r"codec to be one of vggt-adapter, .*got 'ply'"):
        Gen3RPipeline.from_pretrained(model)


@pytest.mark.parametrize("codec", ["xyz", "none"])
def test_clips_that_are_encoded_in_every_step(place: Path, preset: Preset, codec: CodecName) -> None:
    source, stage = PackedClips([place / "pack.safetensors"]), with_codec(preset, codec).diffusion
    pipeline = Gen3RPipeline.from_pretrained(place / f"model-{codec}")
    encoders = FrozenEncoders(pipeline.appearance, pipeline.geometry, stage.conditioning)
    batch = ClipVideos(source, stage, frames=5, batch_size=2, seed=0).make([0, 1], generator(0))
    encoded = encoders.encode(batch, generator(1))
    halves = CODECS[codec].halves
    assert encoded["clean"].shape == (2, 16, 2, 14, 14 * halves)
    assert encoded["control"].shape == (2, 20, 2, 14, 14 * halves)
