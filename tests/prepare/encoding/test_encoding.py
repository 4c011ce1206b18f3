"""Encoded clips are what the pipeline's networks say of them, and a set is whole or refused."""

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from gen3r.conditioning.scale import estimated_scale
from gen3r.data.schema.stored import StoredClip
from gen3r.pipeline import Gen3RPipeline
from gen3r.prepare.encoding import EncodeShard, encoded_shards, list_items, plan_encoding
from gen3r.train.latents import folder_identity, model_identities, open_latents
from gen3r.train.latents.shards import left_out
from prepare.clip_folders import write_dataset
from prepare.encoding.conftest import config_of, encode

CLOSE = {"atol": 2e-3, "rtol": 2e-3}
"""Latents are stored as half floats."""


@pytest.fixture(scope="module")
def pipeline(model: Path) -> Gen3RPipeline:
    return Gen3RPipeline.from_pretrained(model)


def cut_frames(dataset: Path, clip: str, frames: tuple[int, ...]) -> Tensor:
    """[1, F, 3, 112, 112], cut out of the pictures by hand."""
    rgb = StoredClip.open(dataset / clip).rgb(frames)[:, :, 7:119]
    return rgb.permute(0, 3, 1, 2)[None].float() / 255


@torch.no_grad()
def test_shards_hold_what_the_networks_say(encoded: Path, dataset: Path, pipeline: Gen3RPipeline) -> None:
    latents = open_latents(encoded)
    assert (len(latents), latents.subsets, latents.frames) == (3, 1, 5)
    assert latents.sources == ["source0", "source1", "source0"]
    for number, item in enumerate(latents.items):
        video = cut_frames(dataset, item.clip, item.frames)
        for stored, codec in zip(latents.posteriors([number]), (pipeline.appearance, pipeline.geometry), strict=True):
            expected = codec.encode(video)
            torch.testing.assert_close(stored.mean, expected.mean, **CLOSE)
            torch.testing.assert_close(stored.logvar, expected.logvar, **CLOSE)
        for choice in range(5):
            told = latents.conditions([number], torch.tensor([choice]))
            expected = pipeline.conditioner.control(video, told.given)
            torch.testing.assert_close(told.control, expected[:, :16], **CLOSE)
            assert told.image is not None
            features = pipeline.conditioner.image_features(video, told.given)
            torch.testing.assert_close(told.image, features, **CLOSE)
        sizes = [int(latents.conditions([number], torch.tensor([choice])).given.sum()) for choice in range(4)]
        assert sizes == [1, 2, 5, 0]


