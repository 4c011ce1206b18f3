import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gen3r.apps.viewer.data import Filters, Points, ShownScene
from gen3r.cameras.projection import project
from gen3r.scene.cleaning import CLEANING_LEVELS
from scene.rooms import room_scene

EVERYTHING = Filters(cleaning="none")


@pytest.fixture(scope="module")
def room() -> ShownScene:
    return ShownScene("room", room_scene(frames=5, height=24, width=32))


def test_without_filters_every_surface_pixel_is_shown(room: ShownScene) -> None:
    points = room.points(EVERYTHING)
    mask = room.scene.mask
    assert torch.equal(torch.from_numpy(points.positions), room.scene.world_points()[mask])
    assert torch.equal(torch.from_numpy(points.colors), room.scene.rgb[mask])


def test_the_frames_together_are_all_frames(room: ShownScene) -> None:
    filters = Filters(cleaning="standard", confidence=0.3, max_depth=4.0)
    parts = [room.points(filters, frame) for frame in range(room.scene.frames)]
    whole = room.points(filters)
    assert len(whole) == sum(map(len, parts)) > 0
    joined = torch.cat([torch.from_numpy(part.positions) for part in parts])
    assert torch.equal(joined, torch.from_numpy(whole.positions))


@given(confidence=st.floats(0, 0.95), depth=st.floats(0.5, 10))
def test_sliders_hide_what_they_say(confidence: float, depth: float) -> None:
    scene = room_scene(frames=2, height=12, width=16)
    shown = ShownScene("room", scene)
    kept = shown.keep(Filters(cleaning="none", confidence=confidence))
    surface = int(scene.mask.sum())
    assert int((scene.mask & ~kept).sum()) <= confidence * surface
    assert not bool((kept & ~scene.mask).any())
    if bool((scene.mask & ~kept).any()):
        assert float(scene.confidence[scene.mask & ~kept].max()) < float(scene.confidence[kept].min())
    near = shown.keep(Filters(cleaning="none", max_depth=depth))
    assert torch.equal(near, scene.mask & (scene.depth <= depth))


def test_most_of_what_a_confidence_names_is_hidden(room: ShownScene) -> None:
    scene = room.scene
    distinct = scene.confidence + torch.rand(scene.confidence.shape, generator=torch.Generator().manual_seed(0))
    shown = ShownScene("distinct", type(scene)(**{**vars(scene), "confidence": distinct}))
    surface = int(scene.mask.sum())
    kept = int(shown.keep(Filters(cleaning="none", confidence=0.4)).sum())
    assert abs(kept - 0.6 * surface) <= 1


def test_harder_cleaning_shows_less(room: ShownScene) -> None:
    counts = [len(room.points(Filters(cleaning=level))) for level in CLEANING_LEVELS]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] < counts[0]


def test_thinning_is_even_and_exact(room: ShownScene) -> None:
    full, thin = room.points(EVERYTHING), room.points(Filters(cleaning="none", max_points=100))
    assert len(thin) == 100
    rows = {tuple(row) for row in full.positions.tolist()}
    assert all(tuple(row) in rows for row in thin.positions.tolist())
    assert thin.positions[0].tolist() == full.positions[0].tolist()
    assert thin.positions[-1].tolist() == full.positions[-1].tolist()


def test_points_are_as_wide_as_their_pixels(room: ShownScene) -> None:
    points = room.points(EVERYTHING, frame=2)
    camera = room.scene.cameras[2]
    _, depth = project(torch.from_numpy(points.positions), camera)
    torch.testing.assert_close(torch.from_numpy(points.diameters), depth / camera.intrinsics[0, 0])


def test_a_scene_without_surface_shows_nothing() -> None:
    scene = room_scene(frames=2, height=8, width=8)
    empty = ShownScene("empty", type(scene)(**{**vars(scene), "mask": torch.zeros_like(scene.mask)}))
    points = empty.points(Filters(confidence=0.5))
    assert isinstance(points, Points)
    assert len(points) == 0
    assert (empty.median_depth, empty.far) == (1.0, 1.0)


@pytest.mark.parametrize(
    "wrong",
    [{"cleaning": "spotless"}, {"confidence": 1.0}, {"max_depth": 0.0}, {"max_depth": math.nan}, {"max_points": 0}],
)
def test_nonsense_is_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match="got"):
        Filters(**wrong)
