import math
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gen3r.cameras.projection import project
from gen3r.scene.point_cloud import PointCloudConfig, point_cloud
from gen3r.scene.turntable import Discs, Turntable, render, turned, turntable_cameras, write_turntable
from scene.rooms import room_scene

SMALL = Turntable(frames=4, height=36, width=64)


def test_a_swing_and_a_full_turn_both_loop() -> None:
    swing = Turntable(turn=40.0, frames=8).angles
    assert swing[0] == 0
    assert math.degrees(swing.max()) == pytest.approx(20)
    assert math.degrees(swing.min()) == pytest.approx(-20)
    full = Turntable(turn=360.0, frames=8).angles
    np.testing.assert_allclose(np.diff(np.append(full, 2 * math.pi)), math.pi / 4)


@given(angle=st.floats(-3, 3), height=st.floats(-2, 2))
def test_turning_keeps_distance_height_and_what_is_looked_at(angle: float, height: float) -> None:
    up, about = np.array([0.0, -1.0, 0.0]), np.array([0.5, height, 2.0])
    pose = np.eye(4)
    poses = turned(pose, about, up, np.array([0.0, angle]))
    np.testing.assert_allclose(poses[0], pose, atol=1e-12)
    np.testing.assert_allclose(poses[1, :3, :3] @ poses[1, :3, :3].T, np.eye(3), atol=1e-12)
    assert (poses[1, :3, 3] - about) @ up == pytest.approx((pose[:3, 3] - about) @ up)
    seen = [np.linalg.inv(each) @ np.append(about, 1) for each in poses]
    np.testing.assert_allclose(seen[0], seen[1], atol=1e-9)


def test_positive_angles_carry_the_camera_to_its_right() -> None:
    poses = turned(np.eye(4), np.array([0.0, 0.0, 2.0]), np.array([0.0, -1.0, 0.0]), np.array([0.1]))
    assert poses[0, 0, 3] > 0


def test_the_cloud_stays_in_the_picture_all_the_way_round() -> None:
    scene = room_scene()
    cloud = point_cloud(scene, PointCloudConfig(voxel_pixels=None))
    cameras = turntable_cameras(cloud.points, scene.cameras, Turntable(turn=360.0, frames=6, height=36, width=64))
    assert torch.equal(cameras.intrinsics, cameras.intrinsics[:1].expand(6, 3, 3))
    for index in range(6):
        pixels, depth = project(cloud.points, cameras[index])
        inside = (depth > 0) & (pixels >= 0).all(-1) & (pixels < torch.tensor([64.0, 36.0])).all(-1)
        assert float(inside.float().mean()) > 0.9


def test_the_video_has_the_rendered_frames(tmp_path: Path) -> None:
    scene = room_scene()
    cloud = point_cloud(scene)
    cameras = turntable_cameras(cloud.points, scene.cameras, SMALL)
    discs = Discs(points=cloud.points, colors=cloud.colors, diameters=torch.full((len(cloud),), 0.3))
    picture = render(discs, cameras[0])
    write_turntable(tmp_path / "turn.mp4", discs, cameras, rate=24)
    with av.open(str(tmp_path / "turn.mp4")) as video:
        frames = [frame.to_ndarray(format="rgb24").astype(int) for frame in video.decode(video=0)]
    assert len(frames) == 4
    assert np.abs(frames[0] - picture).mean() < 6
    assert np.abs(frames[0] - frames[1]).mean() > 2 * np.abs(frames[0] - picture).mean()
    assert [file.name for file in tmp_path.iterdir()] == ["turn.mp4"]


@pytest.mark.parametrize("wrong", [{"turn": 0.0}, {"turn": 361.0}, {"frames": 0}, {"height": 0}])
def test_impossible_tables_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match="got"):
        Turntable(**wrong)
