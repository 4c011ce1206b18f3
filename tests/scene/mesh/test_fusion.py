"""Fused meshes of the analytic room, whose walls, floor and ball are known."""

import dataclasses

import numpy as np
import pytest
import torch

pytest.importorskip("open3d", reason="open3d is missing; pip install 'gen3r[mesh]'")

from gen3r.cameras.projection import project
from gen3r.scene.mesh import Mesh, MeshConfig, NoSurface, fuse
from gen3r.scene.mesh.mesh import face_areas
from gen3r.scene.mesh.repair import area_vectors, directed_edges, pieces, simplified, sound, without_small_pieces
from gen3r.scene.mesh.tsdf import disagreement, refined_depth, zero_surface
from gen3r.scene.scene import Scene
from scene.rooms import BALL, RADIUS, room_scene

HEIGHT, WIDTH = 60, 80


@pytest.fixture(scope="module")
def room() -> Scene:
    return room_scene(5, HEIGHT, WIDTH)


@pytest.fixture(scope="module")
def mesh(room) -> Mesh:
    return fuse(room, room.mask)


def off_surface(points: torch.Tensor) -> torch.Tensor:
    """Distance to the nearest wall, to floor, ceiling or ball."""
    planes = [(points[:, axis] - at).abs() for axis, at in ((0, -2.5), (0, 2.5), (1, 1.2), (1, -1.6), (2, 6.0))]
    return torch.stack([*planes, ((points - BALL).norm(dim=-1) - RADIUS).abs()]).amin(dim=0)


def voxel(scene: Scene) -> float:
    return 1.5 * float(scene.depth[scene.mask].median() / scene.cameras.intrinsics[0, 0, 0])


def test_vertices_lie_on_the_walls_the_floor_and_the_ball(room, mesh):
    errors = off_surface(mesh.vertices)
    assert errors.median() < 0.02 * voxel(room)
    assert np.quantile(errors.numpy(), 0.9) < 0.3 * voxel(room)
    assert (errors < voxel(room)).float().mean() > 0.995
    for axis, at in ((0, -2.5), (0, 2.5), (1, 1.2), (1, -1.6), (2, 6.0)):
        assert ((mesh.vertices[:, axis] - at).abs() < 0.01).sum() > 50


def test_half_a_pixel_would_show(room):
    """The convention of the library is ours: a principal point half a pixel off is worse, either way."""

    def error(shift: float) -> float:
        intrinsics = room.cameras.intrinsics.clone()
        intrinsics[:, :2, 2] += shift
        moved = dataclasses.replace(room, cameras=dataclasses.replace(room.cameras, intrinsics=intrinsics))
        points = torch.from_numpy(zero_surface(moved, room.mask, MeshConfig()).vertices).float()
        return float(off_surface(points).median())

    assert error(0.0) < 0.2 * min(error(0.5), error(-0.5))


def test_normals_face_the_cameras_and_fit_the_triangles(room, mesh):
    toward = torch.nn.functional.normalize(room.cameras.centers[:, None] - mesh.vertices, dim=-1)
    assert ((toward * mesh.normals).sum(-1).amax(dim=0) > 0).float().mean() > 0.995
    assert torch.allclose(mesh.normals.norm(dim=-1), torch.ones(len(mesh.normals)), atol=1e-5)
    agree = (mesh.face_normals[:, None] * mesh.normals[mesh.faces]).sum(-1)
    assert (agree > 0).float().mean() > 0.99


def test_an_edge_has_two_triangles_at_most_and_they_turn_alike(mesh):
    sides = directed_edges(mesh.faces.numpy())
    assert len(np.unique(sides, axis=0)) == len(sides)
    assert len(np.unique(np.sort(mesh.faces.numpy(), axis=1), axis=0)) == len(mesh.faces)
    assert len(np.unique(mesh.faces)) == len(mesh.vertices)


def test_a_third_triangle_at_an_edge_gives_way():
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, -1, 0], [0.4, 0, 0.1]], dtype=float)
    faces = np.array([[0, 1, 4], [0, 1, 2], [1, 0, 3]])
    kept_points, kept = sound(points, faces)
    assert len(kept) == 2
    assert len(kept_points) == 4


