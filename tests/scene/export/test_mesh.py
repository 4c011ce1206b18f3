"""The formats mesh and glb-mesh, read by trimesh and MuJoCo."""

import dataclasses
import json
import struct
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh

pytest.importorskip("open3d", reason="open3d is missing; pip install 'gen3r[mesh]'")

from gen3r.scene.export import glb_mesh
from gen3r.scene.export import mesh as mesh_format
from gen3r.scene.export.optional_mesh import mesh_if_possible
from gen3r.scene.export.options import ExportOptions
from gen3r.scene.export.source import ExportSource
from gen3r.scene.mesh.collision import CollisionConfig, convex_parts
from gen3r.scene.mesh.simulation import write_simulation
from gen3r.scene.mesh.upright import upright_from_scene
from scene.rooms import room_scene

FLOOR, RADIUS = 1.2, 0.15


@pytest.fixture(scope="module")
def source() -> ExportSource:
    return ExportSource(room_scene(5, 60, 80), options=ExportOptions(clean="none"))


@pytest.fixture(scope="module")
def folder(source, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("mesh")
    mesh_format.write(source, out)
    glb_mesh.write(source, out)
    return out


def test_obj_is_the_mesh_upright_with_its_texture(source, folder):
    mesh = source.mesh
    upright = upright_from_scene(mesh, source.scene.cameras)
    read: Any = trimesh.load_mesh(folder / "mesh/scene.obj", process=False)
    corners = mesh.vertices.double().numpy()[mesh.faces] @ upright.T
    assert np.allclose(read.triangles, corners, atol=1e-5)
    places = read.visual.uv[read.faces]
    assert np.allclose(places, mesh.texture.uv.numpy(), atol=1e-5)
    assert np.array_equal(np.asarray(read.visual.material.image.convert("RGB")), mesh.texture.image.numpy())


def test_glb_is_the_mesh_in_gltf_axes_with_every_camera(source, folder):
    mesh = source.mesh
    document = trimesh.load_scene(folder / "mesh.glb", process=False)
    read: Any = document.dump()[0]
    corners = mesh.vertices.numpy()[mesh.faces] * [1, -1, -1]
    assert np.allclose(read.triangles, corners, atol=1e-5)
    stored: Any = document.geometry["mesh"]
    assert np.allclose(stored.vertex_normals[stored.faces], mesh.normals.numpy()[mesh.faces], atol=1e-3)
    assert np.allclose(read.visual.uv[read.faces], mesh.texture.uv.numpy(), atol=1e-5)
    picture = read.visual.material.baseColorTexture.convert("RGB")
    assert np.array_equal(np.asarray(picture), mesh.texture.image.numpy())


def test_glb_materials_need_no_light_and_cameras_are_there(source, folder):
    data = (folder / "mesh.glb").read_bytes()
    tree = json.loads(data[20 : 20 + struct.unpack("<I", data[12:16])[0]])
    assert "KHR_materials_unlit" in tree["materials"][0]["extensions"]
    assert len(tree["cameras"]) == source.scene.frames


@pytest.mark.parametrize("name", ["scene.xml", "scene.urdf"])
def test_a_dropped_ball_rests_on_the_floor(source, folder, name):
    mujoco = pytest.importorskip("mujoco")
    world = mujoco.MjSpec.from_file(str(folder / "mesh" / name))
    upright = upright_from_scene(source.mesh, source.scene.cameras)
    places = [(-1.6, 4.0), (-1.0, 5.0), (-1.8, 5.2), (1.8, 4.0), (1.6, 5.2)]  # x, z over the floor that was seen
    starts = [upright @ [x, FLOOR - 3 * RADIUS, z] for x, z in places]
    for start in starts:
        body = world.worldbody.add_body(pos=start)
        body.add_freejoint()
        ball = body.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[RADIUS, 0, 0], mass=0.2)
        ball.condim, ball.friction = 6, [1.0, 0.1, 0.1]
    model = world.compile()
    assert np.allclose(model.opt.gravity, [0, 0, -9.81])
    data = mujoco.MjData(model)
    for _ in range(2500):
        mujoco.mj_step(model, data)
    ends = data.qpos.reshape(-1, 7)[:, :3]
    size = float(np.linalg.norm(np.ptp(source.mesh.vertices.numpy(), axis=0)))
    assert np.allclose(ends[:, 2], -FLOOR + RADIUS, atol=CollisionConfig().tolerance * size)
    assert np.abs(data.qvel).max() < 0.05
    assert np.linalg.norm(ends[:, :2] - np.array(starts)[:, :2], axis=1).max() < 2 * RADIUS


