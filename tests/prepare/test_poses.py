"""VGGT's cameras: chunks cover everything and land in one world, crops are undone, one chunk says what VGGT says."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gen3r.cameras import Cameras
from gen3r.cameras.alignment import Sim3
from gen3r.cameras.pose_encoding import rotation_from_quaternion
from gen3r.data.converting.raw import PoseEstimator, UnusableScene
from gen3r.pipeline import Gen3RPipeline
from gen3r.prepare.poses import VGGTPoses, Views, alignment, chunk_starts
from gen3r.scene.crop import cover_crop
from gen3r.scene.images import read_image

MODEL = "tiny"


@given(st.integers(1, 200), st.integers(2, 50), st.data())
def test_chunks_cover_everything_and_overlap(count: int, chunk: int, data: st.DataObject) -> None:
    chunk = min(chunk, count)
    overlap = data.draw(st.integers(1, max(1, chunk - 1)))
    starts = chunk_starts(count, chunk, overlap)
    assert starts[0] == 0
    assert starts[-1] + chunk == count
    assert all(0 < after - before <= chunk - overlap for before, after in pairwise(starts))


def seen(frames: int, seed: int = 0) -> Views:
    """A wavy wall seen from along a path, known exactly; of pictures of 60x50 cropped to 24x32."""
    generator = torch.Generator().manual_seed(seed)
    quaternions = torch.tensor([0, 0, 0, 1.0]) + 0.1 * torch.randn(frames, 4, generator=generator)
    extrinsics = torch.eye(4, dtype=torch.float64).repeat(frames, 1, 1)
    extrinsics[:, :3, :3] = rotation_from_quaternion(quaternions.double())
    extrinsics[:, :3, 3] = 0.3 * torch.randn(frames, 3, generator=generator).double()
    crop = cover_crop(60, 50, 24, 32)
    full = Cameras(
        extrinsics, torch.tensor([[55.0, 0, 26], [0, 56, 29], [0, 0, 1]]).double().repeat(frames, 1, 1), 60, 50
    )
    return Views(
        cameras=full.cover_crop(24, 32),
        depth=3 + torch.rand(frames, 24, 32, generator=generator),
        confidence=1 + torch.rand(frames, 24, 32, generator=generator),
        crops=(crop,) * frames,
    )


def test_crops_are_undone() -> None:
    views = seen(2)
    camera = views.full_cameras()[1]
    assert (camera.height, camera.width) == (60, 50)
    assert np.allclose(camera.intrinsics, [[55, 0, 26], [0, 56, 29], [0, 0, 1]])
    assert np.allclose(np.linalg.inv(camera.world_from_camera), views.cameras.extrinsics[1])


def test_two_views_of_the_same_pictures_are_brought_together() -> None:
    """Also where a tenth of the depth is wrong: the sky, or what moved."""
    target = seen(3)
    rotation = rotation_from_quaternion(torch.tensor([0.3, -0.2, 0.5, 0.7]).double())
    moved = target.moved(Sim3(torch.tensor(0.4).double(), rotation, torch.tensor([5.0, -2, 1]).double()))
    found = alignment(moved, target)
    back = moved.moved(found)
    assert torch.allclose(back.cameras.extrinsics, target.cameras.extrinsics, atol=1e-5)
    assert torch.allclose(back.depth, target.depth, atol=1e-4)
    wrong = moved.depth.clone()
    wrong[:, :3] *= 4
    robust = alignment(dataclasses.replace(moved, depth=wrong), target)
    assert torch.allclose(robust.scale, found.scale, rtol=1e-3)
    assert torch.allclose(robust.rotation, found.rotation, atol=1e-3)


def test_nothing_in_common_is_no_alignment() -> None:
    views = seen(2)
    nowhere = dataclasses.replace(views, depth=torch.full_like(views.depth, torch.nan))
    with pytest.raises(UnusableScene, match="share nothing"):
        alignment(nowhere, views)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Seven pictures of 60x80 that show something."""
    folder = tmp_path_factory.mktemp("pictures")
    ramp = np.add.outer(np.arange(60) * 3, np.arange(90) * 2)[..., None] * [1, 0.6, 0.3]
    for index in range(7):
        Image.fromarray((ramp[:, index : index + 80] % 256).astype(np.uint8)).save(folder / f"{index}.png")
    return tuple(sorted(folder.iterdir()))


def test_one_chunk_is_what_the_pipeline_reconstructs(pictures: tuple[Path, ...]) -> None:
    estimator = VGGTPoses(model=MODEL)
    assert isinstance(estimator, PoseEstimator)
    cameras = estimator(pictures[:3])
    scene = Gen3RPipeline.from_pretrained(MODEL).reconstruct([read_image(picture) for picture in pictures[:3]])
    expected = scene.cameras.world_from_camera.double().numpy()
    assert np.allclose([camera.world_from_camera for camera in cameras], expected, atol=1e-5)
    size = scene.cameras.height
    for camera, intrinsics in zip(cameras, scene.cameras.intrinsics.numpy(), strict=True):
        assert (camera.height, camera.width) == (60, 80)
        # the whole height is seen, and the columns cut away at the sides come back
        assert np.isclose(camera.intrinsics[1, 1], intrinsics[1, 1] * 60 / size, rtol=1e-4)
        assert np.allclose(camera.intrinsics[:2, 2], [40, 30], atol=0.51)


def test_any_number_of_pictures_goes_through_chunks(pictures: tuple[Path, ...]) -> None:
    cameras = VGGTPoses(model=MODEL, chunk=3, overlap=1)(pictures)
    assert len(cameras) == len(pictures)
    assert np.allclose(cameras[0].world_from_camera, np.eye(4), atol=1e-6)
    for camera in cameras:
        rotation = camera.world_from_camera[:3, :3]
        assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-5)
        assert np.linalg.det(rotation) > 0


@pytest.mark.parametrize("options", [{"chunk": 1}, {"overlap": 0}, {"chunk": 4, "overlap": 4}], ids=str)
def test_chunks_that_do_not_overlap_are_refused(options: dict) -> None:
    with pytest.raises(ValueError, match="expected"):
        VGGTPoses(model=MODEL, **options)
