"""Good clips pass; each fault, made on purpose, is found and named, and nothing else is."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from data.clips import write_video
from gen3r.cameras import Cameras
from gen3r.data.checking.alternatives import alternatives
from gen3r.data.checking.clip import check_clip
from gen3r.data.checking.report import ClipReport
from gen3r.data.checking.thresholds import CheckThresholds
from gen3r.data.clip import Clip
from gen3r.data.schema import ClipWriter, StoredClip
from gen3r.data.synthetic import generate_clip
from gen3r.extras import Extra

FRAMES, HEIGHT, WIDTH = 16, 120, 160


@pytest.fixture(scope="module")
def good() -> Clip:
    """A room, seen by a camera that moves and turns."""
    return generate_clip(107, FRAMES, HEIGHT, WIDTH, samples=1)


def written(
    clip: Clip, folder: Path, *, with_depth: bool = True, captions: tuple[str, ...] = ("a room",)
) -> StoredClip:
    with ClipWriter(folder) as writer:
        for rgb, depth in zip(clip.rgb.numpy(), clip.depth.numpy(), strict=True):
            writer.add_picture(rgb)
            if with_depth:
                writer.add_depth(depth)
        writer.finish(
            clip.cameras,
            captions,
            caption_kind="given" if captions else "none",
            split="train",
            source="tests",
            licence="CC0-1.0",
            scale_kind="metric",
        )
    return StoredClip.open(folder)


def reasons(report: ClipReport) -> list[str]:
    return [fault.reason for fault in report.faults]


def test_a_good_clip_passes(good: Clip, tmp_path: Path) -> None:
    report = check_clip(written(good, tmp_path / "clip"))
    assert report.faults == ()
    assert report.notes == ("fewer than 49 frames: training repeats the ends",)
    limits = CheckThresholds()
    assert report.measures["sharpness"] > 3 * limits.least_sharpness
    assert report.measures["change"] > 5 * limits.least_change
    assert report.measures["depth_error"] < limits.depth_error / 5
    assert report.measures["match_error"] < limits.match_error / 3
    assert report.measures["in_front"] > 0.95


def blurred(clip: Clip) -> Clip:
    soft = [Image.fromarray(rgb).filter(ImageFilter.GaussianBlur(2.5)) for rgb in clip.rgb.numpy()]
    return replace(clip, rgb=torch.from_numpy(np.stack([np.asarray(picture) for picture in soft])))


def static(clip: Clip) -> Clip:
    """Grain, but nothing that moves."""
    grain = torch.randint(-2, 3, clip.rgb.shape, generator=torch.Generator().manual_seed(0))
    rgb = (clip.rgb[:1].expand_as(clip.rgb).int() + grain).clamp(0, 255).to(torch.uint8)
    poses = clip.cameras.extrinsics[:1].expand(FRAMES, 4, 4).contiguous()
    return replace(clip, rgb=rgb, depth=clip.depth[:1].expand_as(clip.depth), cameras=moved(clip.cameras, poses))


def moved(cameras: Cameras, extrinsics: torch.Tensor) -> Cameras:
    return Cameras(extrinsics.float(), cameras.intrinsics, cameras.height, cameras.width)


def shifted(clip: Clip) -> Clip:
    """One camera is put elsewhere for one frame."""
    extrinsics = clip.cameras.extrinsics.clone()
    extrinsics[9, :3, 3] += torch.tensor([2.0, 0.5, 1.0])
    return replace(clip, cameras=moved(clip.cameras, extrinsics))


def turned(clip: Clip) -> Clip:
    """From one frame on, cameras look elsewhere."""
    angle = torch.tensor(np.radians(35.0))
    turn = torch.eye(4)
    turn[0, 0] = turn[2, 2] = angle.cos()
    turn[0, 2], turn[2, 0] = angle.sin(), -angle.sin()
    extrinsics = clip.cameras.extrinsics.clone()
    extrinsics[8:] = turn @ extrinsics[8:]
    return replace(clip, cameras=moved(clip.cameras, extrinsics))


def in_other_units(clip: Clip) -> Clip:
    return replace(clip, depth=clip.depth * torch.linspace(1, 1.4, FRAMES)[:, None, None])


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (blurred, "blurred"),
        (static, "static"),
        (shifted, "cameras jump"),
        (turned, "cameras jump"),
        (in_other_units, "depth disagrees"),
    ],
)
def test_faults_of_content_are_found(good: Clip, tmp_path: Path, make: Callable[[Clip], Clip], expected: str) -> None:
    report = check_clip(written(make(good), tmp_path / "clip"), matching=False)
    assert expected in reasons(report)
    assert set(reasons(report)) <= {expected, "depth disagrees"}  # cameras that jump leave their depth, too


def test_short_clips_and_missing_captions_are_told(good: Clip, tmp_path: Path) -> None:
    part = replace(good, rgb=good.rgb[:5], depth=good.depth[:5], cameras=good.cameras[:5])
    report = check_clip(written(part, tmp_path / "clip", captions=()), matching=False)
    assert reasons(report) == ["too few frames"]
    assert report.notes == ("no captions",)
    assert check_clip(StoredClip.open(tmp_path / "clip"), CheckThresholds(least_frames=5), matching=False).faults == ()


def truncate(folder: Path) -> None:
    path = folder / "frames" / "frame00003.png"
    path.write_bytes(path.read_bytes()[:2000])


def shrink(folder: Path) -> None:
    path = folder / "frames" / "frame00003.png"
    with Image.open(path) as picture:
        smaller = picture.resize((80, 60))
    smaller.save(path)


@pytest.mark.parametrize(
    ("damage", "expected", "told"),
    [
        (truncate, "unreadable", "frame00003.png is truncated"),
        (shrink, "wrong size", "frame00003.png is 60x80, expected 120x160"),
        (lambda folder: (folder / "depth" / "frame00002.png").write_bytes(b"x"), "unreadable", "depth/frame00002.png"),
        (lambda folder: (folder / "depth" / "frame00002.png").unlink(), "unreadable", "holds 15 pictures"),
        (lambda folder: (folder / "cameras.json").write_text("{}"), "unreadable", "cameras.json"),
        (lambda folder: (folder / "captions.txt").unlink(), "unreadable", "captions.txt"),
    ],
)
def test_damaged_files_are_found(
    good: Clip, tmp_path: Path, damage: Callable[[Path], Any], expected: str, told: str
) -> None:
    written(good, tmp_path / "clip")
    damage(tmp_path / "clip")
    report = check_clip(StoredClip.open(tmp_path / "clip"), matching=False)
    assert reasons(report) == [expected]
    assert told in report.faults[0].detail


def test_a_video_is_looked_at_like_pictures(good: Clip, tmp_path: Path) -> None:
    write_video(tmp_path / "film.mp4", good.rgb.numpy())
    with ClipWriter(tmp_path / "clip") as writer:
        writer.add_video(tmp_path / "film.mp4")
        writer.finish(good.cameras, split="train", source="tests", licence="CC0-1.0", scale_kind="metric")
    clip = StoredClip.open(tmp_path / "clip")
    report = check_clip(clip, matching=False)
    assert report.faults == ()
    pictures = check_clip(written(good, tmp_path / "pictures"), matching=False)
    assert report.measures["change"] == pytest.approx(pictures.measures["change"], rel=0.1)
    content = (tmp_path / "clip" / "frames.mp4").read_bytes()
    (tmp_path / "clip" / "frames.mp4").write_bytes(content[: len(content) // 2])
    assert reasons(check_clip(clip, matching=False)) == ["unreadable"]


def test_without_opencv_the_pictures_are_not_compared(
    good: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gen3r.data.checking.clip.OPENCV", Extra(name="data", modules=("no_such_module",)))
    report = check_clip(written(good, tmp_path / "clip"))
    assert report.faults == ()
    assert any("pip install 'gen3r[data]'" in note for note in report.notes)
    assert "match_error" not in report.measures


def test_a_camera_on_a_tripod_is_noted(good: Clip, tmp_path: Path) -> None:
    poses = good.cameras.extrinsics[:1].expand(FRAMES, 4, 4).contiguous()
    report = check_clip(
        written(replace(good, cameras=moved(good.cameras, poses)), tmp_path / "clip", with_depth=False), matching=False
    )
    assert report.faults == ()
    assert "the camera stands still" in report.notes


MISTAKES = ("inverted", "turned from OpenGL to OpenCV camera axes", "inverted and turned")


@pytest.mark.parametrize("mistake", MISTAKES)
def test_cameras_of_another_convention_are_found_by_depth_and_by_pictures(
    good: Clip, tmp_path: Path, mistake: str
) -> None:
    wrong = next(cameras for how, cameras in alternatives(good.cameras).items() if how.startswith(mistake))
    clip = replace(good, cameras=moved(wrong, wrong.extrinsics))
    with_depth = check_clip(written(clip, tmp_path / "depth"), matching=False)
    assert reasons(with_depth) == ["depth disagrees"]
    without = check_clip(written(clip, tmp_path / "none", with_depth=False))
    assert reasons(without) == ["cameras disagree"]


def test_the_remedy_for_inverted_poses_is_named(good: Clip, tmp_path: Path) -> None:
    wrong = alternatives(good.cameras)["inverted"]
    clip = written(replace(good, cameras=moved(wrong, wrong.extrinsics)), tmp_path / "clip")
    report = check_clip(clip)
    assert [fault.detail.rpartition("with poses ")[2] for fault in report.faults] == ["inverted", "inverted"]


def test_reports_survive_json(good: Clip, tmp_path: Path) -> None:
    report = check_clip(written(blurred(good), tmp_path / "clip"), matching=False)
    assert ClipReport.from_record(report.to_record()) == report
