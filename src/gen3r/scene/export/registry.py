"""The export formats: their names, files and writers. Imports no torch until a writer is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from gen3r.extras import MESH, PYCOLMAP, Extra
from gen3r.mistakes import did_you_mean

if TYPE_CHECKING:
    from gen3r.scene.export.source import ExportSource


@runtime_checkable
class Writer(Protocol):
    """Writes the files of one format into an existing folder."""

    def __call__(self, source: ExportSource, folder: Path) -> None: ...


@dataclass(frozen=True, kw_only=True)
class ExportFormat:
    """One way to write a scene."""

    name: str
    """What the command line calls it."""
    files: tuple[str, ...]
    """Files or folders it makes; the first is always made."""
    summary: str
    """One line for help and documentation."""
    module: str
    """Module of this package whose `write` is the `Writer`."""
    opens_in: str = ""
    """Programs that open it, for the documentation."""
    conventions: str = ""
    """Axes, units and pixel convention in the file, for the documentation."""
    extra: Extra | None = None
    """Libraries beyond those of every installation."""
    standard: bool = False
    """Part of every new scene folder."""

    @property
    def installed(self) -> bool:
        """Whether every library it needs is here."""
        return self.extra is None or not self.extra.missing

    def check_installed(self) -> None:
        """Raise `ValueError` if a library is missing, with the command that installs it."""
        if self.extra is not None:
            self.extra.require(f"the format {self.name}")

    def writer(self) -> Writer:
        """Import the writer.

        Raises:
            ValueError: if a library is missing, with the command that installs it.
        """
        self.check_installed()
        return cast(Writer, import_module(f"{__package__}.{self.module}").write)


ALL = "all"
"""In place of names: every format whose libraries are installed."""

EXPORT_FORMATS = (
    ExportFormat(
        name="scene",
        files=("scene.safetensors", "scene.json", "views"),
        summary="every array of the scene, exact, and where it came from",
        module="arrays",
        opens_in="Gen3R, any reader of safetensors",
        conventions="the scene's own: [formats](formats.md)",
        standard=True,
    ),
    ExportFormat(
        name="mp4",
        files=("rgb.mp4", "depth.mp4"),
        summary="the frames, and their depth in colour, as H.264 videos",
        module="mp4",
        opens_in="browsers, video players, video editors",
        conventions="yuv420p, BT.709, 12 frames per second; near is bright, grey is no surface",
        standard=True,
    ),
    ExportFormat(
        name="png",
        files=("depth",),
        summary="depth as 16-bit PNG, one per frame",
        module="depth_png",
        opens_in="OpenCV, Pillow, Open3D, image viewers",
        conventions="z-depth in scene units = value x `depth_scale` (a text entry of each file); 0 = no surface",
        standard=True,
    ),
    ExportFormat(
        name="ply",
        files=("points.ply",),
        summary="cleaned point cloud with colour and confidence, binary",
        module="ply",
        opens_in="MeshLab, CloudCompare, Blender, Open3D, trimesh",
        conventions="world, OpenCV axes, scene units; sRGB bytes; `confidence` float",
        standard=True,
    ),
    ExportFormat(
        name="glb",
        files=("scene.glb",),
        summary="the same cloud, and cameras and their path, as glTF 2.0 binary",
        module="glb",
        opens_in="browsers (three.js), Blender, Windows and macOS viewers",
        conventions="y up, z backward (the root node turns the OpenCV world); linear colours; exact K in `extras`",
        standard=True,
    ),
    ExportFormat(
        name="cameras",
        files=("cameras.json",),
        summary="poses and intrinsics",
        module="cameras_json",
        opens_in="`gen3r generate --cameras`, any JSON reader",
        conventions="world-to-camera, OpenCV axes, pixels, pixel centres at +0.5",
        standard=True,
    ),
    ExportFormat(
        name="preview",
        files=("preview.png",),
        summary="the whole scene in one picture",
        module="preview_png",
        opens_in="anything that shows pictures",
        conventions="to look at, not to measure",
        standard=True,
    ),
    ExportFormat(
        name="npz",
        files=("scene.npz",),
        summary="every array of the scene, its cleaned pixels and world points for numpy",
        module="npz",
        opens_in="`numpy.load`, without pickle",
        conventions="as in the scene; the entry `conventions` explains every array",
    ),
    ExportFormat(
        name="exr",
        files=("depth_exr",),
        summary="exact float32 depth as OpenEXR, one per frame",
        module="exr",
        opens_in="Nuke, Blender, Houdini, OpenCV, OpenEXR",
        conventions="channel `Z`: z-depth in scene units; 0 = no surface",
        extra=Extra(name="exports", modules=("OpenEXR",)),
    ),
    ExportFormat(
        name="colmap",
        files=("colmap",),
        summary="COLMAP model with pictures, points and their tracks; text and binary",
        module="colmap",
        opens_in="COLMAP, pycolmap, trainers of Gaussian splats (3DGS, gsplat, nerfstudio)",
        conventions="world-to-camera, OpenCV axes, PINHOLE, pixel centres at +0.5, scene units",
        extra=PYCOLMAP,
    ),
    ExportFormat(
        name="nerfstudio",
        files=("nerfstudio",),
        summary="transforms.json with pictures, 16-bit depth and the point cloud",
        module="nerfstudio",
        opens_in="nerfstudio, instant-ngp and other trainers that read transforms.json",
        conventions="camera-to-world, OpenGL camera axes, the scene's world, scene units; depth in thousandths of them",
    ),
    ExportFormat(
        name="tum",
        files=("trajectory.txt",),
        summary="camera path as a TUM RGB-D trajectory",
        module="tum",
        opens_in="evo, and evaluation tools of visual SLAM",
        conventions="camera-to-world, OpenCV axes, quaternion x y z w, scene units; seconds at 12 frames per second",
    ),
    ExportFormat(
        name="3dgs",
        files=("splats.ply",),
        summary="Gaussian splats straight from depth, not trained",
        module="gaussians_ply",
        opens_in="SuperSplat, PlayCanvas, splat add-ons of Blender and Unity; gsplat and nerfstudio for training",
        conventions="OpenCV axes, scene units; log scales, logit opacities, quaternion w x y z, harmonics of degree 0",
    ),
    ExportFormat(
        name="spz",
        files=("splats.spz",),
        summary="the same splats, quantised to about a fifth of the size",
        module="spz",
        opens_in="Scaniverse, SuperSplat, Spark, CesiumJS and other web viewers",
        conventions="x right, y up, z backward (half a turn about x from OpenCV); version 3; scene units, splats of "
        "4.5e-5 at least",
        extra=Extra(name="exports", modules=("gsply",)),
    ),
    ExportFormat(
        name="usd",
        files=("scene.usdz",),
        summary="animated camera, point cloud and mesh as one USD package",
        module="usd",
        opens_in="usdview, Omniverse, Blender, Houdini, Maya, Unreal, Quick Look",
        conventions="Y up, metersPerUnit 1 (metres only if the scene is metric), linear colours, 12 time codes per s",
        extra=Extra(name="exports", modules=("pxr",)),
    ),
    ExportFormat(
        name="rerun",
        files=("scene.rrd",),
        summary="recording with timeline: cameras, pictures, depth, points, path, mesh",
        module="rerun",
        opens_in="the Rerun viewer of the same or a newer version",
        conventions="OpenCV axes, camera-to-world, pixel centres at +0.5, scene units, depth 0 where no surface",
        extra=Extra(name="exports", modules=("rerun",)),
    ),
    ExportFormat(
        name="mesh",
        files=("mesh",),
        summary="surface with texture, convex collision bodies, URDF and MuJoCo scene",
        module="mesh",
        opens_in="MuJoCo, PyBullet, Isaac Sim, Gazebo; the OBJ anywhere",
        conventions="x forward, y left, z up, as ROS and MuJoCo have it; scene units (metres if the model was metric); "
        "texture coordinates from the lower left",
        extra=MESH,
    ),
    ExportFormat(
        name="glb-mesh",
        files=("mesh.glb",),
        summary="textured surface and cameras as glTF 2.0 binary",
        module="glb_mesh",
        opens_in="Blender, three.js, Windows 3D Viewer, Unity, Godot",
        conventions="y up, z backward (the root node turns the OpenCV world); exact K in `extras`",
        extra=MESH,
    ),
)

STANDARD_FORMATS = tuple(item for item in EXPORT_FORMATS if item.standard)
"""What every new scene folder holds."""


def find_formats(names: Sequence[str]) -> tuple[ExportFormat, ...]:
    """Formats by name (`ply`), by a file they make (`points.ply`), or `all`, without repeats, ready to be written.

    Raises:
        ValueError: listing the known formats for a name that is none, and for no name at all; for a format that was
            named and whose libraries are missing, with the command that installs them.
    """
    known: dict[str, tuple[ExportFormat, ...]] = {
        name: (item,) for item in EXPORT_FORMATS for name in (*item.files, item.name)
    }
    known[ALL] = tuple(item for item in EXPORT_FORMATS if item.installed)
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        problem = f"unknown export format {', '.join(map(repr, unknown))}" if unknown else "no export format given"
        meant = did_you_mean(unknown[0], known) if unknown else ""
        raise ValueError(
            f"{problem};{meant} the formats are {', '.join(item.name for item in EXPORT_FORMATS)} and {ALL}."
        )
    found = tuple(dict.fromkeys(item for name in names for item in known[name]))
    for item in found:
        item.check_installed()
    return found
