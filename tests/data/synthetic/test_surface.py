"""Hits, distances and normals tell of one surface."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data.synthetic.known import known_scene
from gen3r.data.synthetic.description import Shape
from gen3r.data.synthetic.intersection import FAR, distances_along
from gen3r.data.synthetic.packed import PackedScene, pack
from gen3r.data.synthetic.places import describe
from gen3r.data.synthetic.surface import first_hits, surface_at

RAYS = 64
seeds = st.integers(0, 2**31)
lengths = st.floats(0.3, 1.2)
angles = st.floats(-math.pi, math.pi)


def free_rays(scene: PackedScene, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rays in all directions from points that lie in no solid."""
    generator = torch.Generator().manual_seed(seed)
    origins = torch.rand(3, RAYS, generator=generator) * 3 + torch.tensor([[-1.5], [0.3], [-1.5]])
    directions = torch.randn(3, RAYS, generator=generator)
    free = distances_along(scene, origins, torch.zeros_like(origins), (0.0,))[0] > 0.05
    return origins[:, free], directions[:, free]


@settings(max_examples=12)
@given(st.sampled_from(list(Shape)), seeds, st.tuples(lengths, lengths), angles, angles)
def test_distance_is_zero_where_rays_hit_and_grows_along_the_normal(
    shape: Shape, seed: int, half: tuple[float, float], yaw: float, pitch: float
) -> None:
    scene = known_scene((shape, (0.0, 1.5, 0.0), (half[0], half[1], half[0]), yaw, pitch), room=(2.0, 3.6, 2.0))
    origins, directions = free_rays(scene, seed)
    hits = first_hits(scene, origins, directions)
    points = origins + hits.t * directions
    normals = surface_at(scene, hits, points).normal
    torch.testing.assert_close(normals.norm(dim=0), torch.ones_like(hits.t))
    assert ((normals * directions).sum(0) <= 1e-2 * directions.norm(dim=0)).all()
    on, below = distances_along(scene, points, normals, (0.0, -0.01))
    assert (on.abs() < 2e-3).all()
    assert (below < on - 1e-3).float().mean() > 0.9  # but not at the tip of a cone, where 1 cm leads out again


@settings(max_examples=6)
@given(st.integers(0, 10**6))
def test_hits_of_whole_scenes_have_distance_zero(seed: int) -> None:
    scene = pack(describe(seed))
    origins, directions = free_rays(scene, seed)
    hits = first_hits(scene, origins, directions)
    found = hits.t < FAR / 2
    points = (origins + hits.t * directions)[:, found]
    assert (distances_along(scene, points, torch.zeros_like(points), (0.0,))[0].abs() < 5e-3).all()
