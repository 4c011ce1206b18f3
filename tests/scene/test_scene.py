import dataclasses
import json

import jaxtyping
import pytest
import torch
from safetensors.torch import load_file, save_file

from gen3r.cameras.projection import project
from gen3r.scene.scene import ARRAYS_FILE, RECORD_FILE, PixelAnchor, Scene
from scene.rooms import room_scene


@pytest.fixture(scope="module")
def scene() -> Scene:
    return room_scene()


@pytest.fixture
def as_installed():
    """Without the shape checks of the test run, which would speak up before ours do."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def edit_record(folder, **changes):
    path = folder / RECORD_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_world_points_are_the_surfaces_the_rays_hit(scene):
    torch.testing.assert_close(scene.world_points()[scene.mask], scene.points[scene.mask], atol=1e-5, rtol=0)


def test_a_world_point_projects_to_the_centre_of_its_pixel(scene):
    pixels, depth = project(scene.world_points()[2, 5, 7][None], scene.cameras[2])
    torch.testing.assert_close(pixels, torch.tensor([[7.5, 5.5]]), atol=1e-4, rtol=0)
    torch.testing.assert_close(depth, scene.depth[2, 5, 7][None])


def test_official_anchor_is_half_a_pixel_off(scene):
    pixels, _ = project(scene.world_points(PixelAnchor.INTEGER)[2, 5, 7][None], scene.cameras[2])
    torch.testing.assert_close(pixels, torch.tensor([[7.0, 5.0]]), atol=1e-4, rtol=0)


def test_saving_and_loading_changes_nothing(scene, tmp_path):
    scene.save(tmp_path)
    again = Scene.load(tmp_path)
    for name in ("rgb", "depth", "confidence", "points", "mask"):
        assert torch.equal(getattr(again, name), getattr(scene, name)), name
    assert torch.equal(again.cameras.extrinsics, scene.cameras.extrinsics)
    assert torch.equal(again.cameras.intrinsics, scene.cameras.intrinsics)
    assert again.provenance == scene.provenance


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rgb": torch.zeros(5, 24, 32, 3)}, "rgb must be uint8"),
        ({"rgb": torch.zeros(0, 24, 32, 3, dtype=torch.uint8)}, "not empty"),
        ({"depth": torch.ones(5, 24, 31)}, "depth must be"),
        ({"confidence": torch.ones(5, 24, 32, dtype=torch.float64)}, "confidence must be"),
        ({"mask": torch.ones(5, 24, 32)}, "mask must be"),
        ({"depth": torch.full((5, 24, 32), torch.nan)}, "depth must be finite"),
        ({"depth": torch.zeros(5, 24, 32)}, "positive wherever mask"),
        ({"points": torch.full((5, 24, 32, 3), torch.inf)}, "points must be finite"),
        ({"cameras": room_scene(4).cameras}, "one per frame"),
        ({"cameras": room_scene(5, 24, 30).cameras}, "one per frame"),
        ({"provenance": {"seed": torch.tensor(3)}}, "JSON-able"),
        ({"provenance": {"loss": float("nan")}}, "JSON-able"),
    ],
)
@pytest.mark.usefixtures("as_installed")
def test_contradictions_are_refused(scene, changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(scene, **changes)


def test_cameras_that_are_no_rotation_are_refused(scene):
    stretched = scene.cameras.extrinsics.clone()
    stretched[1, 0, 0] *= 2
    with pytest.raises(ValueError, match="rotation"):
        dataclasses.replace(scene, cameras=dataclasses.replace(scene.cameras, extrinsics=stretched))


def test_nan_outside_the_mask_is_harmless(scene):
    depth = torch.where(scene.mask, scene.depth, torch.nan)
    assert dataclasses.replace(scene, depth=depth).frames == 5


class TestDamagedFolders:
    @pytest.fixture
    def folder(self, scene, tmp_path):
        scene.save(tmp_path)
        return tmp_path

    @pytest.mark.parametrize("name", [ARRAYS_FILE, RECORD_FILE])
    def test_missing_file(self, folder, name):
        (folder / name).unlink()
        with pytest.raises(ValueError, match=name):
            Scene.load(folder)

    def test_truncated_arrays(self, folder):
        path = folder / ARRAYS_FILE
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(ValueError, match="damaged"):
            Scene.load(folder)

    def test_pickle_in_place_of_arrays_is_not_opened(self, folder):
        torch.save({"rgb": torch.zeros(1)}, folder / ARRAYS_FILE)
        with pytest.raises(ValueError, match="not a safetensors file"):
            Scene.load(folder)

    def test_missing_and_unexpected_arrays_are_named(self, folder):
        arrays = load_file(folder / ARRAYS_FILE)
        arrays["dept"] = arrays.pop("depth")
        save_file(arrays, folder / ARRAYS_FILE)
        with pytest.raises(ValueError, match=r"missing arrays \['depth'\], unexpected arrays \['dept'\]"):
            Scene.load(folder)

    def test_wrong_dtype(self, folder):
        arrays = load_file(folder / ARRAYS_FILE)
        save_file(arrays | {"depth": arrays["depth"].double()}, folder / ARRAYS_FILE)
        with pytest.raises(ValueError, match="depth must be"):
            Scene.load(folder)

    def test_broken_json(self, folder):
        (folder / RECORD_FILE).write_text('{"format": ')
        with pytest.raises(ValueError, match="not valid JSON"):
            Scene.load(folder)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"format": "nerf"}, "not a Gen3R scene"),
            ({"version": 99}, "schema version 99"),
            ({"height": "24"}, "'height' of type int"),
            ({"provenance": None}, "'provenance' of type dict"),
            ({"frames": 6}, "do not belong together"),
        ],
    )
    def test_wrong_record(self, folder, changes, message):
        edit_record(folder, **changes)
        with pytest.raises(ValueError, match=message):
            Scene.load(folder)
