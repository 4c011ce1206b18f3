import dataclasses

import torch

from gen3r.scene.novelty import newly_seen
from scene.planes import FACING, plane_scene


def moved(*, forward: float = 0.0, right: float = 0.0) -> torch.Tensor:
    pose = torch.eye(4)
    pose[0, 3], pose[2, 3] = right, forward
    return pose


def test_new_surface_is_added_without_a_gap():
    scene = plane_scene(FACING, torch.stack([moved(), moved(right=1.05)]))  # by 7 pixels
    new = newly_seen(scene, scene.mask)
    assert new[0].all()
    assert new[1, :, -7:].all()
    assert not new[1, :, : -7 - 1].any()


def test_a_much_nearer_view_adds_its_detail():
    scene = plane_scene(FACING, torch.stack([moved(), moved(forward=2.0)]))
    assert newly_seen(scene, scene.mask)[1].float().mean() > 0.9


def test_a_frame_that_hides_what_an_earlier_one_sees_is_not_believed():
    scene = plane_scene(FACING, torch.eye(4).expand(2, 4, 4))
    depth = scene.depth.clone()
    depth[1, 3:6, 4:9] *= 0.5
    contradicting = dataclasses.replace(scene, depth=depth)
    assert not newly_seen(contradicting, scene.mask)[1].any()
    unseen = scene.mask.clone()
    unseen[0, 2:7, 3:10] = False  # nothing is contradicted where the earlier frame shows nothing
    new = newly_seen(contradicting, unseen)[1]
    assert new[3:6, 4:9].all()