def test_mjcf_cameras_are_those_of_the_scene(source, folder):
    mujoco = pytest.importorskip("mujoco")
    model = mujoco.MjModel.from_xml_path(str(folder / "mesh/scene.xml"))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    upright = upright_from_scene(source.mesh, source.scene.cameras)
    poses = source.scene.cameras.world_from_camera.double().numpy()
    assert np.allclose(data.cam_xpos, poses[:, :3, 3] @ upright.T, atol=1e-5)
    axes = data.cam_xmat.reshape(-1, 3, 3)
    assert np.allclose(axes, upright @ poses[:, :3, :3] @ np.diag([1, -1, -1]), atol=1e-5)
    assert np.allclose(np.deg2rad(model.cam_fovy), source.scene.cameras.fov[:, 0], atol=1e-5)
    assert model.nmesh == len(list((folder / "mesh/collision").iterdir())) + 1


def test_a_scene_without_surface_is_refused(source, tmp_path):
    scene = source.scene
    empty = dataclasses.replace(scene, mask=torch.zeros_like(scene.mask))
    with pytest.raises(ValueError, match="no pixel is left"):
        mesh_format.write(ExportSource(empty), tmp_path)


def test_urdf_is_fixed_to_the_world(folder):
    robot: Any = ET.parse(folder / "mesh/scene.urdf").getroot()
    joints = robot.findall("joint")
    assert [joint.get("type") for joint in joints] == ["fixed"]
    assert joints[0].find("parent").get("link") == "world"
    assert joints[0].find("child").get("link") == "scene"
    links = {link.get("name"): link for link in robot.findall("link")}
    assert set(links) == {"world", "scene"}
    assert len(links["world"]) == 0
    assert float(links["scene"].find("inertial/mass").get("value")) > 0


@pytest.mark.parametrize(("scale", "fits"), [(1e-2, True), (1e-5, False)])
def test_a_scene_too_small_for_physics_is_refused(source, tmp_path, scale, fits):
    mujoco = pytest.importorskip("mujoco")
    parts = [
        dataclasses.replace(part, vertices=part.vertices * scale)
        for part in convex_parts(source.mesh, CollisionConfig(max_parts=16))
    ]
    mesh = dataclasses.replace(source.mesh, vertices=source.mesh.vertices * scale)
    arguments = (tmp_path / "mesh", mesh, parts, np.eye(3), source.scene.cameras)
    if fits:
        write_simulation(*arguments)
        assert mujoco.MjModel.from_xml_path(str(tmp_path / "mesh/scene.xml")).ngeom == len(parts) + 1
    else:
        with pytest.raises(ValueError, match="too small for physics"):
            write_simulation(*arguments)
        assert not any(tmp_path.iterdir())


def test_the_optional_mesh_is_none_only_without_a_surface(source):
    scene = source.scene
    assert mesh_if_possible(ExportSource(dataclasses.replace(scene, mask=torch.zeros_like(scene.mask)))) is None
    wrong = ExportOptions(clean="none")
    object.__setattr__(wrong, "max_faces", 0)  # any other error of making the mesh
    with pytest.raises(ValueError, match="max_faces"):
        mesh_if_possible(ExportSource(scene, options=wrong))
