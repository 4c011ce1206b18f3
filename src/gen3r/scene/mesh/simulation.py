"""A mesh and its collision parts as files that physics engines load: OBJ, URDF and MuJoCo's MJCF.

All are in an upright world: x forward as the first camera looks, y left, z up (ROS REP 103, URDF, MuJoCo), in scene
units, which are metres only if the model was metric. The origin is the scene's.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64
from PIL import Image
from scipy.spatial import ConvexHull

from gen3r.cameras.cameras import Cameras
from gen3r.scene.mesh.collision import ConvexPart
from gen3r.scene.mesh.mesh import Mesh

_VISUAL, _TEXTURE, _MATERIAL = "scene.obj", "texture.png", "scene.mtl"
_SMALLEST = 1e-14  # volume of a part; MuJoCo refuses 1e-15
_FRAME = "x forward, y left, z up; scene units"


def write_simulation(
    folder: Path,
    mesh: Mesh,
    parts: Sequence[ConvexPart],
    upright: Float64[np.ndarray, "3 3"],
    cameras: Cameras,
) -> None:
    """Write scene.obj with its material and texture, collision/part000.obj, ..., scene.urdf and scene.xml (MJCF).

    Args:
        upright: rotation from the scene's world to the upright one.

    Raises `ValueError` if a part is too small for physics engines.
    """
    if (smallest := min(float(ConvexHull(part.vertices).volume) for part in parts)) < _SMALLEST:
        raise ValueError(
            f"the scene is too small for physics engines: a collision part has a volume of {smallest:.1e} cubic units, "
            f"{_SMALLEST:.0e} is the least; multiply its depth and camera positions first."
        )
    (folder / "collision").mkdir(parents=True)
    _write_visual(folder, mesh, upright)
    names = [f"collision/part{index:03d}.obj" for index in range(len(parts))]
    for name, part in zip(names, parts, strict=True):
        lines = [f"# convex; {_FRAME}", *_rows("v", part.vertices @ upright.T), *_triangles(part.faces)]
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    _write_xml(folder / "scene.urdf", _urdf(names))
    _write_xml(folder / "scene.xml", _mjcf(names, upright, cameras, textured=mesh.texture is not None))


def _write_visual(folder: Path, mesh: Mesh, upright: Float64[np.ndarray, "3 3"]) -> None:
    vertices = mesh.vertices.double().numpy() @ upright.T
    normals = mesh.normals.double().numpy() @ upright.T
    faces = mesh.faces.numpy()
    head = [f"# {_FRAME}"]
    if mesh.texture is None:
        points = np.concatenate([vertices, mesh.colors.double().numpy() / 255], axis=1)
        body = [*_rows("v", points), *_rows("vn", normals), *_triangles(faces, normals=True)]
    else:
        Image.fromarray(mesh.texture.image.numpy()).save(folder / _TEXTURE)
        material = f"newmtl scene\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nillum 0\nmap_Kd {_TEXTURE}\n"
        (folder / _MATERIAL).write_text(material, encoding="utf-8")
        places, index = np.unique(mesh.texture.uv.numpy().reshape(-1, 2), axis=0, return_inverse=True)
        head += [f"mtllib {_MATERIAL}", "usemtl scene"]
        corners = _triangles(faces, index.reshape(-1, 3), normals=True)
        body = [*_rows("v", vertices), *_rows("vt", places), *_rows("vn", normals), *corners]
    (folder / _VISUAL).write_text("\n".join([*head, *body]) + "\n", encoding="utf-8")


def _rows(word: str, values: np.ndarray) -> list[str]:
    return [f"{word} {' '.join(f'{value:.7g}' for value in row)}" for row in values.tolist()]


def _triangles(
    faces: Int64[np.ndarray, "T 3"], places: Int64[np.ndarray, "T 3"] | None = None, normals: bool = False
) -> list[str]:
    """OBJ counts from 1; a corner is vertex/place/normal, and vertex and normal share their index."""
    if places is not None:
        pattern, columns = "f " + " ".join(["%d/%d/%d"] * 3), (faces, places, faces)
    elif normals:
        pattern, columns = "f " + " ".join(["%d//%d"] * 3), (faces, faces)
    else:
        pattern, columns = "f %d %d %d", (faces,)
    rows = np.stack(columns, axis=-1).reshape(len(faces), -1) + 1
    return [pattern % tuple(row) for row in rows.tolist()]


def _urdf(parts: Sequence[str]) -> ET.Element:
    robot = ET.Element("robot", name="gen3r_scene")
    # MuJoCo's own element; others pass over it. Without it MuJoCo drops the folder of the mesh files.
    ET.SubElement(ET.SubElement(robot, "mujoco"), "compiler", strippath="false", discardvisual="true")
    # A link of this name stands still; without the joint the scene would fall.
    ET.SubElement(robot, "link", name="world")
    joint = ET.SubElement(robot, "joint", name="fixed", type="fixed")
    ET.SubElement(joint, "parent", link="world")
    ET.SubElement(joint, "child", link="scene")
    link = ET.SubElement(robot, "link", name="scene")
    inertial = ET.SubElement(link, "inertial")  # without effect, but some engines ask for it
    ET.SubElement(inertial, "mass", value="1")
    ET.SubElement(inertial, "inertia", ixx="1", ixy="0", ixz="0", iyy="1", iyz="0", izz="1")
    for kind, name in [("visual", _VISUAL), *(("collision", part) for part in parts)]:
        geometry = ET.SubElement(ET.SubElement(link, kind), "geometry")
        ET.SubElement(geometry, "mesh", filename=name)
    return robot


def _mjcf(parts: Sequence[str], upright: Float64[np.ndarray, "3 3"], cameras: Cameras, *, textured: bool) -> ET.Element:
    root = ET.Element("mujoco", model="gen3r_scene")
    ET.SubElement(root, "option", gravity="0 0 -9.81")
    assets = ET.SubElement(root, "asset")
    world = ET.SubElement(root, "worldbody")
    look = {}
    if textured:
        ET.SubElement(assets, "texture", name="scene", type="2d", file=_TEXTURE)
        ET.SubElement(assets, "material", name="scene", texture="scene", specular="0", emission="1")
        look = {"material": "scene"}
    # An open surface has no inside to weigh.
    ET.SubElement(assets, "mesh", name="scene", file=_VISUAL, inertia="shell")
    ET.SubElement(world, "geom", type="mesh", mesh="scene", contype="0", conaffinity="0", group="2").attrib.update(look)
    for index, part in enumerate(parts):
        ET.SubElement(assets, "mesh", name=f"part{index:03d}", file=part)
        ET.SubElement(world, "geom", name=f"part{index:03d}", type="mesh", mesh=f"part{index:03d}", group="3")
    poses = cameras.world_from_camera.double().numpy()
    for index, pose in enumerate(poses):
        axes = upright @ pose[:3, :3]
        ET.SubElement(
            world,
            "camera",
            name=f"frame{index:05d}",
            pos=_numbers(upright @ pose[:3, 3]),
            xyaxes=_numbers(np.concatenate([axes[:, 0], -axes[:, 1]])),
            fovy=_numbers(np.rad2deg(cameras.fov[index, :1].double().numpy())),
        )
    return root


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{value:.9g}" for value in values.tolist())


def _write_xml(path: Path, root: ET.Element) -> None:
    root.insert(0, ET.Comment(f" {_FRAME} "))
    ET.indent(root)
    path.write_text(ET.tostring(root, encoding="unicode") + "\n", encoding="utf-8")
