import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

pytest.importorskip("viser", reason="viser is missing; pip install 'gen3r[viewer]'")

from gen3r.apps.viewer.files import unused_path
from gen3r.apps.viewer.path import DrawnPath
from gen3r.apps.viewer.poses import pose_matrix, quaternion
from gen3r.scene.camera_files import read_cameras

numbers = st.floats(-3, 3)


@given(turn=st.tuples(numbers, numbers, numbers), position=st.tuples(numbers, numbers, numbers))
def test_poses_survive_the_way_through_quaternions(turn: tuple[float, ...], position: tuple[float, ...]) -> None:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    pose[:3, 3] = position
    np.testing.assert_allclose(pose_matrix(quaternion(pose[:3, :3]), pose[:3, 3]), pose, atol=1e-12)


def drawn(*keys: tuple[tuple[float, float, float], tuple[float, float, float]], frames: int = 9) -> DrawnPath:
    poses = []
    for turn, position in keys:
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = Rotation.from_rotvec(turn).as_matrix(), position
        poses.append(pose)
    return DrawnPath(keys=tuple(poses), frames=frames, fov_degrees=55.0, height=48, width=64)


PATH = drawn(((0, 0, 0), (0, 0, 0)), ((0, 0.3, 0.1), (0.5, -0.1, 0.4)), ((0.1, 0.8, 0), (1.1, 0.2, 0.3)))


def test_what_is_read_is_what_was_drawn(tmp_path: Path) -> None:
    PATH.save(tmp_path / "cameras.json")
    cameras = read_cameras(tmp_path / "cameras.json")
    torch.testing.assert_close(cameras.world_from_camera.double(), PATH.poses, atol=1e-6, rtol=0)
    torch.testing.assert_close(cameras.fov[:, 0], torch.full((9,), math.radians(55)), atol=1e-6, rtol=0)
    assert (cameras.height, cameras.width) == (48, 64)
    assert (tmp_path / "cameras.json").read_bytes() == PATH.file_content()
    assert [file.name for file in tmp_path.iterdir()] == ["cameras.json"]


def test_the_ends_of_a_path_are_its_keys() -> None:
    torch.testing.assert_close(PATH.poses[0], torch.from_numpy(PATH.keys[0]))
    torch.testing.assert_close(PATH.poses[-1], torch.from_numpy(PATH.keys[-1]))
    torch.testing.assert_close(PATH.poses[4], torch.from_numpy(PATH.keys[1]))


def test_one_key_stays() -> None:
    still = drawn(((0, 0.2, 0), (1, 2, 3)), frames=5)
    torch.testing.assert_close(still.poses, torch.from_numpy(still.keys[0]).expand(5, 4, 4))


@pytest.mark.parametrize("wrong", [{"keys": ()}, {"frames": 0}, {"fov_degrees": 180.0}])
def test_an_impossible_path_is_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match="expected"):
        DrawnPath(**{**vars(PATH), **wrong})


def test_names_in_use_are_not_used_again(tmp_path: Path) -> None:
    names = []
    for _ in range(3):
        file = unused_path(tmp_path, "view.png")
        file.touch()
        names.append(file.name)
    assert names == ["view.png", "view-2.png", "view-3.png"]
