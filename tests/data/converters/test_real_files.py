"""Pictures and a video that cameras took, not drawn ones: kept as they are, turned as their EXIF data say."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from data.converters.whole_dataset import convert
from gen3r.data.converters import images, nerfstudio, video
from gen3r.data.converters.pictures import PictureHeader
from gen3r.data.converting.raw import RawCamera
from gen3r.data.schema import StoredClip

EXAMPLES = Path(__file__).parents[4] / "shared" / "data" / "gen3r_examples"
needs_examples = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the official examples are not here")


@dataclass(frozen=True)
class Steps:
    """Says that the camera went ahead by one each time."""

    def __call__(self, pictures: tuple[Path, ...]) -> tuple[RawCamera, ...]:
        cameras = []
        for index, picture in enumerate(pictures):
            height, width = PictureHeader.read(picture, picture.name).upright_size
            intrinsics = np.array([[width, 0, width / 2], [0, width, height / 2], [0, 0, 1.0]])
            pose = np.eye(4)
            pose[2, 3] = index
            cameras.append(RawCamera(intrinsics=intrinsics, world_from_camera=pose, height=height, width=width))
        return tuple(cameras)


POSES = {"poses": f"{__name__}:Steps"}


def test_a_photo_is_kept_and_turned(tmp_path: Path) -> None:
    photo = Path(pytest.importorskip("skimage").__file__).parent / "data" / "rocket.jpg"
    if not photo.is_file():
        pytest.skip("this release of scikit-image comes without its photo")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "1.jpg").write_bytes(photo.read_bytes())
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(photo) as opened:
        opened.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "raw" / "2.jpg", exif=exif, quality=95)
        shown = np.asarray(opened.convert("RGB"))
    made = convert(images.CONVERTER, tmp_path / "raw", tmp_path / "clips", **POSES)
    clip = StoredClip.open(made.clips["raw"])
    assert (made.clips["raw"] / "frames" / "frame00000.jpg").read_bytes() == photo.read_bytes()
    first, second = clip.rgb([0, 1]).numpy().astype(np.float32)
    assert first.shape == shown.shape
    assert np.abs(first - shown).mean() < 1
    assert np.abs(second - shown).mean() < 4
    with Image.open(tmp_path / "raw" / "2.jpg") as opened:
        assert ImageOps.exif_transpose(opened).size == (shown.shape[1], shown.shape[0])


@needs_examples
def test_two_real_views_keep_their_cameras_and_bytes(tmp_path: Path) -> None:
    bedroom = EXAMPLES / "2-view" / "bedroom"
    cameras = json.loads((bedroom / "cameras.json").read_text())
    extrinsics, intrinsics = np.array(cameras["extrinsics"])[[0, -1]], np.array(cameras["intrinsics"])[0]
    (tmp_path / "raw").mkdir()
    for name in ("first.png", "last.png"):
        (tmp_path / "raw" / name).write_bytes((bedroom / name).read_bytes())
    frames = [
        {"file_path": name, "transform_matrix": np.linalg.inv(extrinsic).tolist()}
        for name, extrinsic in zip(("first.png", "last.png"), extrinsics, strict=True)
    ]
    numbers = {"fl_x": intrinsics[0, 0], "fl_y": intrinsics[1, 1], "cx": intrinsics[0, 2], "cy": intrinsics[1, 2]}
    content = {"w": 560, "h": 560, **numbers, "camera_convention": "opencv", "frames": frames}
    (tmp_path / "raw" / "transforms.json").write_text(json.dumps(content))
    made = convert(nerfstudio.CONVERTER, tmp_path / "raw", tmp_path / "clips")
    clip = StoredClip.open(made.clips["raw"])
    np.testing.assert_allclose(clip.cameras.extrinsics.numpy(), extrinsics, atol=1e-5)
    np.testing.assert_allclose(clip.cameras.intrinsics.numpy()[1], intrinsics, rtol=1e-6)
    for index, name in enumerate(("first.png", "last.png")):
        assert (made.clips["raw"] / "frames" / f"frame{index:05d}.png").read_bytes() == (bedroom / name).read_bytes()


@needs_examples
def test_a_real_video_becomes_frames_with_their_times(tmp_path: Path) -> None:
    source = EXAMPLES / "all-view" / "garden.mp4"
    made = convert(video.CONVERTER, source, tmp_path / "clips", rate=2.0, **POSES)
    record = made.record("garden")
    assert (record["height"], record["width"]) == (560, 560)
    assert 8 <= record["frames"] <= 9
    np.testing.assert_allclose(np.diff(record["times"]), 0.5, atol=0.1)
