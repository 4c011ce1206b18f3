"""Trajectories, read again by evo."""

import numpy as np
import pytest
from evo.tools import file_interface

from gen3r.scene.export.source import ExportSource
from gen3r.scene.export.tum import write
from gen3r.scene.export.video import FRAMES_PER_SECOND
from scene.rooms import room_scene


@pytest.mark.parametrize("frames", [1, 5])
def test_evo_reads_poses_and_times(tmp_path, frames):
    scene = room_scene(frames, 8, 10)
    write(ExportSource(scene), tmp_path)
    path = file_interface.read_tum_trajectory_file(tmp_path / "trajectory.txt")
    poses = np.stack(path.poses_se3)
    np.testing.assert_allclose(poses, scene.cameras.world_from_camera.double().numpy(), atol=1e-5)
    np.testing.assert_allclose(path.timestamps, np.arange(frames) / FRAMES_PER_SECOND)
    assert path.check()[0]