def test_cameras_are_cut_relative_and_in_mean_depths(encoded: Path, dataset: Path) -> None:
    latents = open_latents(encoded)
    for number, item in enumerate(latents.items):
        cameras = latents.conditions([number], torch.tensor([0])).cameras
        own = StoredClip.open(dataset / item.clip).cameras[list(item.frames)]
        offset = own.extrinsics[:, 0, 3] - own.extrinsics[0, 0, 3]
        torch.testing.assert_close(cameras.extrinsics[0, :, 0, 3], offset / (2.0 + number), atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(cameras.intrinsics[0, :, 0, 2], own.intrinsics[:, 0, 2] - 7)


@torch.no_grad()
def test_text_is_stored_at_its_length_beside_the_empty_prompt(encoded: Path, pipeline: Gen3RPipeline) -> None:
    latents = open_latents(encoded)
    lengths = set()
    for number, captions in enumerate(latents.prompts):
        for line, caption in [(None, ""), *enumerate(captions)]:
            rows = latents.text(number, line)
            expected = pipeline.text.encode([caption])[0].bfloat16()
            assert torch.equal(rows, expected[: len(rows)])
            assert not expected[len(rows) :].any()
            lengths.add(len(rows))
    assert len(lengths) > 1


def test_the_same_clips_make_the_same_shards_and_only_missing_ones_are_made(
    encoded: Path, dataset: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "latents"
    shutil.copytree(encoded, out)
    (out / "latents-00001.safetensors").unlink()
    with pytest.raises(ValueError, match=r"not complete: 1 of 2 shards are missing, the first is latents-00001"):
        open_latents(out)
    config = config_of(dataset, out, model)
    assert [item["key"] for item in list_items(json.loads(json.dumps(config.settings())))] == [
        "latents-00001.safetensors"
    ]
    assert encoded_shards(out) == (1, 2)
    encode(config)
    assert plan_encoding(config) == []
    assert len({path.stat().st_mode for path in out.glob("latents*")}) == 1
    first, again = (load_file(folder / "latents-00001.safetensors") for folder in (encoded, out))
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_a_shard_that_is_there_is_left_alone(encoded: Path, dataset: Path, model: Path) -> None:
    before = (encoded / "latents-00000.safetensors").stat().st_mtime_ns
    EncodeShard(config_of(dataset, encoded, model).settings())({"key": "latents-00000.safetensors", "items": []})
    assert (encoded / "latents-00000.safetensors").stat().st_mtime_ns == before


def test_a_folder_is_not_gone_on_with_otherwise(encoded: Path, dataset: Path, model: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="subsets 1, got 2"):
        plan_encoding(config_of(dataset, encoded, model, subsets=2))
    with pytest.raises(ValueError, match="seed 0, got 5"):
        plan_encoding(config_of(dataset, encoded, model, seed=5))
    fewer = write_dataset(tmp_path / "fewer", count=2)
    with pytest.raises(ValueError, match="other clips"):
        plan_encoding(config_of(fewer, encoded, model))


def test_captions_that_change_under_written_shards_are_refused(
    encoded: Path, dataset: Path, model: Path, tmp_path: Path
) -> None:
    out, clips = tmp_path / "latents", tmp_path / "clips"
    shutil.copytree(encoded, out)
    shutil.copytree(dataset, clips)
    config = config_of(clips, out, model)
    assert plan_encoding(config) == []
    (clips / "clip2" / "captions.txt").write_text("another room\n")  # in the second of two shards
    with pytest.raises(ValueError, match=r"captions have changed since 1 shards of .*, such as latents-00001"):
        plan_encoding(config)
    (out / "latents-00001.safetensors").unlink()
    for _ in range(2):
        assert [item["key"] for item in plan_encoding(config)] == ["latents-00001.safetensors"]
    encode(config)
    assert plan_encoding(config) == []
    assert open_latents(out).items[2].captions == ("another room",)


def test_other_networks_are_refused_by_name(encoded: Path, model: Path) -> None:
    identities = model_identities(model)
    assert set(identities) == {"vae", "vggt", "geometry_adapter", "text_encoder", "image_encoder"}
    open_latents(encoded, identities)
    for name, identity in identities.items():
        other = identity[::-1]
        with pytest.raises(
            ValueError, match=rf"another {name}: expected sha256 {other[:16]}, got sha256 {identity[:16]}"
        ):
            open_latents(encoded, identities | {name: other})


@pytest.mark.parametrize(
    ("name", "weight", "encodes"),
    [
        ("geometry_adapter", "encoder.", True),
        ("geometry_adapter", "decoder.", False),
        ("geometry_adapter", "unmoments.", False),
        ("vae", "vae.encoder.", True),
        ("vae", "vae.decoder.", False),
        ("vggt", "depth_head.", True),  # it measures the scale of clips without depth
    ],
)
def test_an_identity_follows_the_weights_that_encode_not_the_folder(
    name: str, weight: str, encodes: bool, model: Path, tmp_path: Path
) -> None:
    known = model_identities(model)[name]
    copy = tmp_path / "run" / "export" / name
    shutil.copytree(model / name, copy)
    assert folder_identity(name, copy) == known
    weights = load_file(copy / "model.safetensors")
    weights[min(each for each in weights if each.startswith(weight))].view(-1)[0] += 1
    save_file(weights, copy / "model.safetensors")
    assert (folder_identity(name, copy) != known) == encodes


@pytest.fixture
def broken(encoded: Path, tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "latents"
    shutil.copytree(encoded, folder)
    yield folder
    with pytest.raises(ValueError, match=r"latents"):
        open_latents(folder)


def change_header(path: Path, **values: str) -> None:
    with safe_open(str(path), "pt") as file:
        metadata = file.metadata() | values
    save_file(load_file(path), path, metadata)


def test_shards_of_another_version_are_refused(broken: Path) -> None:
    change_header(broken / "latents-00001.safetensors", version="99")
    with pytest.raises(ValueError, match=r"latents-00001.safetensors has version 99; this code reads 1"):
        open_latents(broken)


def test_shards_of_other_networks_in_the_set_are_refused(broken: Path) -> None:
    change_header(broken / "latents-00001.safetensors", networks=json.dumps({"vae": "f" * 64}))
    with pytest.raises(ValueError, match=r"does not belong to .*: expected geometry_adapter sha256 .*, got none"):
        open_latents(broken)


def test_damaged_shards_are_refused(broken: Path) -> None:
    path = broken / "latents-00000.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"latents-00000.safetensors cannot be read"):
        open_latents(broken)


def test_folders_of_other_settings_are_not_mixed(encoded: Path, dataset: Path, model: Path, tmp_path: Path) -> None:
    other = encode(config_of(dataset, tmp_path / "other", model, subsets=0))
    assert len(open_latents([other, other])) == 6
    with pytest.raises(ValueError, match="expected subsets 1, got 0"):
        open_latents([encoded, other])


def test_what_is_no_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no latents.json"):
        open_latents(tmp_path)
    with pytest.raises(ValueError, match="at least one folder"):
        open_latents([])


def test_damaged_clips_are_left_out_and_listed(model: Path, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "clips", captions=0)
    (dataset / "clip1" / "frames" / "frame00003.png").write_bytes(b"no picture")
    (dataset / "clip2" / "cameras.json").unlink()
    out = encode(config_of(dataset, tmp_path / "latents", model, frames=9, strides=(1, 1)))
    assert [item.clip for item in open_latents(out).items] == ["clip0"]
    reasons = left_out(out)
    assert {key.split("@")[0]: "frame00003" in text for key, text in reasons.items()} == {
        "0/clip1": True,
        "0/clip2": False,
    }


@torch.no_grad()
def test_the_official_control_holds_geometry_and_is_sampled(model: Path, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "clips", count=1)
    out = encode(
        config_of(
            dataset, tmp_path / "latents", model, control_geometry="encoded", sample_control=True, mirrored=True,
            windows=2, text=False, subsets=0,
        )
    )  # fmt: skip
    latents = open_latents(out)
    assert len(latents) == 4
    assert {(item.clip, item.mirrored) for item in latents.items} == {("clip0", mirrored) for mirrored in (False, True)}
    assert all("right" in caption for item in latents.items for caption in item.captions if item.mirrored)
    assert not latents.has_text
    appearance, geometry = latents.posteriors([0])
    draws = [
        latents.conditions([0], torch.tensor([2]), torch.Generator().manual_seed(seed)).control for seed in range(64)
    ]
    mean = torch.cat([appearance.mean, geometry.mean], dim=-1)
    spread = torch.cat([appearance.logvar, geometry.logvar], dim=-1).mul(0.5).exp()
    errors = (torch.stack(draws).mean(dim=0) - mean) / spread
    assert float(errors.abs().mean()) < 0.2  # 64 samples: 0.1
    assert float(torch.stack(draws).std(dim=0).div(spread).mean()) == pytest.approx(1.0, abs=0.05)
    one = latents.conditions([0, 0], torch.tensor([0, 0])).control
    assert torch.equal(one[0], one[1])  # fixed at encoding
    assert one[..., one.shape[-1] // 2 :].any()


@torch.no_grad()
def test_clips_without_depth_are_measured_by_vggt(model: Path, tmp_path: Path, pipeline: Gen3RPipeline) -> None:
    dataset = write_dataset(tmp_path / "clips", count=1, depth=False)
    out = encode(config_of(dataset, tmp_path / "latents", model))
    scale = load_file(out / "latents-00000.safetensors")["scale"]
    item = open_latents(out).items[0]
    video = cut_frames(dataset, item.clip, item.frames)
    cameras = StoredClip.open(dataset / item.clip).cameras[list(item.frames)].cover_crop(112, 112)
    cameras = dataclasses.replace(cameras, extrinsics=cameras.extrinsics[None], intrinsics=cameras.intrinsics[None])
    vggt, rebased = pipeline.geometry.vggt, cameras.rebased()
    torch.testing.assert_close(scale, estimated_scale(video, cameras, vggt))
    torch.testing.assert_close(estimated_scale(video, rebased.scaled(5.0), vggt), 5 * scale)
    still = dataclasses.replace(cameras, extrinsics=torch.eye(4).expand_as(cameras.extrinsics))
    assert estimated_scale(video, still, vggt).tolist() == [1.0]
    plain = encode(config_of(dataset, tmp_path / "plain", model, normalize_scale=False))
    told = open_latents(plain).conditions([0], torch.tensor([0])).cameras
    torch.testing.assert_close(told.centers, rebased.centers)


def test_sizes_that_cannot_be_encoded_are_refused(dataset: Path, model: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="frames must be 4k"):
        plan_encoding(config_of(dataset, tmp_path / "latents", model, frames=6))
    with pytest.raises(ValueError, match="windows to be at least 1"):
        config_of(dataset, tmp_path / "latents", model, windows=0)
    assert not (tmp_path / "latents").exists()
