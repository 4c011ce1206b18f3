"""Scores over steps: what within means, and one small run of the whole."""

import dataclasses
from pathlib import Path

import pytest
import torch
from PIL import Image

from gen3r.data.synthetic import generate_clips
from gen3r.eval.metrics.psnr import CEILING_DB
from gen3r.eval.report import markdown_table, results_record
from gen3r.eval.steps.curves import draw_curves
from gen3r.eval.steps.quantities import COLUMNS, HEADINGS, JUDGED, row_of
from gen3r.eval.steps.run import StepsBenchmark, gradient, run_steps
from gen3r.eval.steps.subjects import subjects_of
from gen3r.eval.steps.verdict import losses, losses_record, losses_table, overall
from gen3r.pipeline.few_steps import FewSteps, even_levels
from pipeline.conftest import build_pipeline


def clips(**factors: float) -> dict[str, dict[str, float]]:
    """Sixteen clips of a reference and of what has ``factors`` times its scores."""
    values = torch.linspace(0.5, 1.0, 16).tolist()
    return {
        str(seed): {f"a@30/{column}": value for column in JUDGED}
        | {f"b@4/{column}": value * factors.get(column, 1.0) for column in JUDGED}
        for seed, value in enumerate(values)
    }


def verdict(**factors: float) -> str:
    return overall(losses(clips(**factors), "b@4/", "a@30/"))


def test_all_judged_scores_have_to_be_within() -> None:
    assert verdict() == "within"
    assert verdict(mean_psnr=0.96) == "within"
    assert verdict(mean_psnr=0.94) == "not within"
    assert verdict(absrel=1.06) == "not within"  # smaller is better
    assert verdict(absrel=0.5, auc30=2.0) == "within"  # better is no loss
    assert verdict(mean_psnr=0.96, absrel=1.1) == "not within"


def test_an_interval_that_reaches_beyond_is_within_on_average_alone() -> None:
    numbers = clips()
    for place, scores in enumerate(numbers.values()):
        scores["b@4/agreement"] *= 0.9 if place % 3 == 0 else 1.0
    found = losses(numbers, "b@4/", "a@30/")
    assert found["agreement"].verdict == "within on average"
    assert overall(found) == "within on average"


def test_a_reference_of_nothing_is_no_number() -> None:
    numbers = clips()
    for scores in numbers.values():
        scores["a@30/auc30"] = 0.0
    record = losses_record(numbers, ["b@4/"], "a@30/")
    assert record["b@4/"]["verdict"] == "no number"
    assert "| b, 4 steps | 0.0 (0.0 to 0.0) |" in losses_table(record, {"b@4/": "b, 4 steps"}, HEADINGS)


def test_blur_is_less_sharp() -> None:
    video = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    blurred = torch.nn.functional.avg_pool2d(video, 3, 1, 1)
    assert float(gradient(blurred)) < 0.5 * float(gradient(video))


def test_a_small_run(tmp_path: Path) -> None:
    pipeline = build_pipeline()
    pipeline.config = dataclasses.replace(
        pipeline.config, few_steps=FewSteps(levels=even_levels(2, 2.0), folder="student")
    )
    pipeline._few = pipeline.transformer
    subjects = subjects_of("random", pipeline, even=True)
    assert [subject.label for subject in subjects] == ["random", "random on even levels", "random student"]
    settings = StepsBenchmark(steps=(1, 3), student_steps=(2,), reference_steps=3)
    clip = next(iter(generate_clips([900_000_000], 5, 112, 112)))
    told: list[tuple[int, int]] = []
    tally = run_steps(subjects, [clip], settings, lambda done, total: told.append((done, total)))
    assert told[-1] == (4, 4)
    assert not tally.failures
    scores = tally.scores[900_000_000]
    assert set(scores) == {row_of(*run) + column for run in RUNS for column in COLUMNS}
    assert scores["random@3/same_noise_psnr"] == CEILING_DB
    assert scores["random@1/same_noise_psnr"] < CEILING_DB
    for column in COLUMNS:
        if column != "seconds":  # the same weights on the same levels
            assert scores[f"random student@2/{column}"] == scores[f"random on even levels@2/{column}"]
    record = results_record(
        tally,
        table={"rows": {row_of(*run): str(run) for run in RUNS}, "columns": dict(HEADINGS)},
        quantities={name: dataclasses.asdict(quantity) for name, quantity in COLUMNS.items()},
        subjects={"random": [1, 3], "random on even levels": [2], "random student": [2]},
        reference="random@3/",
    )
    assert "depth AbsRel" in markdown_table(record)
    draw_curves(record, tmp_path / "steps.png")
    with Image.open(tmp_path / "steps.png") as picture:
        assert picture.width > 800


RUNS = (("random", 1), ("random", 3), ("random on even levels", 2), ("random student", 2))


def test_numbers_of_steps_begin_at_one() -> None:
    with pytest.raises(ValueError, match="from 1 on"):
        StepsBenchmark(steps=(0, 4))
