"""Camera maths: one convention, immutable `Cameras`, rays, projection, alignment and paths. No networks, no files."""

from gen3r.cameras.alignment import Sim3, mean_depth, trajectory_scale, umeyama
from gen3r.cameras.cameras import Cameras
from gen3r.cameras.convention import extrinsics_from_opengl, invert_se3, opengl_from_extrinsics
from gen3r.cameras.pose_encoding import decode_pose, encode_pose
from gen3r.cameras.projection import project, unproject
from gen3r.cameras.rays import camera_rays, plucker_rays
from gen3r.cameras.trajectories import TRAJECTORIES, spline_through, trajectory

__all__ = [
    "TRAJECTORIES",
    "Cameras",
    "Sim3",
    "camera_rays",
    "decode_pose",
    "encode_pose",
    "extrinsics_from_opengl",
    "invert_se3",
    "mean_depth",
    "opengl_from_extrinsics",
    "plucker_rays",
    "project",
    "spline_through",
    "trajectory",
    "trajectory_scale",
    "umeyama",
    "unproject",
]
