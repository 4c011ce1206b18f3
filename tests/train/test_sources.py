"""Packs of clips, and augmentations that keep cameras and pixels in agreement."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.projection import unproject
from gen3r.data.captions import swap_sides
from gen3r.data.clip import Split
from gen3r.train import augment
from gen3r.train.sources import Clips, GeneratedClips, PackedClips
from train.tiny_run import write_pack


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pack(tmp_path_factory.mktemp("data") / "pack.safetensors")


def points(clips: Clips) -> torch.Tensor:
    return unproject(clips.depth, Cameras(clips.extrinsics, clips.intrinsics, *clips.depth.shape[-2:]))


def test_packs_are_joined_in_order(pack: Path) -> None:
    once, twice = PackedClips([pack]), PackedClips([pack, pack], limit=8)
    assert len(once) == 6
    assert len(twice) == 8
    first, again = once.get([1]), twice.get([7])
    assert torch.equal(first.rgb, again.rgb)
    assert first.captions == again.captions


def test_what_is_no_pack_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one pack"):
        PackedClips([])
    with pytest.raises(ValueError, match="no file"):
        PackedClips([tmp_path / "none.safetensors"])


@pytest.mark.parametrize(("first_seed", "split"), [(0, "train"), (800_000_000, "validation"), (10**9, "held-out")])
def test_packs_of_another_split_are_refused(tmp_path: Path, first_seed: int, split: Split) -> None:
    pack = write_pack(tmp_path / "pack.safetensors", count=2, first_seed=first_seed)
    assert len(PackedClips([pack], split=split)) == 2
    for other in {"train", "validation", "held-out"} - {split}:
        with pytest.raises(ValueError, match=f"expected {other} clips .* seed {first_seed} belongs to {split}"):
            PackedClips([pack], split=other)


def test_packs_that_tell_no_seeds_are_taken(pack: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.safetensors"
    save_file({name: value for name, value in load_file(pack).items() if name != "seeds"}, own)
    assert len(PackedClips([own], split="validation")) == 6


def test_mirroring_mirrors_the_world(pack: Path) -> None:
    clips = PackedClips([pack]).get([0, 1])
    mirrored = augment.mirror(clips)
    expected = points(clips).flip(3) * torch.tensor([-1.0, 1.0, 1.0])
    torch.testing.assert_close(points(mirrored), expected, atol=1e-4, rtol=1e-4)
    Cameras(mirrored.extrinsics, mirrored.intrinsics, 32, 32).validate()
    twice = augment.mirror(mirrored)
    assert torch.equal(twice.rgb, clips.rgb)
    torch.testing.assert_close(twice.extrinsics, clips.extrinsics)


def test_colour_jitter_stays_in_range(pack: Path) -> None:
    images = augment.video(PackedClips([pack]).get([0, 1]))
    jittered = augment.jitter_colours(images, torch.Generator().manual_seed(1))
    assert jittered.min() >= 0
    assert jittered.max() <= 1
    assert not torch.equal(jittered, images)


def test_augmented_clips_stay_on_their_device() -> None:
    sizes = {"depth": (2, 5, 8, 8), "extrinsics": (2, 5, 4, 4), "intrinsics": (2, 5, 3, 3)}
    arrays = {name: torch.zeros(size, device="meta") for name, size in sizes.items()}
    clips = Clips(rgb=torch.zeros(2, 5, 8, 8, 3, dtype=torch.uint8, device="meta"), captions=("", ""), **arrays)
    clips = augment.mirror(augment.select_frames(clips, torch.arange(2)))
    images = augment.jitter_colours(augment.video(clips), torch.Generator().manual_seed(1))
    for value in (images, clips.depth, clips.extrinsics, clips.intrinsics):
        assert value.device.type == "meta"


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("the camera slides left past a chair", "the camera slides right past a chair"),
        ("Left of it, a lamp on the right", "Right of it, a lamp on the left"),
        ("leftover bright things stay", "leftover bright things stay"),
        ("moves leftward", "moves rightward"),
    ],
)
def test_captions_are_mirrored_too(caption: str, expected: str) -> None:
    assert swap_sides(caption) == expected
    assert swap_sides(expected) == caption


@pytest.mark.slow
def test_generated_clips_are_those_of_their_seeds() -> None:
    source = GeneratedClips(first_seed=5, count=10, frames=5, height=16, width=16)
    clips, again = source.get([2, 3]), source.get([3])
    assert clips.rgb.shape == (2, 5, 16, 16, 3)
    assert torch.equal(clips.rgb[1:], again.rgb)
    assert clips.captions[1:] == again.captions
