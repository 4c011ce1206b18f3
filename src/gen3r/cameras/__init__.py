"""Camera maths: one convention, immutable `Cameras`, rays, projection, alignment and paths. No networks, no files."""

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.convention import extrinsics_from_opengl, invert_se3, opengl_from_extrinsics

__all__ = ["Cameras", "extrinsics_from_opengl", "invert_se3", "opengl_from_extrinsics"]
