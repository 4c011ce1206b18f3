"""First hits: where a ray enters a solid, whatever its shape, size and pose."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from data.synthetic.known import known_scene
from gen3r.data.synthetic.description import Shape
from gen3r.data.synthetic.intersection import FAR, distances_along, first_blocker, nearest_face, nearest_solid

RAYS = 64
STEPS = 200
seeds = st.integers(0, 2**31)
lengths = st.floats(0.1, 2.0)
angles = st.floats(-math.pi, math.pi)


def inside(shape: Shape, unit: Tensor, margin: float) -> Tensor:
    """Whether points in the axes of the unit primitive lie in it, shrunk (margin > 0) or grown (< 0)."""
    x, y, z = unit.unbind(0)
    radius = (x * x + z * z).sqrt()
    excess = {
        Shape.BOX: torch.stack((x.abs(), y.abs(), z.abs())).amax(0) - 1,
        Shape.ELLIPSOID: (radius**2 + y * y).sqrt() - 1,
        Shape.CYLINDER: torch.maximum(radius, y.abs()) - 1,
        Shape.CONE: torch.maximum(radius - (1 - y) / 2, y.abs() - 1),
    }[shape]
    return excess < -margin


@settings(max_examples=20)
@given(st.sampled_from(list(Shape)), seeds, st.tuples(lengths, lengths, lengths), angles, angles)
def test_first_hit_is_where_the_ray_enters(
    shape: Shape, seed: int, half_size: tuple[float, float, float], yaw: float, pitch: float
) -> None:
    scene = known_scene((shape, (0.5, 0.2, -0.3), half_size, yaw, pitch))
    generator = torch.Generator().manual_seed(seed)
    origins = torch.nn.functional.normalize(torch.randn(3, RAYS, generator=generator), dim=0) * 6
    directions = torch.randn(3, RAYS, generator=generator) * 0.8 - origins
    t = first_blocker(scene, origins, directions)
    hit = t < FAR
    affine = scene.unit_from_world[shape][0].double()
    on_the_way = torch.where(hit, t, 3.0).double() * torch.linspace(0, 0.999, STEPS, dtype=torch.float64)[:, None]
    points = origins.double() + on_the_way[:, None] * directions.double()
    unit = affine[:, :3] @ points + affine[:, 3:]
    assert not inside(shape, unit.transpose(0, 1).flatten(1), 5e-3).any()
    at_hit = affine[:, :3] @ (origins + t * directions).double() + affine[:, 3:]
    assert inside(shape, at_hit, -5e-3)[hit].all()


@settings(max_examples=5)
@given(seeds)
def test_nearest_solid_is_the_one_hit_first(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    places = (torch.rand(6, 3, generator=generator) * 6 - 3).tolist()
    solids = [(Shape(index % 4), (x, y, z), (0.6, 0.7, 0.8), x, y) for index, (x, y, z) in enumerate(places)]
    origins = torch.nn.functional.normalize(torch.randn(3, RAYS, generator=generator), dim=0) * 9
    directions = torch.randn(3, RAYS, generator=generator) - origins
    scene = known_scene(*solids)
    t, index = nearest_solid(scene, origins, directions)
    alone = torch.stack([first_blocker(known_scene(solid), origins, directions) for solid in solids])
    torch.testing.assert_close(t, alone.amin(0))
    for ray in (t < FAR).nonzero()[:, 0].tolist():
        solid = solids[int(alone[:, ray].argmin())]
        assert scene.shape[index[ray]] == solid[0]
        center = scene.all_unit_from_world[index[ray]] @ torch.tensor([*solid[1], 1.0])
        assert float(center.norm()) < 1e-4


@settings(max_examples=10)
@given(seeds)
def test_room_is_hit_where_a_wall_is(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    half = torch.tensor([2.5, 1.5, 3.0])[:, None]
    centered = (torch.rand(3, RAYS, generator=generator) * 1.8 - 0.9) * half
    directions = torch.randn(3, RAYS, generator=generator)
    origins = centered + torch.tensor([0.0, 1.5, 0.0])[:, None]
    t, face = nearest_face(known_scene(room=(2.5, 3.0, 3.0)), origins, directions)
    reached = centered + t * directions
    assert float(((reached / half).abs().amax(0) - 1).abs().max()) < 1e-4
    axis, positive = face // 2, face % 2
    on_face = (reached / half).gather(0, axis[None])[0]
    torch.testing.assert_close(on_face, positive * 2.0 - 1, atol=1e-4, rtol=0)


@settings(max_examples=10)
@given(seeds, lengths, lengths, lengths)
def test_distance_to_a_box(seed: int, half_x: float, half_y: float, half_z: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(3, RAYS, generator=generator) * 8 - 4
    scene = known_scene((Shape.BOX, (0.0, 50.0, 0.0), (half_x, half_y, half_z), 0.0, 0.0))
    offset = torch.tensor([0.0, 50.0, 0.0])[:, None]
    found = distances_along(scene, points + offset, torch.zeros_like(points), (0.0,))[0]
    half = torch.tensor([half_x, half_y, half_z])[:, None]
    nearest = torch.minimum(torch.maximum(points, -half), half)
    outside = (points - nearest).norm(dim=0)
    within = (half - points.abs()).amin(0)
    torch.testing.assert_close(found, torch.where(outside > 0, outside, -within), atol=2e-4, rtol=1e-4)
