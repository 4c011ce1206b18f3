import itertools

import torch

from gen3r.apps.viewer.data import Filters, ShownScene
from gen3r.apps.viewer.gathered import gather
from gen3r.apps.viewer.placement import Arrangement, place
from gen3r.cameras.alignment import Sim3
from gen3r.cameras.trajectories import yaw
from gen3r.scene.scene import Scene
from scene.rooms import room_scene

WHOLE = Filters(cleaning="none")


def moved(scene: Scene, by: Sim3) -> Scene:
    """The same scene in another world with another unit."""
    return Scene(
        rgb=scene.rgb,
        depth=scene.depth * by.scale,
        confidence=scene.confidence,
        points=by.apply(scene.points),
        mask=scene.mask,
        cameras=by.apply_to_cameras(scene.cameras),
    )


def rooms() -> list[ShownScene]:
    room = room_scene(frames=3, height=12, width=16)
    elsewhere = Sim3(torch.tensor(2.5), yaw(torch.tensor(0.7)), torch.tensor([3.0, -1.0, 2.0]))
    return [ShownScene("here", room), ShownScene("there", moved(room, elsewhere))]


def test_overlaid_copies_coincide_wherever_they_were() -> None:
    here, there = rooms()
    first, second = place([here, there], Arrangement(side_by_side=False))
    torch.testing.assert_close(first.apply(torch.eye(3).double()), torch.eye(3).double())
    ours, theirs = here.scene.world_points()[here.scene.mask], there.scene.world_points()[there.scene.mask]
    torch.testing.assert_close(second.apply(theirs.double()), ours.double(), atol=1e-4, rtol=1e-4)


def test_units_are_kept_on_demand() -> None:
    scenes = rooms()
    _, second = place(scenes, Arrangement(side_by_side=False, same_size=False))
    assert float(second.scale) == 1
    camera = second.apply_to_cameras(scenes[1].scene.cameras.to(dtype=torch.float64))[0]
    torch.testing.assert_close(camera.world_from_camera, torch.eye(4).double(), atol=1e-5, rtol=1e-5)


def test_side_by_side_scenes_do_not_overlap() -> None:
    scenes = [*rooms(), rooms()[1]]
    placed = place(scenes, Arrangement())
    reaches = []
    for shown, where in zip(scenes, placed, strict=True):
        x = where.apply(torch.from_numpy(shown.points(WHOLE).positions).double())[:, 0]
        reaches.append((float(x.quantile(0.02)), float(x.quantile(0.98))))
    assert all(left[1] < right[0] for left, right in itertools.pairwise(reaches))


def test_scenes_are_gathered_where_they_stand() -> None:
    scenes = rooms()
    together = gather(scenes, place(scenes, Arrangement(side_by_side=False)), WHOLE)
    half = len(together.discs) // 2
    points, diameters = together.discs.points, together.discs.diameters
    torch.testing.assert_close(points[:half], points[half:], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(diameters[:half], diameters[half:])
    assert len(together.cameras) == 6
