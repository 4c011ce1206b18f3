"""Random rotations, poses and cameras in float64 for the laws, with the awkward ones among them."""

import math

import torch
from hypothesis import strategies as st
from torch import Tensor

from gen3r.cameras import Cameras
from gen3r.cameras.cameras import pinhole
from gen3r.cameras.convention import rigid
from gen3r.cameras.pose_encoding import rotation_from_quaternion

coordinates = st.floats(-3.0, 3.0, allow_subnormal=False)
angles = st.one_of(st.floats(-math.pi, math.pi), st.sampled_from([0.0, 1e-7, 1e-4, math.pi / 2, math.pi, -math.pi]))
axes = st.one_of(
    st.sampled_from([(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)]),
    st.tuples(coordinates, coordinates, coordinates).filter(lambda v: math.hypot(*v) > 0.1),
)


def matrix(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@st.composite
def rotations(draw: st.DrawFn) -> Tensor:
    """[3, 3], identity, near-identity and half turns included."""
    axis, angle = matrix(draw(axes)), draw(angles)
    return rotation_from_quaternion(
        torch.cat([axis / axis.norm() * math.sin(angle / 2), matrix([math.cos(angle / 2)])])
    )


@st.composite
def vectors(draw: st.DrawFn) -> Tensor:
    return matrix([draw(coordinates) for _ in range(3)])


@st.composite
def poses(draw: st.DrawFn, count: int) -> Tensor:
    """Rigid transforms [count, 4, 4]."""
    return torch.stack([rigid(draw(rotations()), draw(vectors())) for _ in range(count)])


@st.composite
def cameras(draw: st.DrawFn, count: int = 2) -> Cameras:
    """Cameras [count] of one small image size, with principal points off the centre."""
    height, width = draw(st.integers(2, 12)), draw(st.integers(2, 12))
    focal_x, focal_y = (matrix([draw(st.floats(0.3, 4.0)) * width for _ in range(count)]) for _ in range(2))
    center_x, center_y = draw(st.floats(0.0, 1.0)) * width, draw(st.floats(0.0, 1.0)) * height
    return Cameras(draw(poses(count)), pinhole(focal_x, focal_y, center_x, center_y), height, width)


def points_in_front(of: Cameras, seed: int, count: int = 7) -> Tensor:
    """World points [*b, count, 3] that all lie in front of their own camera."""
    generator = torch.Generator().manual_seed(seed)
    options = {"generator": generator, "dtype": torch.float64}
    sideways = torch.rand(*of.shape, count, 2, **options) * 4 - 2
    depth = torch.rand(*of.shape, count, 1, **options) * 5 + 0.5
    local = torch.cat([sideways, torch.ones_like(depth)], dim=-1) * depth
    pose = of.world_from_camera
    return local @ pose[..., :3, :3].transpose(-1, -2) + pose[..., None, :3, 3]


seeds = st.integers(0, 2**31 - 1)
