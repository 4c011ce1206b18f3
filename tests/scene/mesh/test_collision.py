"""Collision bodies: closed, convex, behind what was seen."""

import dataclasses

import numpy as np
import pytest
import torch
import trimesh

pytest.importorskip("open3d", reason="open3d is missing; pip install 'gen3r[mesh]'")

from gen3r.cameras.cameras import Cameras
from gen3r.scene.mesh import Mesh, MeshConfig, fuse
from gen3r.scene.mesh.collision import CollisionConfig, convex_parts
from gen3r.scene.mesh.mesh import vertex_normals
from gen3r.scene.mesh.upright import up_direction, upright_from_scene
from scene.rooms import room_scene


@pytest.fixture(scope="module")
def room():
    return room_scene(5, 60, 80)


@pytest.fixture(scope="module")
def mesh(room):
    return fuse(room, room.mask)


@pytest.fixture(scope="module")
def bodies(mesh):
    return [trimesh.Trimesh(part.vertices, part.faces, process=False) for part in convex_parts(mesh)]


def inside(bodies, points: torch.Tensor) -> torch.Tensor:
    """Depth of each point in the body it is deepest in; negative outside all."""
    deepest = np.full(len(points), -np.inf)
    for body in bodies:
        planes = body.face_normals
        offsets = (planes * body.triangles[:, 0]).sum(1)
        deepest = np.maximum(deepest, (offsets - points.numpy() @ planes.T).min(1))
    return torch.from_numpy(deepest)


def test_bodies_are_closed_and_convex(bodies):
    assert 5 < len(bodies) <= CollisionConfig().max_parts
    assert all(body.is_watertight and body.is_winding_consistent and body.volume > 0 for body in bodies)
    assert all(body.is_convex for body in bodies)


def test_free_space_stays_free(room, mesh, bodies):
    """Between the cameras and the surfaces they saw there is no body, up to the tolerance."""
    size = float(np.ptp(mesh.vertices.numpy(), axis=0).__abs__().max())
    tolerance = 2 * CollisionConfig().tolerance * size
    centers = room.cameras.centers
    assert inside(bodies, centers).max() < 0
    seen = room.world_points()[room.mask].reshape(-1, 3)[::7]
    origin = centers[:, None, None].expand_as(room.points)[room.mask][::7]
    on_the_way = torch.cat([origin + share * (seen - origin) for share in (0.3, 0.6, 0.9)])
    assert (inside(bodies, on_the_way) > tolerance).float().mean() < 0.01


def test_bodies_are_behind_all_of_the_surface(mesh, bodies):
    """A little behind the surface there is a body everywhere: nothing falls between two."""
    middles = mesh.vertices[mesh.faces].mean(dim=1)
    size = float(np.linalg.norm(np.ptp(mesh.vertices.numpy(), axis=0)))
    behind = middles - 0.2 * CollisionConfig().thickness * size * mesh.face_normals
    assert (inside(bodies, behind) > 0).float().mean() > 0.95


def test_a_flat_square_is_one_body_and_its_hole_stays_open():
    grid = torch.arange(121).reshape(11, 11)
    y, x = torch.meshgrid(torch.arange(11.0), torch.arange(11.0), indexing="ij")
    vertices = torch.stack([x, torch.zeros_like(x), y], dim=-1).reshape(-1, 3) / 10
    a, b, c, d = grid[:-1, :-1], grid[:-1, 1:], grid[1:, :-1], grid[1:, 1:]
    quads = torch.stack([torch.stack([a, b, c], -1), torch.stack([b, d, c], -1)], dim=2)

    def parts(chosen: torch.Tensor):
        faces = quads[chosen].reshape(-1, 3)
        normals = vertex_normals(vertices, faces)
        colors = torch.zeros(len(vertices), 3, dtype=torch.uint8)
        made = convex_parts(Mesh(vertices=vertices, faces=faces, normals=normals, colors=colors))
        return [trimesh.Trimesh(part.vertices, part.faces, process=False) for part in made]

    whole = torch.ones(10, 10, dtype=torch.bool)
    assert len(parts(whole)) == 1
    whole[3:7, 3:7] = False
    frame = parts(whole)
    assert len(frame) > 1
    assert inside(frame, torch.tensor([[0.5, 0.02, 0.5], [0.5, -0.02, 0.5]])).max() < 0


def test_up_is_away_from_the_floor_even_for_cameras_that_look_down(room, mesh):
    assert np.allclose(up_direction(mesh, room.cameras), [0, -1, 0], atol=0.02)
    angle = torch.tensor(0.5)
    pitch = torch.eye(4)
    pitch[1, 1] = pitch[2, 2] = angle.cos()
    pitch[1, 2], pitch[2, 1] = angle.sin(), -angle.sin()
    poses = room.cameras.world_from_camera @ pitch
    down = Cameras.from_world_from_camera(poses, room.cameras.intrinsics, room.height, room.width)
    assert np.allclose(up_direction(mesh, down), [0, -1, 0], atol=0.02)


def test_upright_world_is_forward_left_up(room, mesh):
    rotation = upright_from_scene(mesh, room.cameras)
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(rotation) == pytest.approx(1)
    assert np.allclose(rotation @ [0, 0, 1], [1, 0, 0], atol=0.03)
    assert np.allclose(rotation @ [1, 0, 0], [0, -1, 0], atol=0.03)


@pytest.fixture(scope="module")
def noisy():
    """The surface of frames that disagree about depth, with more triangles than bodies are made of."""
    scene = room_scene(5, 90, 120)
    rough = torch.randn(scene.depth.shape, generator=torch.Generator().manual_seed(0))
    scene = dataclasses.replace(scene, depth=scene.depth * (1 + 0.01 * rough))
    return fuse(scene, scene.mask, MeshConfig(texture=None))


def test_bodies_are_behind_a_noisy_surface_too(noisy):
    parts = convex_parts(noisy, CollisionConfig(max_faces=len(noisy.faces) // 4))
    bodies = [trimesh.Trimesh(part.vertices, part.faces, process=False) for part in parts]
    some = noisy.faces[::25]
    middles = noisy.vertices[some].mean(dim=1)
    size = float(np.linalg.norm(np.ptp(noisy.vertices.numpy(), axis=0)))
    normals = torch.nn.functional.normalize(noisy.normals[some].sum(dim=1), dim=-1)
    behind = middles - 0.2 * CollisionConfig().thickness * size * normals
    assert (inside(bodies, behind) > 0).float().mean() > 0.95


def test_too_few_parts_are_told(mesh, caplog):
    assert len(convex_parts(mesh, CollisionConfig(max_parts=4))) <= 8
    assert "4 collision parts are too few" in caplog.text