def test_floaters_go():
    scene = room_scene(1, HEIGHT, WIDTH)
    depth = scene.depth.clone()
    depth[0, 10:16, 20:26] = 1.5  # in mid-air
    depth[0, 30:35, 8:13] = 1.0
    floating = dataclasses.replace(scene, depth=depth)
    cleaned = fuse(floating, scene.mask)
    everything = fuse(floating, scene.mask, MeshConfig(min_component=0.0))
    assert (off_surface(everything.vertices) > 0.3).sum() > 10
    assert (off_surface(cleaned.vertices) > 0.3).sum() == 0
    count = [pieces(mesh.faces.numpy(), len(mesh.vertices)).max() for mesh in (cleaned, everything)]
    assert count[0] < count[1]


def test_max_faces_is_respected_without_leaving_the_surface(room, mesh):
    small = fuse(room, room.mask, MeshConfig(max_faces=700))
    assert 300 < len(small.faces) <= 700 < len(mesh.faces)
    assert np.quantile(off_surface(small.vertices).numpy(), 0.9) < voxel(room)


def test_pixels_outside_keep_are_not_used(room):
    keep = room.mask.clone()
    keep[..., : WIDTH // 2] = False
    half = fuse(room, keep)
    assert half.vertices[:, 0].min() > -1.0
    with pytest.raises(ValueError, match="no pixel is left"):
        fuse(room, torch.zeros_like(room.mask))


@pytest.mark.parametrize("frames", [1, 2])
def test_thin_scenes_work(frames):
    scene = room_scene(frames, HEIGHT, WIDTH)
    errors = off_surface(fuse(scene, scene.mask).vertices)
    assert errors.median() < 0.1 * voxel(scene)


def test_colors_are_those_of_the_frames(room, mesh):
    pixels, depth = project(mesh.vertices, room.cameras[2])
    column, row = pixels.floor().long().unbind(-1)
    inside = (depth > 0) & (column >= 1) & (column < WIDTH - 1) & (row >= 1) & (row < HEIGHT - 1)
    place = (row.clamp(0, HEIGHT - 1), column.clamp(0, WIDTH - 1))
    seen = inside & ((room.depth[2][place] - depth).abs() < 0.02)
    assert seen.sum() > 200
    difference = (room.rgb[2][place][seen].float() - mesh.colors[seen].float()).abs().mean(-1)
    assert difference.median() < 4


def test_the_texture_shows_the_frames(room, mesh):
    """The middle of a triangle has, in the texture, the colour that the room is painted there."""
    assert mesh.texture is not None
    image, uv = mesh.texture.image, mesh.texture.uv.mean(dim=1)
    assert mesh.texture.uv.min() >= 0
    assert mesh.texture.uv.max() <= 1
    column = (uv[:, 0] * image.shape[1]).long().clamp(0, image.shape[1] - 1)
    row = ((1 - uv[:, 1]) * image.shape[0]).long().clamp(0, image.shape[0] - 1)
    textured = image[row, column].float()
    smooth = mesh.colors[mesh.faces].float()
    flat = (smooth.amax(dim=1) - smooth.amin(dim=1)).amax(-1) < 12  # not at the border of a tile
    difference = (textured - smooth.mean(dim=1)).abs().mean(-1)[flat]
    assert flat.float().mean() > 0.2
    assert difference.median() < 4
    assert np.quantile(difference.numpy(), 0.9) < 25


def test_without_texture(room):
    assert fuse(room, room.mask, MeshConfig(texture=None)).texture is None


def test_two_runs_are_equal(room, mesh):
    again = fuse(room, room.mask)
    assert torch.equal(again.vertices, mesh.vertices)
    assert torch.equal(again.faces, mesh.faces)
    assert torch.equal(again.colors, mesh.colors)


def test_refined_depth_is_exact_on_planes_and_bridges_nothing():
    row = torch.linspace(0.2, 0.5, 20).repeat(12, 1)
    fine = refined_depth(1 / row, torch.ones(12, 20, dtype=torch.bool), 4)
    inverse = (1 / fine)[20, 8:-8]
    assert torch.allclose(inverse.diff(), inverse.diff().mean().expand(len(inverse) - 1), atol=1e-6)
    step = torch.full((12, 20), 1.0)
    step[:, 10:] = 4.0
    assert set(refined_depth(step, torch.ones(12, 20, dtype=torch.bool), 4).unique().tolist()) == {1.0, 4.0}


def test_voxels_grow_with_noise_and_with_the_budget(room):
    assert disagreement(room, room.mask) < 0.02
    generator = torch.Generator().manual_seed(0)
    factor = 1 + 0.3 * torch.rand(room.frames, 1, 1, generator=generator)
    noisy = dataclasses.replace(room, depth=room.depth * factor)
    fine = zero_surface(room, room.mask, MeshConfig()).voxel
    assert zero_surface(noisy, room.mask, MeshConfig()).voxel > 1.2 * fine
    assert zero_surface(room, room.mask, MeshConfig(max_blocks=40)).voxel > 1.5 * fine


@pytest.mark.parametrize("wrong", [{"voxel_pixels": 0.0}, {"far": 0.5}, {"min_component": 2.0}, {"max_faces": 0}])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MeshConfig(**wrong)


@pytest.fixture(scope="module")
def noisy() -> Scene:
    """Frames that disagree about depth, as those of a model do."""
    scene = room_scene(5, 120, 160)
    rough = torch.randn(scene.depth.shape, generator=torch.Generator().manual_seed(0))
    return dataclasses.replace(scene, depth=scene.depth * (1 + 0.01 * rough))


def areas_of_pieces(mesh: Mesh) -> np.ndarray:
    piece = pieces(mesh.faces.numpy(), len(mesh.vertices))[mesh.faces[:, 0].numpy()]
    return np.bincount(piece, weights=face_areas(mesh.vertices, mesh.faces).norm(dim=-1).numpy())


def test_few_triangles_of_a_noisy_scene_are_neither_torn_nor_gone(noisy):
    whole = areas_of_pieces(fuse(noisy, noisy.mask, MeshConfig(texture=None)))
    limit = 3000
    small = fuse(noisy, noisy.mask, MeshConfig(texture=None, max_faces=limit))
    areas = areas_of_pieces(small)
    assert limit / 2 < len(small.faces) <= limit
    assert areas.min() >= MeshConfig().min_component * areas.max()
    assert areas.sum() > 0.9 * whole.sum()


def test_a_limit_that_costs_the_surface_is_told(noisy, caplog):
    fuse(noisy, noisy.mask, MeshConfig(texture=None, max_faces=12))
    assert "12 triangles are too few" in caplog.text


def test_no_triangles_are_no_surface():
    empty = np.empty((0, 3), dtype=np.int64)
    assert len(without_small_pieces(np.zeros((0, 3)), empty, 0.02)[1]) == 0
    scene = room_scene(1, HEIGHT, WIDTH)
    with pytest.raises(NoSurface):
        fuse(scene, torch.zeros_like(scene.mask))


def test_simplifying_a_rough_sheet_full_of_holes_keeps_it():
    size, generator = 50, np.random.default_rng(0)
    z, x = np.mgrid[:size, :size].astype(float)
    points = np.stack([x, 0.3 * generator.standard_normal(x.shape), z], axis=-1).reshape(-1, 3)
    corner = np.arange(size * size).reshape(size, size)
    a, b, c, d = corner[:-1, :-1], corner[:-1, 1:], corner[1:, :-1], corner[1:, 1:]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([b, d, c], -1).reshape(-1, 3)])
    points, faces = without_small_pieces(points, faces[generator.random(len(faces)) > 0.3], 0.02)
    coarse, triangles = without_small_pieces(*simplified(points, faces, 500), 0.02)

    def seen_from_above(points: np.ndarray, faces: np.ndarray) -> float:
        return float(np.abs(area_vectors(points, faces)[:, 1]).sum())

    assert 250 < len(triangles) <= 500
    assert 0.9 < seen_from_above(coarse, triangles) / seen_from_above(points, faces) < 1.15
