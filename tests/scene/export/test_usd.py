"""USD packages, read back with USD's own library."""

import dataclasses

import numpy as np
import pytest
import torch

pytest.importorskip("pxr", reason="pxr is missing; pip install 'gen3r[exports]'")

from pxr import Gf, Usd, UsdGeom, UsdValidation

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.convention import extrinsics_from_opengl
from gen3r.cameras.projection import project
from gen3r.extras import Extra
from gen3r.scene.export import optional_mesh, usd
from gen3r.scene.export.source import ExportSource
from scene.rooms import BALL, room_scene

FRAMES, HEIGHT, WIDTH = 3, 27, 37


@pytest.fixture(autouse=True)
def without_mesh(request, monkeypatch):
    """As where the extra is not installed."""
    if "with_mesh" not in request.fixturenames:
        monkeypatch.setattr(optional_mesh, "_EXTRA", Extra(name="mesh", modules=("no_such_library",)))


@pytest.fixture
def with_mesh():
    pytest.importorskip("open3d")


@pytest.fixture
def source() -> ExportSource:
    return ExportSource(room_scene(FRAMES, HEIGHT, WIDTH))


def opened(source, folder) -> Usd.Stage:
    usd.write(source, folder)
    return Usd.Stage.Open(str(folder / "scene.usdz"))


def camera_at(stage: Usd.Stage, frame: int) -> Gf.Camera:
    return UsdGeom.Camera(stage.GetPrimAtPath(usd.CAMERA)).GetCamera(frame)


def validation_errors(stage: Usd.Stage) -> list[str]:
    """What the validators that come with USD object to."""
    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    assert "usdUtilsValidators:UsdzPackageValidator" in {one.GetMetadata().name for one in validators}
    errors = UsdValidation.ValidationContext(validators).Validate(stage)
    return [error.GetErrorAsString() for error in errors]


def to_usd(point: torch.Tensor) -> Gf.Vec3d:
    x, y, z = point.tolist()
    return Gf.Vec3d(x, -y, -z)


def zoomed(source: ExportSource) -> ExportSource:
    """The same room with a lens that changes from frame to frame and is off the centre."""
    cameras = source.scene.cameras
    intrinsics = torch.stack(
        [torch.tensor([[30.0 + 4 * i, 0, 15 + i], [0, 22.0 + i, 16 - 2 * i], [0, 0, 1]]) for i in range(FRAMES)]
    )
    scene = dataclasses.replace(
        source.scene, cameras=Cameras(cameras.extrinsics, intrinsics, cameras.height, cameras.width)
    )
    return ExportSource(scene)


def test_the_stage_says_what_it_is(source, tmp_path):
    stage = opened(source, tmp_path)
    assert UsdGeom.GetStageUpAxis(stage) == "Y"
    assert stage.HasAuthoredMetadata("upAxis")
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1.0
    assert UsdGeom.StageHasAuthoredMetersPerUnit(stage)
    assert stage.GetDefaultPrim().GetPath() == usd.ROOT
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode(), stage.GetTimeCodesPerSecond()) == (0, FRAMES - 1, 12)
    assert "metric" in stage.GetRootLayer().documentation


def test_the_package_keeps_the_rules(source, tmp_path):
    assert validation_errors(opened(source, tmp_path)) == []


@pytest.mark.parametrize("frame", range(FRAMES))
@pytest.mark.parametrize("lens", [lambda source: source, zoomed], ids=["fixed", "zoomed"])
def test_a_point_of_the_room_is_at_its_pixel(source, tmp_path, frame, lens):
    source = lens(source)
    frustum = camera_at(opened(source, tmp_path), frame).frustum
    seen = frustum.ComputeViewMatrix() * frustum.ComputeProjectionMatrix()
    points = torch.stack([BALL, torch.tensor([-2.5, 1.2, 6.0]), torch.tensor([1.0, -1.6, 5.0])])
    expected, _ = project(points.double(), source.scene.cameras[frame].to(dtype=torch.float64))
    for point, pixel in zip(points, expected, strict=True):
        x, y, _ = seen.Transform(to_usd(point))
        assert ((x + 1) / 2 * WIDTH, (1 - y) / 2 * HEIGHT) == pytest.approx(pixel.tolist(), abs=1e-3)


@pytest.mark.parametrize("lens", [lambda source: source, zoomed], ids=["fixed", "zoomed"])
def test_cameras_come_back(source, tmp_path, lens):
    source = lens(source)
    stage = opened(source, tmp_path)
    for frame in range(FRAMES):
        camera, expected = camera_at(stage, frame), source.scene.cameras[frame]
        flip = np.diag([1.0, -1.0, -1.0, 1.0])
        pose = flip @ np.array(camera.transform).T
        extrinsics = extrinsics_from_opengl(torch.from_numpy(pose))
        torch.testing.assert_close(extrinsics.float(), expected.extrinsics, atol=1e-5, rtol=0)
        focal_x = camera.focalLength / camera.horizontalAperture * WIDTH
        focal_y = camera.focalLength / camera.verticalAperture * HEIGHT
        assert [focal_x, focal_y] == pytest.approx(expected.intrinsics.diagonal()[:2].tolist(), abs=1e-4)


