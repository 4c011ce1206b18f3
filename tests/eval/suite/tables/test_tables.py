from dataclasses import replace

import pytest
import torch

from eval.suite.tables.conftest import SEEDS, tamed_pipeline
from gen3r.eval.benchmarks.tally import Tally, worst_value
from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.metrics.lpips import lpips_absence
from gen3r.eval.metrics.psnr import CEILING_DB, psnr
from gen3r.eval.suite.benchmark import Benchmark, SuiteSettings, benchmark_quantities
from gen3r.eval.suite.registry import load_benchmark
from gen3r.eval.suite.tables.prediction import Prediction
from gen3r.eval.suite.tables.t1 import BENCHMARK as T1
from gen3r.eval.suite.tables.t4 import BENCHMARK as T4
from gen3r.eval.suite.tables.t4 import summary_scores
from gen3r.eval.suite.tables.table import PredictionTable, present
from gen3r.models.vae import LinearShortcutVAE
from gen3r.pipeline import Gen3RPipeline

NAMES = ("t1", "t2", "t3", "t4", "t5", "t7", "t8", "t9")
ONE_STEP = SuiteSettings(steps=1)


def table(name: str) -> PredictionTable:
    benchmark = load_benchmark(f"gen3r.eval.suite.tables.{name}")
    assert isinstance(benchmark, PredictionTable)
    return benchmark


def measured(benchmark: Benchmark, pipeline: Gen3RPipeline, truths: list[Truth]) -> Tally:
    tally = Tally(quantities=benchmark_quantities(benchmark))
    benchmark.measure(tally, pipeline, truths, ONE_STEP)
    return tally


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_of_every_clip_is_there(name: str, pipeline: Gen3RPipeline, truths: list[Truth]) -> None:
    benchmark = table(name)
    assert benchmark.name == name
    tally = measured(benchmark, pipeline, truths[:1])
    assert tally.failures == []
    expected = {cell for cell in benchmark_quantities(benchmark) if not cell.startswith("linear/")}
    assert {seed: set(scores) for seed, scores in tally.scores.items()} == {SEEDS[0]: expected}
    assert set(benchmark.rows) == {cell.partition("/")[0] for cell in benchmark.cells}
    assert set(benchmark.columns) == {cell.partition("/")[2] for cell in benchmark.cells}
    assert not set(benchmark.absent) & set(benchmark.columns)


def test_views_are_not_judged(truths: list[Truth]) -> None:
    truth = truths[0]
    video = truth.video.clone()
    video[[0, -1]] = 0.0
    spoiled = replace(Prediction.of_truth(truth), video=video)
    for row, columns in (("gen1", {"between_psnr"}), ("gen2", {"psnr", "ssim", "between_psnr"})):
        scores = {key: score for group in present(T1.ways[row]) for key, score in group.score(spoiled, truth).items()}
        perfect = {key for key, score in scores.items() if score in (1.0, CEILING_DB)}
        assert perfect == columns
    assert "last_psnr" not in {key for group in T1.ways["gen2"].columns for key in group.quantities}


def test_a_model_that_makes_nothing_scores_the_worst_and_is_named(truths: list[Truth]) -> None:
    pipeline = tamed_pipeline()
    torch.nn.init.constant_(pipeline.transformer.proj_out.weight, float("nan"))
    from_one = replace(T4, ways={"one": T4.ways["one"]})
    tally = measured(from_one, pipeline, truths[:1])
    scores, quantities = tally.scores[SEEDS[0]], benchmark_quantities(from_one)
    assert scores.pop("one/seconds") > 0
    assert scores == {cell: worst_value(cell, quantities) for cell in scores}
    assert {failure.stage.partition(":")[0] for failure in tally.failures} == {"1 view"}
    assert tally.intervals()["one/last_psnr"].n == 1


def test_a_model_in_a_few_numbers(pipeline: Gen3RPipeline, truths: list[Truth]) -> None:
    tally = summary_scores(pipeline, truths[:1], ONE_STEP)
    assert set(tally.intervals()) == set(T4.cells)
    assert tally.scores == measured(T4, pipeline, truths[:1]).scores


def test_clips_without_depth_lack_what_needs_it(pipeline: Gen3RPipeline, truths: list[Truth]) -> None:
    known, unknown = truths
    unknown = replace(unknown, depth=torch.zeros_like(unknown.depth), valid=torch.zeros_like(unknown.valid))
    frames = replace(T1, ways={row: T1.ways[row] for row in ("copy", "warp1", "fade", "warp2")})
    tally = measured(frames, pipeline, [known, unknown])
    assert tally.failures == []
    lacking = set(tally.scores[known.seed]) - set(tally.scores[unknown.seed])
    assert {cell.partition("/")[0] for cell in lacking} == {"warp1", "warp2"}
    assert tally.intervals()["warp1/psnr"].n == 1


def test_the_linear_path_is_a_row_where_there_is_one(truths: list[Truth]) -> None:
    pipeline = tamed_pipeline()
    config = pipeline.appearance.vae.config
    torch.manual_seed(0)
    vae = LinearShortcutVAE(replace(config, linear=True))
    assert vae.linear is not None
    with torch.no_grad():
        for name, parameter in vae.linear.named_parameters():
            if name.startswith("decode"):
                parameter.fill_(0.5 if name.endswith("bias") else 0.0)
    pipeline.appearance.vae = vae
    scores = measured(table("t9"), pipeline, truths[:1]).scores[SEEDS[0]]
    grey = psnr(torch.full_like(truths[0].video, 0.75), truths[0].video).mean().item()
    assert scores["linear/psnr"] == pytest.approx(grey, abs=1e-3)
    assert scores["vae/psnr"] == pytest.approx(scores["linear/psnr"], abs=1e-3)  # the network starts silent
    assert scores["average8/psnr"] > scores["linear/psnr"]


def test_a_model_without_vggt_reads_no_pictures(truths: list[Truth]) -> None:
    pipeline = tamed_pipeline()
    pipeline.geometry.reader = None
    reading = {"two_stage1", "two_stage2", "vggt", "vggt1", "vggt2", "bound"}
    impossible = {key for name in NAMES for key, row in table(name).ways.items() if not row.possible(pipeline)}
    assert impossible == reading | {"linear"}


def test_what_cannot_be_measured_here_is_told_and_is_no_cell() -> None:
    here = lpips_absence() is None
    assert ("lpips" in T1.columns) == here
    assert ("lpips" in T1.absent) != here
    assert ("gen1/lpips" in T1.cells) == here
    assert "fid" in table("t7").absent
