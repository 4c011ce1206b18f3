import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gen3r.cameras.projection import project, unproject
from gen3r.scene.consistency import depth_votes, neighbour_frames
from gen3r.scene.scene import Scene
from scene.rooms import room_scene

TOLERANCE = 0.05


@given(st.integers(1, 60), st.integers(0, 59), st.integers(1, 12))
def test_neighbours_are_other_frames_near_ones_first(frames, index, count):
    index %= frames
    found = neighbour_frames(index, frames, count)
    assert len(found) == len(set(found)) <= count
    assert index not in found
    assert all(0 <= other < frames for other in found)
    distances = [abs(other - index) for other in found]
    assert distances == sorted(distances)
    if frames > 1:
        assert distances[0] == 1


@pytest.fixture(scope="module")
def noisy() -> Scene:
    scene = room_scene(3, 9, 12)
    noise = torch.rand(scene.depth.shape, generator=torch.Generator().manual_seed(0))
    depth = torch.where(scene.mask, scene.depth * (0.8 + 0.4 * noise), 0.0)
    return Scene(
        rgb=scene.rgb,
        depth=depth,
        confidence=scene.confidence,
        points=scene.points,
        mask=scene.mask,
        cameras=scene.cameras,
    )


def votes_of_pixel(scene: Scene, frame: int, row: int, column: int) -> tuple[int, int]:
    """The definition, read aloud for one pixel."""
    point = unproject(scene.depth[frame], scene.cameras[frame])[row, column]
    agree = contradict = 0
    for other in set(range(scene.frames)) - {frame}:
        pixel, z = project(point[None], scene.cameras[other])
        x, y = (int(v) for v in pixel[0].floor())
        if z <= 0 or not (0 <= x < scene.width and 0 <= y < scene.height):
            continue
        window = (slice(max(y - 1, 0), y + 2), slice(max(x - 1, 0), x + 2))
        seen = scene.depth[other][window][scene.mask[other][window]]
        if not len(seen):
            continue
        if z < (1 - TOLERANCE) * seen.min():
            contradict += 1
        elif z <= (1 + TOLERANCE) * seen.max():
            agree += 1
    return agree, contradict


def test_votes_are_counted_as_defined(noisy):
    votes = depth_votes(noisy, noisy.mask, tolerance=TOLERANCE, neighbours=8)
    assert not votes.agree[~noisy.mask].any()
    assert not votes.contradict[~noisy.mask].any()
    assert int(votes.contradict.max()) == 2
    for frame, row, column in noisy.mask.nonzero().tolist():
        found = int(votes.agree[frame, row, column]), int(votes.contradict[frame, row, column])
        assert found == votes_of_pixel(noisy, frame, row, column)
