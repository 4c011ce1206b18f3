"""scene.usdz: the animated camera, the cloud and, where it can be made, the mesh as one USD package."""

# pyright: reportAttributeAccessIssue=false
# (the Python bindings of USD come without type stubs)

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, UInt8
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade, UsdUtils, Vt

from gen3r.cameras.convention import opengl_from_extrinsics
from gen3r.scene.export.glb import FLIP
from gen3r.scene.export.linear_color import linear_from_srgb
from gen3r.scene.export.optional_mesh import mesh_if_possible
from gen3r.scene.export.source import ExportSource
from gen3r.scene.export.video import FRAMES_PER_SECOND
from gen3r.scene.frusta import clipping_range
from gen3r.scene.point_cloud import pixel_footprint
from gen3r.scene.scene import Scene

if TYPE_CHECKING:
    from gen3r.scene.mesh import Mesh

ROOT = "/Scene"
WORLD = f"{ROOT}/world"
"""Below it everything is in the scene's OpenCV world; its transform turns that into USD's y-up."""
CAMERA, POINTS, MESH, MATERIAL = (f"{WORLD}/{name}" for name in ("camera", "points", "mesh", "material"))

_APERTURE = 36.0
"""Width of the film in tenths of a scene unit. It only decides how the focal length reads: here as on 35 mm film."""


def write(source: ExportSource, folder: Path) -> None:
    """Write Y up, 1 metre per unit, one time code per frame.

    Lengths are the scene's, so they are metres only if its model was metric. The mesh needs the extra `mesh`; with it
    the points are there but hidden, without it they are what is seen.
    """
    with tempfile.TemporaryDirectory() as staging:
        layer = Path(staging) / "scene.usdc"
        stage = Usd.Stage.CreateNew(str(layer))
        _describe(stage, source.scene)
        _add_camera(stage, source.scene)
        points = _add_points(stage, source)
        mesh = mesh_if_possible(source)
        if mesh is not None:
            _add_mesh(stage, mesh)
            points.MakeInvisible()
        stage.Save()
        if not UsdUtils.CreateNewUsdzPackage(str(layer), str(folder / "scene.usdz")):
            raise OSError(f"USD could not write {folder / 'scene.usdz'}; is the disk full?")


def _describe(stage: Usd.Stage, scene: Scene) -> None:
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetTimeCodesPerSecond(FRAMES_PER_SECOND)
    stage.SetFramesPerSecond(FRAMES_PER_SECOND)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(scene.frames - 1)
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, ROOT).GetPrim())
    stage.GetRootLayer().documentation = "Made by Gen3R. Lengths are metres only if the model that made it was metric."
    UsdGeom.Xform.Define(stage, WORLD).AddTransformOp().Set(Gf.Matrix4d(FLIP))


def _add_camera(stage: Usd.Stage, scene: Scene) -> None:
    """One camera, its place and lens as one time sample per frame."""
    camera = UsdGeom.Camera.Define(stage, CAMERA)
    place = camera.AddTransformOp()
    lens = (
        camera.CreateFocalLengthAttr(),
        camera.CreateHorizontalApertureAttr(),
        camera.CreateVerticalApertureAttr(),
        camera.CreateHorizontalApertureOffsetAttr(),
        camera.CreateVerticalApertureOffsetAttr(),
    )
    poses = opengl_from_extrinsics(scene.cameras.extrinsics.double()).numpy()
    for frame, (pose, intrinsics) in enumerate(zip(poses, scene.cameras.intrinsics.double().numpy(), strict=True)):
        place.Set(Gf.Matrix4d(pose.T), frame)  # USD multiplies row vectors
        for attribute, value in zip(lens, _lens(intrinsics, scene.height, scene.width), strict=True):
            attribute.Set(value, frame)
    camera.CreateClippingRangeAttr(Gf.Vec2f(*clipping_range(scene)))


def _lens(intrinsics: Float[np.ndarray, "3 3"], height: int, width: int) -> tuple[float, float, float, float, float]:
    """Focal length, apertures and their offsets, tenths of a unit: right and up are positive, as in the film."""
    focal_length = intrinsics[0, 0] * _APERTURE / width
    vertical = focal_length * height / intrinsics[1, 1]
    right = _APERTURE * (0.5 - intrinsics[0, 2] / width)
    up = vertical * (intrinsics[1, 2] / height - 0.5)
    return focal_length, _APERTURE, vertical, right, up


def _add_points(stage: Usd.Stage, source: ExportSource) -> UsdGeom.Points:
    cloud, scene = source.cloud, source.scene
    points = UsdGeom.Points.Define(stage, POINTS)
    positions = Vt.Vec3fArray.FromNumpy(cloud.points.numpy())
    points.CreatePointsAttr(positions)
    width = pixel_footprint(scene)
    widths = Vt.FloatArray([width])
    points.CreateWidthsAttr(widths)
    points.SetWidthsInterpolation(UsdGeom.Tokens.constant)
    points.CreateExtentAttr(UsdGeom.Points.ComputeExtent(positions, Vt.FloatArray([width] * len(positions))))
    _paint(points, cloud.colors.numpy())
    confidence = UsdGeom.PrimvarsAPI(points).CreatePrimvar(
        "confidence", Sdf.ValueTypeNames.FloatArray, UsdGeom.Tokens.vertex
    )
    confidence.Set(Vt.FloatArray.FromNumpy(cloud.confidence.numpy()))
    return points


def _add_mesh(stage: Usd.Stage, mesh: Mesh) -> None:
    shape = UsdGeom.Mesh.Define(stage, MESH)
    positions = Vt.Vec3fArray.FromNumpy(mesh.vertices.numpy())
    shape.CreatePointsAttr(positions)
    shape.CreateFaceVertexCountsAttr(Vt.IntArray([3] * len(mesh.faces)))
    shape.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(mesh.faces.int().flatten().numpy()))
    shape.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(mesh.normals.numpy()))
    shape.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    shape.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    shape.CreateDoubleSidedAttr(True)
    shape.CreateExtentAttr(UsdGeom.PointBased.ComputeExtent(positions))
    _paint(shape, mesh.colors.numpy())
    material = _vertex_color_material(stage)
    UsdShade.MaterialBindingAPI.Apply(shape.GetPrim()).Bind(material)


def _paint(shape: UsdGeom.Gprim, colors: UInt8[np.ndarray, "N 3"]) -> None:
    """sRGB bytes as the linear colours that USD displays."""
    color = shape.CreateDisplayColorPrimvar(UsdGeom.Tokens.vertex)
    color.Set(Vt.Vec3fArray.FromNumpy(linear_from_srgb(colors)))


def _vertex_color_material(stage: Usd.Stage) -> UsdShade.Material:
    """A matt material in the colours of the vertices, for programs that draw no mesh without one."""
    material = UsdShade.Material.Define(stage, MATERIAL)
    reader = UsdShade.Shader.Define(stage, f"{MATERIAL}/color")
    reader.CreateIdAttr("UsdPrimvarReader_float3")
    reader.CreateInput("varname", Sdf.ValueTypeNames.String).Set("displayColor")
    surface = UsdShade.Shader.Define(stage, f"{MATERIAL}/surface")
    surface.CreateIdAttr("UsdPreviewSurface")
    surface.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).ConnectToSource(
        reader.CreateOutput("result", Sdf.ValueTypeNames.Float3)
    )
    surface.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(1.0)
    material.CreateSurfaceOutput().ConnectToSource(surface.CreateOutput("surface", Sdf.ValueTypeNames.Token))
    return material
