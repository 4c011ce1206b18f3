import dataclasses
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gen3r.scene.cleaning import CLEANING_LEVELS, Cleaning, clean_mask, cleaning_level, depth_edges
from gen3r.scene.export.options import CleaningLevel
from gen3r.scene.scene import Scene
from scene.rooms import BALL, RADIUS, room_scene

CONSISTENT = Cleaning(disagreement=0.05)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return room_scene(frames=5, height=36, width=48)


def test_levels_are_those_the_options_offer():
    assert tuple(CLEANING_LEVELS) == get_args(CleaningLevel)


def test_none_keeps_the_mask(scene):
    assert torch.equal(clean_mask(scene, CLEANING_LEVELS["none"]), scene.mask)


@pytest.mark.parametrize("frames", [1, 5])
def test_every_level_keeps_less_than_the_one_before(scene, frames):
    random = torch.rand(scene.mask.shape, generator=torch.Generator().manual_seed(0))
    noisy = dataclasses.replace(
        scene, depth=torch.where(scene.mask, scene.depth * (1 + 0.2 * random), 0.0), confidence=random + 1
    )
    part = Scene(
        **{name: getattr(noisy, name)[:frames] for name in ("rgb", "depth", "confidence", "points", "mask", "cameras")}
    )
    kept = [clean_mask(part, cleaning) for cleaning in CLEANING_LEVELS.values()]
    for more, fewer in pairwise(kept):
        assert (fewer & ~more).sum() == 0
        assert 0 < fewer.sum() < more.sum()


def test_the_filters_are_independent(scene):
    """Each one sees every valid pixel, so their order cannot matter."""
    standard = CLEANING_LEVELS["standard"]
    confident = clean_mask(scene, Cleaning(confidence_quantile=standard.confidence_quantile))
    consistent = clean_mask(scene, Cleaning(disagreement=standard.disagreement))
    smooth = clean_mask(scene, Cleaning(depth_edge=standard.depth_edge))
    assert torch.equal(clean_mask(scene, standard), confident & consistent & smooth)


def test_a_scene_without_a_surface_stays_empty(scene):
    empty = dataclasses.replace(scene, mask=torch.zeros_like(scene.mask))
    for cleaning in CLEANING_LEVELS.values():
        assert not clean_mask(empty, cleaning).any()


class TestConfidence:
    def test_the_least_confident_go(self, scene):
        confidence = torch.arange(scene.mask.numel(), dtype=torch.float32).view_as(scene.confidence)
        keep = clean_mask(dataclasses.replace(scene, confidence=confidence), Cleaning(confidence_quantile=0.25))
        assert abs(int(keep.sum()) - 0.75 * int(scene.mask.sum())) <= 1
        assert confidence[keep].min() >= np.quantile(confidence[scene.mask].numpy(), 0.25, method="lower")

    def test_equal_confidence_drops_nothing(self, scene):
        flat = dataclasses.replace(scene, confidence=torch.ones_like(scene.confidence))
        assert torch.equal(clean_mask(flat, Cleaning(confidence_quantile=0.5)), scene.mask)


class TestConsistency:
    @pytest.mark.parametrize("neighbours", [1, 3, 8])
    def test_exact_depth_is_never_contradicted(self, scene, neighbours):
        keep = clean_mask(scene, dataclasses.replace(CONSISTENT, neighbours=neighbours))
        assert torch.equal(keep, scene.mask)

    def test_a_floater_goes_and_nothing_else(self, scene):
        """A patch of the far wall moved towards its camera hangs in the air that other frames look through."""
        depth = scene.depth.clone()
        depth[2, 8:12, 22:26] *= 0.4
        floating = depth != scene.depth
        keep = clean_mask(dataclasses.replace(scene, depth=depth), CONSISTENT)
        assert not keep[floating].any()
        others = scene.mask & ~floating
        assert keep[others].float().mean() > 0.98

    def test_what_no_other_frame_sees_stays_unless_it_must_be_confirmed(self, scene):
        pair = Scene(
            **{
                name: getattr(scene, name)[[0, 4]]
                for name in ("rgb", "depth", "confidence", "points", "mask", "cameras")
            }
        )
        kept = clean_mask(pair, CONSISTENT)
        confirmed = clean_mask(pair, dataclasses.replace(CONSISTENT, confirmed=True))
        assert torch.equal(kept, pair.mask)
        assert 0.3 < confirmed[0].float().mean() < pair.mask[0].float().mean() - 0.1

    def test_one_frame_has_nobody_to_ask(self):
        single = room_scene(frames=1)
        assert torch.equal(clean_mask(single, dataclasses.replace(CONSISTENT, confirmed=True)), single.mask)


class TestEdges:
    @given(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3))
    def test_slanted_planes_have_none(self, slant_x, slant_y):
        y, x = torch.meshgrid(torch.linspace(-1, 1, 20), torch.linspace(-1, 1, 30), indexing="ij")
        depth = 1 / (1 + slant_x * x + slant_y * y)
        assert not depth_edges(depth, torch.ones_like(depth, dtype=torch.bool), 0.01).any()

    def test_steps_are_edges_on_both_sides(self):
        depth = torch.ones(6, 10)
        depth[:, 5:] = 2.0
        found = depth_edges(depth, torch.ones_like(depth, dtype=torch.bool), 0.06)
        assert found.any(0).nonzero()[:, 0].tolist() == [4, 5]

    def test_smeared_silhouettes_go(self, scene):
        """Smear the depth as a network would: the filter must remove what floats behind the ball."""
        blurred = torch.nn.functional.avg_pool2d(scene.depth[:, None], 3, 1, 1, count_include_pad=False)[:, 0]
        smeared = dataclasses.replace(scene, depth=torch.where(scene.mask, blurred, scene.depth))

        def floating(cleaning):
            points = smeared.world_points()[clean_mask(smeared, cleaning)]
            near_ball = (points - BALL).norm(dim=-1) - RADIUS
            behind = (points[:, 2] > BALL[2]) & (near_ball.abs() < 0.9) & (points[:, 1] < 1.0)
            return int((behind & (near_ball > 0.1)).sum())

        before = floating(Cleaning())
        assert before > 20
        assert floating(Cleaning(depth_edge=0.06)) < before / 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"confidence_quantile": -0.1},
        {"confidence_quantile": 1.0},
        {"confidence_quantile": float("nan")},
        {"disagreement": 0.0},
        {"depth_edge": 0.0},
        {"neighbours": 0},
        {"confirmed": True},
    ],
)
def test_impossible_choices_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Cleaning(**wrong)


def test_unknown_levels_are_answered_with_the_list():
    with pytest.raises(ValueError, match="none, light, standard, strong"):
        cleaning_level("spotless")
