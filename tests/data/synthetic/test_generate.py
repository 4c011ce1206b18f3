"""Clips are functions of their seed; their frames, depth, cameras and captions tell of one scene."""

from dataclasses import replace

import pytest
import torch

from gen3r.cameras import project, unproject
from gen3r.data.clip import Clip
from gen3r.data.synthetic import generate_clip, generate_clips
from gen3r.data.synthetic.captions import caption
from gen3r.data.synthetic.packed import pack
from gen3r.data.synthetic.paths import film
from gen3r.data.synthetic.places import describe

SMALL = {"frames": 3, "height": 20, "width": 24, "samples": 1}
INDOORS_AND_OUT = (202, 208)


def same(a: Clip, b: Clip) -> bool:
    tensors = ((c.rgb, c.depth, c.cameras.extrinsics, c.cameras.intrinsics) for c in (a, b))
    return all(torch.equal(x, y) for x, y in zip(*tensors, strict=True)) and (a.caption, a.seed) == (b.caption, b.seed)


def test_a_seed_gives_the_same_bits_alone_and_among_others() -> None:
    together = list(generate_clips(INDOORS_AND_OUT, **SMALL))
    for clip in together:
        assert same(clip, generate_clip(clip.seed, **SMALL))
    assert not torch.equal(together[0].rgb, together[1].rgb)


def test_shapes_types_and_ranges() -> None:
    clip = generate_clip(208, **SMALL)
    assert clip.rgb.shape == (3, 20, 24, 3)
    assert clip.rgb.dtype == torch.uint8
    assert clip.depth.shape == (3, 20, 24)
    assert clip.depth.dtype == torch.float32
    assert torch.isfinite(clip.depth).all()
    assert clip.depth.min() >= 0
    clip.cameras.validate()
    assert (clip.cameras.height, clip.cameras.width) == (20, 24)
    assert clip.rgb.float().std() > 10


def test_more_frames_sample_the_same_path_of_the_same_scene() -> None:
    few, many = (generate_clip(202, frames, 8, 8, samples=1) for frames in (3, 5))
    torch.testing.assert_close(few.cameras.extrinsics, many.cameras.extrinsics[::2], atol=1e-5, rtol=0)
    assert few.caption == many.caption


def test_first_and_last_frames_are_the_same_pictures_however_many_lie_between() -> None:
    few, many = (generate_clip(208, frames, 16, 16, samples=1) for frames in (3, 5))
    for name in ("rgb", "depth"):
        assert torch.equal(getattr(few, name)[[0, -1]], getattr(many, name)[[0, -1]])


def test_size_changes_the_picture_only() -> None:
    small, large = (generate_clip(202, 3, size, size, samples=1) for size in (8, 24))
    assert torch.equal(small.cameras.extrinsics, large.cameras.extrinsics)
    torch.testing.assert_close(small.cameras.resize(24, 24).intrinsics, large.cameras.intrinsics)
    assert small.caption == large.caption
    middle = large.depth[:, 1::3, 1::3]  # every pixel centre of the small picture is one of the large
    torch.testing.assert_close(small.depth, middle, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("seed", INDOORS_AND_OUT)
def test_true_depth_carries_one_frame_onto_another(seed: int) -> None:
    size = 56
    clip = generate_clip(seed, 5, size, size, samples=4)
    first, second = clip.cameras[0:1], clip.cameras[1:2]
    points = unproject(clip.depth[1:2], second).reshape(1, -1, 3)
    pixels, depth = project(points, first)
    grid = (pixels / size * 2 - 1).view(1, size, size, 2)
    colors = clip.rgb.float().permute(0, 3, 1, 2) / 255
    warped = torch.nn.functional.grid_sample(colors[:1], grid, align_corners=False, padding_mode="border")
    there = torch.nn.functional.grid_sample(clip.depth[:1, None], grid, align_corners=False, mode="nearest")
    depth = depth.view(1, size, size)
    visible = (clip.depth[1:2] > 0) & (grid.abs() < 1).all(-1) & ((there[:, 0] - depth).abs() < 0.02 * depth)
    assert visible.float().mean() > 0.4

    def psnr(picture: torch.Tensor) -> float:
        error = ((picture - colors[1:2]) ** 2).mean(1)[visible].mean()
        return float(-10 * error.log10())

    assert psnr(warped) > 25
    assert psnr(warped) > psnr(colors[:1]) + 3


def test_captions_name_what_is_there_and_vary() -> None:
    texts = []
    for seed in range(14):
        scene = describe(seed)
        path = film(scene, pack(scene), seed)
        assert set(path.seen) <= set(scene.things)
        text = caption(scene.setting, path.seen, path.words, seed)
        texts.append(text)
        assert scene.setting in text
        assert ("room" in text) == scene.is_room
        unseen = set(scene.things) - set(path.seen)
        without_seen = text
        for name in sorted(path.seen, key=len, reverse=True):
            without_seen = without_seen.replace(name, "")
        assert not any(name in without_seen for name in unseen)
    assert len(set(texts)) == len(texts)
    assert len({word for text in texts for word in text.split()}) > 50
    assert sum("camera" in text for text in texts) > 7


def test_paths_move_within_reason() -> None:
    """Most cameras move by some share of their distance to the scene; none leaves it or crosses a wall."""
    moved = []
    for seed in range(10):
        scene = describe(seed)
        poses = film(scene, pack(scene), seed).poses(9)
        steps = (poses[1:, :3, 3] - poses[:-1, :3, 3]).norm(dim=-1)
        turned = (poses[0, :3, 2] @ poses[-1, :3, 2]).clamp(-1, 1).acos()
        moved.append(float(steps.sum() + turned))
        assert steps.max() < 3 * steps.mean() + 1e-3
        assert poses[:, 1, 3].min() > 0.3
        if scene.is_room:
            limit = torch.tensor([scene.half_extent[0], scene.half_extent[2]])
            assert (poses[:, [0, 2], 3].abs() < limit).all()
    assert sum(amount > 0.2 for amount in moved) >= 7
    assert max(moved) < 5


def test_a_scene_without_room_for_a_camera_is_named() -> None:
    scene = describe(208)
    assert scene.is_room
    cramped = replace(scene, half_extent=(0.5, 2.5, 0.5), footprints=[(0.0, 0.0, 0.1)])
    with pytest.raises(ValueError, match="room for a camera in the scene of seed 208"):
        film(cramped, pack(scene), 208)


def test_negative_seeds_are_refused() -> None:
    with pytest.raises(ValueError, match="0 or more"):
        generate_clip(-1, **SMALL)