def test_points_are_the_cloud(source, tmp_path):
    stage = opened(source, tmp_path)
    points = UsdGeom.Points(stage.GetPrimAtPath(usd.POINTS))
    positions = np.array(points.GetPointsAttr().Get())
    np.testing.assert_array_equal(positions, source.cloud.points)
    encoded = np.array(points.GetDisplayColorPrimvar().Get())
    encoded = np.where(encoded <= 0.0031308, encoded * 12.92, 1.055 * encoded ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(encoded * 255, source.cloud.colors, atol=0.01)
    confidence = UsdGeom.PrimvarsAPI(points).GetPrimvar("confidence")
    np.testing.assert_array_equal(confidence.Get(), source.cloud.confidence)
    assert points.GetWidthsInterpolation() == "constant"
    (width,) = points.GetWidthsAttr().Get()
    assert 0.01 < width < 0.5
    low, high = np.array(points.GetExtentAttr().Get())
    assert (positions > low).all()
    assert (positions < high).all()
    assert points.ComputeVisibility() == "inherited"  # nothing else is there to be seen


def test_the_world_is_upright(source, tmp_path):
    """The floor, at y = 1.2 in OpenCV axes, is below."""
    stage = opened(source, tmp_path)
    bound = UsdGeom.BBoxCache(0, [UsdGeom.Tokens.default_]).ComputeWorldBound(stage.GetPrimAtPath(usd.POINTS))
    assert bound.ComputeAlignedRange().GetMin()[1] == pytest.approx(-1.2, abs=0.1)
    assert bound.ComputeAlignedRange().GetMax()[1] == pytest.approx(1.6, abs=0.1)


def test_nothing_is_clipped(source, tmp_path):
    stage, scene = opened(source, tmp_path), source.scene
    for frame in range(FRAMES):
        depths = project(source.cloud.points, scene.cameras[frame])[1]
        clipping = camera_at(stage, frame).clippingRange
        assert clipping.min < depths[depths > 0.3].min()
        assert depths.max() < clipping.max


def test_with_the_extra_the_mesh_is_what_is_seen(with_mesh, source, tmp_path):
    stage = opened(source, tmp_path)
    mesh = UsdGeom.Mesh(stage.GetPrimAtPath(usd.MESH))
    np.testing.assert_array_equal(mesh.GetPointsAttr().Get(), source.mesh.vertices)
    np.testing.assert_array_equal(np.reshape(mesh.GetFaceVertexIndicesAttr().Get(), (-1, 3)), source.mesh.faces)
    assert set(mesh.GetFaceVertexCountsAttr().Get()) == {3}
    np.testing.assert_array_equal(mesh.GetNormalsAttr().Get(), source.mesh.normals)
    assert len(mesh.GetDisplayColorPrimvar().Get()) == len(source.mesh.vertices)
    assert mesh.GetSubdivisionSchemeAttr().Get() == "none"  # USD would smooth it
    assert mesh.ComputeVisibility() == "inherited"
    assert UsdGeom.Points(stage.GetPrimAtPath(usd.POINTS)).ComputeVisibility() == "invisible"
    assert validation_errors(stage) == []


def test_pixels_that_make_no_surface_are_points_only(with_mesh, source, tmp_path):
    alone = torch.zeros_like(source.scene.mask)
    alone[:, 5, 9] = True
    stage = opened(ExportSource(dataclasses.replace(source.scene, mask=alone)), tmp_path)
    assert not stage.GetPrimAtPath(usd.MESH)
    assert UsdGeom.Points(stage.GetPrimAtPath(usd.POINTS)).ComputeVisibility() == "inherited"


@pytest.mark.parametrize("kind", ["nothing", "one frame"])
def test_degenerate_scenes(tmp_path, kind):
    scene = room_scene(1, 12, 16)
    if kind == "nothing":
        scene = dataclasses.replace(scene, mask=torch.zeros_like(scene.mask))
    source = ExportSource(scene)
    stage = opened(source, tmp_path)
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (0, 0)
    assert len(UsdGeom.Points(stage.GetPrimAtPath(usd.POINTS)).GetPointsAttr().Get()) == len(source.cloud)
    assert camera_at(stage, 0).clippingRange.min > 0
    assert not stage.GetPrimAtPath(usd.MESH)
