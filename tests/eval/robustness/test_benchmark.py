"""The benchmark with the real pipeline at the smallest size: what is wrong is told, what is true stays true."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from eval.benchmarks.rooms import room_clip
from gen3r.data.clip import Clip
from gen3r.eval.benchmarks.tally import Tally
from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.report import markdown_table, results_record
from gen3r.eval.robustness.benchmark import CHANGES, QUALITIES, Robustness, measure_case
from gen3r.eval.robustness.cases import CLEAN, Case, cases_of
from gen3r.eval.robustness.curves import curve, draw_curves
from gen3r.eval.robustness.perturbations.jpeg import JPEG
from gen3r.eval.robustness.perturbations.registry import PERTURBATIONS
from gen3r.eval.robustness.perturbations.scale import SCALE
from gen3r.eval.robustness.progress import Progress
from gen3r.eval.robustness.run import run_robustness
from gen3r.eval.suite.benchmark import Benchmark, SuiteSettings, benchmark_quantities, cell
from gen3r.pipeline import Gen3RPipeline
from pipeline.conftest import build_pipeline

SEEDS = (900_000_000, 900_000_001)
ONE_STEP = SuiteSettings(steps=1)
BENCHMARK = Robustness({"scale": replace(SCALE, strengths=(0.5, 1.0)), "jpeg": replace(JPEG, strengths=(90.0,))})


@pytest.fixture(scope="module")
def pipeline() -> Gen3RPipeline:
    return build_pipeline()


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    return [room_clip(seed) for seed in SEEDS]


@pytest.fixture(scope="module")
def measured(pipeline: Gen3RPipeline, clips: list[Clip], tmp_path_factory: pytest.TempPathFactory) -> Tally:
    """Stopped after the first clip, and gone on with."""
    out = tmp_path_factory.mktemp("robustness") / "results.json"
    quantities = benchmark_quantities(BENCHMARK)
    first = Progress(out, {"model": 1}, quantities, SEEDS)
    asked: list[int] = []

    def clips_of(seeds: Sequence[int]) -> list[Clip]:
        asked.extend(seeds)
        return [clip for clip in clips if clip.seed in seeds]

    run_robustness(pipeline, BENCHMARK, SEEDS[:1], clips_of, first, ONE_STEP)
    again = Progress(out, {"model": 1}, quantities, SEEDS)
    assert again.resumed == 1
    assert again.tally.scores == first.tally.scores
    assert Progress(out, {"model": 2}, quantities, SEEDS).resumed == 0
    assert Progress(out, {"model": 1}, quantities, SEEDS[1:]).resumed == 0
    seen: list[tuple[int, int]] = []
    run_robustness(
        pipeline, BENCHMARK, SEEDS, clips_of, again, ONE_STEP, advance=lambda done, total: seen.append((done, total))
    )
    assert seen == [(1, 2), (2, 2)]
    assert asked == list(SEEDS)
    assert again.tally.scores[SEEDS[0]] == first.tally.scores[SEEDS[0]]
    again.finish()
    assert not list(out.parent.iterdir())
    return again.tally


def test_every_cell_of_every_clip_is_there(measured: Tally) -> None:
    assert isinstance(BENCHMARK, Benchmark)
    assert list(BENCHMARK.rows) == [CLEAN, "scale@0.5", "jpeg@90"]
    assert measured.failures == []
    assert set(measured.scores) == set(SEEDS)
    for scores in measured.scores.values():
        assert set(scores) == {cell(row, column) for row in BENCHMARK.rows for column in (*QUALITIES, *CHANGES)}
        assert all(scores[cell(CLEAN, change)] == 0 for change in CHANGES)
        for quality in ("last_psnr", "auc30"):
            difference = scores[cell("jpeg@90", quality)] - scores[cell(CLEAN, quality)]
            assert scores[cell("jpeg@90", f"{quality}_change")] == difference


def test_the_identity_strength_is_the_clean_run(pipeline: Gen3RPipeline, clips: list[Clip], measured: Tally) -> None:
    truth = Truth.of(clips[0])
    case = Case(name="scale", perturbation=SCALE, strength=1.0)
    tally = Tally(scores={truth.seed: dict(measured.scores[truth.seed])}, quantities=BENCHMARK.columns)
    measure_case(case, tally, pipeline, [truth], ONE_STEP)
    scores = tally.scores[truth.seed]
    assert tally.failures == []
    assert all(scores[cell(case.row, quality)] == scores[cell(CLEAN, quality)] for quality in QUALITIES)


def test_what_is_wrong_changes_the_scene(measured: Tally) -> None:
    for row in ("scale@0.5", "jpeg@90"):
        assert any(scores[cell(row, change)] != 0 for scores in measured.scores.values() for change in CHANGES)


@pytest.mark.parametrize("name", list(PERTURBATIONS))
def test_one_thing_is_told_wrong_and_nothing_else(clips: list[Clip], name: str) -> None:
    truth = Truth.of(clips[0])
    before = truth.video.clone(), truth.cameras.extrinsics.clone(), truth.cameras.intrinsics.clone()
    for case in cases_of({name: PERTURBATIONS[name]}):
        told = case.told(truth, (0, 2))
        changed = [
            not torch.equal(told.video[[0, 2]], truth.video[[0, 2]]),
            not torch.equal(told.cameras.extrinsics, truth.cameras.extrinsics)
            or not torch.equal(told.cameras.intrinsics, truth.cameras.intrinsics),
        ]
        assert sum(changed) == 1
        assert torch.equal(told.video[[1, 3, 4]], truth.video[[1, 3, 4]])
        assert torch.equal(told.depth, truth.depth)
        assert (told.seed, told.caption) == (truth.seed, truth.caption)
    after = truth.video, truth.cameras.extrinsics, truth.cameras.intrinsics
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_results_become_a_table_and_curves(measured: Tally, tmp_path: Path) -> None:
    record = results_record(measured, table=BENCHMARK.table())
    table = markdown_table(record)
    assert len(table.splitlines()) == 2 + len(BENCHMARK.rows)
    assert "| wrong scale of the path, x0.5 |" in table
    points = curve(record, "scale", "last_psnr")
    assert [point[0] for point in points] == [0.5, 1.0]
    assert points[1][1] == record["metrics"]["clean/last_psnr"]["mean"]
    assert curve(record, "focal", "last_psnr") == []
    draw_curves({"before": record, "after": record}, tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size[1] > picture.size[0]
    with pytest.raises(ValueError, match="hold no perturbation"):
        draw_curves({"empty": {"metrics": {}}}, tmp_path / "none.png")
