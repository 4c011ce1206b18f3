from dataclasses import replace

import pytest
import torch

from gen3r.cameras.alignment import Sim3
from gen3r.cameras.projection import unproject
from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.metrics.psnr import CEILING_DB
from gen3r.eval.metrics.vbench import vbench_absence
from gen3r.eval.suite.tables.camera_columns import AREA_CURVE, CONTROL, LIVELINESS, PATH, POSES
from gen3r.eval.suite.tables.columns import Columns
from gen3r.eval.suite.tables.geometry_columns import AGREEMENT, DEPTH, POINTS, UNALIGNED_DEPTH
from gen3r.eval.suite.tables.picture_columns import ALL, BETWEEN, LAST, pictures
from gen3r.eval.suite.tables.prediction import Prediction
from gen3r.eval.suite.tables.video_columns import VBENCH

JUDGED = (*pictures(ALL)[:1], BETWEEN, LAST, DEPTH, UNALIGNED_DEPTH, POINTS, POSES, AREA_CURVE, PATH, CONTROL)
BEST = {"dB": CEILING_DB, "share": 1.0, "error": 0.0}


def best(columns: Columns, key: str) -> float:
    quantity = columns.quantities[key]
    return BEST[quantity.unit if quantity.unit == "dB" else "share" if quantity.higher_is_better else "error"]


def moved(truth: Truth, scale: float) -> Prediction:
    """The truth in another world and unit."""
    angle = torch.tensor(0.7)
    turn = torch.eye(3)
    turn[:2, :2] = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()]).view(2, 2)
    similarity = Sim3(torch.tensor(scale), turn, torch.tensor([1.0, -2.0, 0.5]))
    whole = Prediction.of_truth(truth)
    return replace(whole, depth=whole.depth * scale, cameras=similarity.apply_to_cameras(whole.cameras))


def test_another_unit_is_no_other_scene(truths: list[Truth]) -> None:
    whole = Prediction.of_truth(truths[0])
    scaled = whole.scaled(3.0)
    points = unproject(whole.depth, whole.cameras)
    torch.testing.assert_close(unproject(scaled.depth, scaled.cameras), points * 3, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("columns", JUDGED, ids=lambda columns: columns.title)
def test_the_truth_scores_perfectly(columns: Columns, truths: list[Truth]) -> None:
    for key, score in columns.score(Prediction.of_truth(truths[0]), truths[0]).items():
        assert score == pytest.approx(best(columns, key), abs=2e-3), key


@pytest.mark.parametrize("columns", [DEPTH, POINTS, POSES, PATH, CONTROL], ids=lambda columns: columns.title)
def test_neither_world_nor_unit_matters(columns: Columns, truths: list[Truth]) -> None:
    for key, score in columns.score(moved(truths[0], 5.0), truths[0]).items():
        assert score == pytest.approx(best(columns, key), abs=5e-3), key
    assert UNALIGNED_DEPTH.score(moved(truths[0], 1.5), truths[0])["unaligned_absrel"] == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("columns", JUDGED, ids=lambda columns: columns.title)
def test_what_is_wrong_scores_worse(columns: Columns, truths: list[Truth]) -> None:
    truth = truths[0]
    turned = torch.eye(4).repeat(truth.frames, 1, 1)
    turned[1::2] = torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0]))  # upside down every other frame
    wrong = Prediction(
        video=1 - truth.video,
        depth=truth.depth.flip(-1) + 0.1,
        surface=truth.valid,
        cameras=replace(truth.cameras, extrinsics=turned @ truth.cameras.extrinsics[[2, 0, 4, 1, 3]]),
    )
    for key, score in columns.score(wrong, truth).items():
        quantity = columns.quantities[key]
        assert (score < best(columns, key)) == quantity.higher_is_better, key
        assert abs(score - best(columns, key)) > 0.02, key


def test_agreement_needs_no_truth_and_finds_what_does_not_fit(truths: list[Truth]) -> None:
    truth, other = truths
    own = AGREEMENT.score(Prediction.of_truth(truth), other)
    assert own == AGREEMENT.score(Prediction.of_truth(truth), truth)
    assert own == pytest.approx(AGREEMENT.score(moved(truth, 5.0), truth), abs=2e-2)
    bent = replace(Prediction.of_truth(truth), depth=truth.depth * torch.linspace(1, 1.5, truth.frames)[:, None, None])
    assert AGREEMENT.score(bent, truth)["agree_depth"] > own["agree_depth"] + 0.05
    assert AGREEMENT.score(bent, truth)["agree_psnr"] < own["agree_psnr"]


def test_liveliness_says_how_far_the_camera_goes(truths: list[Truth]) -> None:
    truth = truths[0]
    own = LIVELINESS.score(Prediction.of_truth(truth), truth)
    assert own == pytest.approx(LIVELINESS.score(moved(truth, 5.0), truth), abs=1e-3)
    assert own["travel"] == pytest.approx(truth.cameras.centers.norm(dim=-1).max().item(), abs=1e-4)
    assert own["turn"] == pytest.approx(torch.rad2deg(torch.tensor(0.35)).item(), abs=1e-2)
    flat = replace(Prediction.of_truth(truth), depth=torch.ones_like(truth.depth))
    assert LIVELINESS.score(flat, truth)["relief"] == 0.0 < own["relief"]


def test_vbench_is_told_what_it_cannot_score(truths: list[Truth]) -> None:
    absence = vbench_absence()
    if absence is None:
        assert set(VBENCH.quantities) == set(VBENCH.score(Prediction.of_truth(truths[0]), truths[0]))
        return
    with pytest.raises(ValueError, match="VBench-I2V is absent"):
        VBENCH.score(Prediction.of_truth(truths[0]), truths[0])
    assert VBENCH.absent() == absence
