"""Other people's readers of every export format, each asked for a basic fact of the scene."""

# pyright: reportAttributeAccessIssue=false
# (the Python bindings of USD come without type stubs)

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import plyfile
import torch
import trimesh
from evo.tools import file_interface
from PIL import Image
from safetensors.numpy import load_file

from gen3r.scene.scene import Scene

GLTF_AXES = np.array([1, -1, -1])


def decode(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return stream.codec_context.name, stream.codec_context.pix_fmt, np.stack(frames)


def glb_json(path):
    data = path.read_bytes()
    magic, version, total, length, kind = struct.unpack_from("<4sIII4s", data)
    assert (magic, version, total, kind) == (b"glTF", 2, len(data), b"JSON")
    return json.loads(data[20 : 20 + length])


def arrays(folder: Path, scene: Scene) -> None:
    np.testing.assert_array_equal(load_file(folder / "scene.safetensors")["rgb"], scene.rgb)


def videos(folder: Path, scene: Scene) -> None:
    assert [len(decode(folder / name)[2]) for name in ("rgb.mp4", "depth.mp4")] == [scene.frames] * 2


def depth_png(folder: Path, scene: Scene) -> None:
    seen = [np.asarray(Image.open(path)) > 0 for path in sorted((folder / "depth").iterdir())]
    np.testing.assert_array_equal(np.stack(seen), scene.mask)


def cloud(folder: Path, scene: Scene) -> None:
    assert_seen(len(plyfile.PlyData.read(folder / "points.ply")["vertex"]), scene)


def glb(folder: Path, scene: Scene) -> None:
    document = trimesh.load_scene(folder / "scene.glb")
    assert_seen(len(document.geometry["points"].vertices) if "points" in document.geometry else 0, scene)
    assert_glb_cameras(folder / "scene.glb", scene)


def cameras(folder: Path, scene: Scene) -> None:
    poses = np.linalg.inv(json.loads((folder / "cameras.json").read_text())["extrinsics"])
    assert_centers(poses[:, :3, 3], scene)


def preview(folder: Path, scene: Scene) -> None:
    assert Image.open(folder / "preview.png").convert("RGB").width > scene.width


def npz(folder: Path, scene: Scene) -> None:
    np.testing.assert_array_equal(np.load(folder / "scene.npz", allow_pickle=False)["rgb"], scene.rgb)


def exr(folder: Path, scene: Scene) -> None:
    import OpenEXR

    seen = [OpenEXR.File(str(path)).channels()["Z"].pixels > 0 for path in sorted((folder / "depth_exr").iterdir())]
    np.testing.assert_array_equal(np.stack(seen), scene.mask)


def colmap(folder: Path, scene: Scene) -> None:
    import pycolmap

    images = pycolmap.Reconstruction(folder / "colmap/sparse/0").images
    assert_centers([images[index].projection_center() for index in sorted(images)], scene)


def nerfstudio(folder: Path, scene: Scene) -> None:
    record = json.loads((folder / "nerfstudio/transforms.json").read_text())
    poses = np.array([frame["transform_matrix"] for frame in record["frames"]])
    assert_centers(poses[:, :3, 3] / record["units_per_scene_unit"], scene)


def trajectory(folder: Path, scene: Scene) -> None:
    assert_centers(file_interface.read_tum_trajectory_file(folder / "trajectory.txt").positions_xyz, scene)


def splats(folder: Path, scene: Scene) -> None:
    assert_seen(len(plyfile.PlyData.read(folder / "splats.ply")["vertex"]), scene)


def spz(folder: Path, scene: Scene) -> None:
    import gsply

    assert_seen(len(gsply.read_spz(folder / "splats.spz").means), scene)


def usd(folder: Path, scene: Scene) -> None:
    from pxr import Usd, UsdGeom

    stage = Usd.Stage.Open(str(folder / "scene.usdz"))
    (camera,) = (UsdGeom.Camera(prim) for prim in stage.Traverse() if prim.IsA(UsdGeom.Camera))
    frames = range(int(stage.GetEndTimeCode()) + 1)
    centers = [camera.ComputeLocalToWorldTransform(frame).ExtractTranslation() for frame in frames]
    assert_centers(np.array(centers) * GLTF_AXES, scene)


def rerun(folder: Path, scene: Scene) -> None:
    from rerun.chunk import RrdReader

    chunks = [one for one in RrdReader(folder / "scene.rrd").stream() if one.entity_path.endswith("image/rgb")]
    assert sum(one.to_record_batch().num_rows for one in chunks) == scene.frames


def mesh(folder: Path, scene: Scene) -> None:
    assert len(trimesh.load_mesh(folder / "mesh/scene.obj").faces) > 0


def glb_mesh(folder: Path, scene: Scene) -> None:
    assert len(trimesh.load_scene(folder / "mesh.glb").geometry["mesh"].faces) > 0
    assert_glb_cameras(folder / "mesh.glb", scene)


READERS: dict[str, Callable[[Path, Scene], None]] = {
    "scene": arrays,
    "mp4": videos,
    "png": depth_png,
    "ply": cloud,
    "glb": glb,
    "cameras": cameras,
    "preview": preview,
    "npz": npz,
    "exr": exr,
    "colmap": colmap,
    "nerfstudio": nerfstudio,
    "tum": trajectory,
    "3dgs": splats,
    "spz": spz,
    "usd": usd,
    "rerun": rerun,
    "mesh": mesh,
    "glb-mesh": glb_mesh,
}
"""By the name of the format: asserts what the files in a folder say of the scene."""


def assert_seen(points: int, scene: Scene) -> None:
    """There are points where the scene has a surface, and only there."""
    assert (points > 0) == bool(scene.mask.any())


def assert_centers(centers: Any, scene: Scene) -> None:
    """There is a camera for every frame, at its place in the world."""
    np.testing.assert_allclose(centers, scene.cameras.to(dtype=torch.float64).centers, atol=1e-5)


def assert_glb_cameras(path: Path, scene: Scene) -> None:
    """As `assert_centers`; the nodes of the cameras hang below one that turns the world."""
    poses = [np.reshape(node["matrix"], (4, 4)) for node in glb_json(path)["nodes"] if "camera" in node]
    assert_centers(np.array(poses)[:, 3, :3], scene)
