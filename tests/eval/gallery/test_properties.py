from dataclasses import replace

import pytest
import torch

from eval.benchmarks.rooms import room_clip
from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.gallery.pictures import Pair
from gen3r.eval.gallery.properties import properties_of
from gen3r.eval.suite.tables.prediction import Prediction

TRUTH = Truth.of(room_clip(3, side=56))
PERFECT = Prediction.of_truth(TRUTH)
FROZEN = replace(PERFECT, cameras=replace(TRUTH.cameras, extrinsics=torch.eye(4).expand(TRUTH.frames, 4, 4)))


def test_a_perfect_scene_has_the_right_scale_and_moves_as_it_should() -> None:
    found = properties_of(PERFECT, TRUTH)
    assert found["scale"] == pytest.approx(0, abs=1e-6)
    assert found["liveliness"] == pytest.approx(1)
    assert 0 < found["unseen"] < 1
    assert found["travel"] > 0


def test_a_scene_of_twice_the_size_is_off_by_one_power_of_two() -> None:
    assert properties_of(replace(PERFECT, depth=2 * PERFECT.depth), TRUTH)["scale"] == pytest.approx(1)
    assert properties_of(replace(PERFECT, depth=PERFECT.depth / 2), TRUTH)["scale"] == pytest.approx(1)


def test_a_camera_that_does_not_move_is_frozen() -> None:
    assert properties_of(FROZEN, TRUTH)["liveliness"] == pytest.approx(0, abs=1e-6)


def test_properties_of_the_clip_do_not_depend_on_the_scene() -> None:
    one, other = properties_of(PERFECT, TRUTH), properties_of(FROZEN, TRUTH)
    assert {key for key in one if one[key] != other[key]} == {"liveliness"}


def test_a_clip_that_stands_still_shows_nothing_new() -> None:
    first = torch.zeros(TRUTH.frames, dtype=torch.long)
    cameras = TRUTH.cameras[first]
    still = replace(
        TRUTH,
        video=TRUTH.video[first],
        depth=TRUTH.depth[first],
        valid=TRUTH.valid[first],
        cameras=cameras,
    )
    found = properties_of(Prediction.of_truth(still), still)
    assert found["unseen"] == pytest.approx(0, abs=1e-3)
    assert found["turn"] == pytest.approx(0, abs=1e-3)
    assert found["liveliness"] != found["liveliness"]  # nothing was asked


def test_darker_and_flatter_pictures_are_measured_as_such() -> None:
    found = properties_of(PERFECT, TRUTH)
    dark = properties_of(PERFECT, replace(TRUTH, video=TRUTH.video / 2))
    assert dark["brightness"] == pytest.approx(found["brightness"] / 2)
    assert dark["texture"] == pytest.approx(found["texture"] / 2)


def test_pictures_of_a_scene_of_another_size_are_those_of_the_true_one() -> None:
    larger = replace(PERFECT, depth=3 * PERFECT.depth, cameras=PERFECT.cameras.scaled(3.0))
    pair = Pair(truth=TRUTH, prediction=larger)
    assert pair.scale == pytest.approx(1 / 3)
    assert (pair.depth_picture(2) == pair.true_depth_picture(2)).mean() > 0.99
    assert pair.difference(2).max() <= 4  # black, the colour of no difference
    assert pair.depth_difference(2).max() <= 4
    true, generated = pair.clouds()
    assert true.shape == generated.shape
    assert (abs(true.astype(int) - generated.astype(int)).max(axis=-1) > 8).mean() < 0.02
