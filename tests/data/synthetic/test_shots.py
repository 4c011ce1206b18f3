"""Scenes as one row of numbers, which is how they go to other processes and devices."""

import torch

from gen3r.data.synthetic.packed import PackedScene
from gen3r.data.synthetic.shots import plan_shot, plan_shots


def test_a_scene_is_the_same_after_the_way_through_one_row() -> None:
    for shot in plan_shots((2, 3), 2):
        flat, sizes = shot.scene.flat()
        again = PackedScene.unflat(shot.scene.is_room, flat, sizes)
        pairs = zip(again, shot.scene, strict=True)
        for one, two in pairs:
            if isinstance(one, bool) or isinstance(two, bool):
                assert one is two
                continue
            several = zip(one, two, strict=True) if isinstance(one, tuple) else [(one, two)]
            assert all(torch.equal(got, expected) for got, expected in several)
        assert again.shape.dtype == shot.scene.shape.dtype
        starts = [part.storage_offset() % 4 for part in (*again.unit_from_world, again.color, again.light_color)]
        assert set(starts) == {0}


def test_frames_sample_one_path() -> None:
    few, many = plan_shot(1, 3), plan_shot(1, 5)
    torch.testing.assert_close(few.poses, many.poses[::2])
    assert few.caption == many.caption
