import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from eval.benchmarks.rooms import room_clip
from gen3r.eval.benchmarks import stages
from gen3r.eval.benchmarks.quantities import QUANTITIES
from gen3r.eval.benchmarks.synthetic import SyntheticBenchmark, run_synthetic
from gen3r.eval.benchmarks.tally import Tally, worst_value
from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.report import fill_tables, markdown_table, read_results, results_record, to_json
from gen3r.pipeline import Gen3RPipeline
from gen3r.pipeline.memory import PROFILES
from pipeline.conftest import build_pipeline

REQUIRED = {
    "vae_psnr", "avgpool8_psnr", "vggt_absrel", "vggt_delta1", "meanmap_absrel", "vggt_rot_auc5", "vggt_rot_median_deg",
    "identity_rot_auc5", "identity_rot_median_deg", "adapter_absrel", "adapter_rot_median_deg", "gen1_last_psnr",
    "copy_last_psnr", "warp_last_psnr", "gen1_mean_psnr", "gen2_mean_psnr", "gen1_absrel", "gen2_absrel",
    "twostage_absrel", "camera_auc30", "seconds_per_clip",
}  # fmt: skip
GENERATED = {
    "gen1_last_psnr", "gen1_mean_psnr", "gen1_between_psnr", "gen1_absrel", "gen2_mean_psnr", "gen2_absrel",
    "twostage_absrel", "camera_auc30",
}  # fmt: skip
SEEDS = (900_000_000, 900_000_001)


def measure(pipeline: Gen3RPipeline, settings: SyntheticBenchmark) -> Tally:
    clips = [room_clip(seed) for seed in SEEDS]
    seen: list[tuple[int, int]] = []
    tally = run_synthetic(
        pipeline, clips, torch.ones(112, 112), settings, lambda done, total: seen.append((done, total))
    )
    assert [done for done, _ in seen] == list(range(settings.batch, len(SEEDS) + 1, settings.batch))
    assert {total for _, total in seen} == {len(SEEDS)}
    return tally


@pytest.fixture(scope="module")
def tally() -> Tally:
    return measure(build_pipeline(), SyntheticBenchmark(steps=1))


def test_every_quantity_of_every_clip_is_there(tally: Tally) -> None:
    assert set(QUANTITIES) >= REQUIRED
    assert set(tally.scores) == set(SEEDS)
    assert all(set(scores) == set(QUANTITIES) for scores in tally.scores.values())
    assert tally.failures == []
    assert all(interval.n == len(SEEDS) for interval in tally.intervals().values())


def test_batches_change_nothing_but_the_clock(tally: Tally) -> None:
    together = measure(build_pipeline(), SyntheticBenchmark(steps=1, batch=2))
    for seed in SEEDS:
        for name in set(QUANTITIES) - {"seconds_per_clip"}:
            assert together.scores[seed][name] == pytest.approx(tally.scores[seed][name], abs=2e-2), name


def test_networks_that_live_elsewhere_come_to_be_measured() -> None:
    plain = build_pipeline()
    pipeline = Gen3RPipeline(plain.networks, plain.config, memory=PROFILES[12], device="cpu")
    parts = {
        "vae": pipeline.appearance.vae,
        "aggregator": pipeline.geometry.vggt.aggregator,
        "heads": pipeline.geometry.vggt.depth_head,
        "adapter": pipeline.geometry.adapter,
    }
    homes = {name: [parameter.data_ptr() for parameter in part.parameters()] for name, part in parts.items()}
    away: dict[str, list[bool]] = {name: [] for name in parts}
    for name, part in parts.items():
        for module in part.modules():
            for parameter in module.parameters(recurse=False):
                module.register_forward_pre_hook(
                    lambda *_, parameter=parameter, name=name: away[name].append(
                        parameter.data_ptr() not in homes[name]
                    )
                )
    truth = Truth.of(room_clip(SEEDS[0]), pipeline.device)
    expected = stages.autoencode(plain, truth), stages.reconstruct(plain, truth), stages.round_trip(plain, truth)
    for visits in away.values():
        visits.clear()
    held = stages.autoencode(pipeline, truth), stages.reconstruct(pipeline, truth), stages.round_trip(pipeline, truth)
    assert held == expected
    assert all(visits and all(visits) for visits in away.values()), away


def test_a_model_that_generates_nothing_scores_the_worst_and_is_named() -> None:
    pipeline = build_pipeline()
    torch.nn.init.constant_(pipeline.transformer.proj_out.weight, float("nan"))
    tally = measure(pipeline, SyntheticBenchmark(steps=1, batch=2))
    for scores in tally.scores.values():
        assert {name: scores[name] for name in GENERATED} == {name: worst_value(name) for name in GENERATED}
        assert scores["vae_psnr"] > 0
        assert scores["seconds_per_clip"] > 0
    assert {failure.seed for failure in tally.failures} == set(SEEDS)
    assert {failure.stage for failure in tally.failures} == {"1 view", "1 view, then VGGT", "2 views"}


def test_a_failed_clip_pulls_the_mean_down(tally: Tally) -> None:
    failing = Tally(scores={seed: dict(scores) for seed, scores in tally.scores.items()})

    def nothing() -> dict[str, float]:
        raise RuntimeError("out of memory")

    failing.attempt("1 view", SEEDS[0], ("gen1_last_psnr",), nothing)
    assert failing.scores[SEEDS[0]]["gen1_last_psnr"] == 0.0
    assert failing.intervals()["gen1_last_psnr"].mean < tally.intervals()["gen1_last_psnr"].mean
    assert failing.intervals()["gen1_last_psnr"].n == len(SEEDS)


def test_numbers_that_are_none_count_as_failures() -> None:
    tally = Tally()
    tally.attempt("vggt", 1, ("vggt_absrel", "vggt_delta1"), lambda: {"vggt_absrel": float("nan"), "vggt_delta1": 1.0})
    assert tally.scores[1] == {"vggt_absrel": 1.0, "vggt_delta1": 0.0}
    assert "vggt_absrel" in tally.failures[0].error


def test_short_clips_and_empty_batches_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 5 frames"):
        run_synthetic(build_pipeline(), [room_clip(1, frames=1)], torch.ones(112, 112), SyntheticBenchmark())
    with pytest.raises(ValueError, match="at least one clip"):
        replace(SyntheticBenchmark(), batch=0)


def test_results_survive_the_file_and_become_a_table(tally: Tally, tmp_path: Path) -> None:
    record = results_record(tally, model={"name": "random"}, settings={"steps": 1})
    path = tmp_path / "results.json"
    path.write_text(to_json(record))
    loaded = read_results(path)
    assert loaded == json.loads(json.dumps(record))
    assert set(loaded["metrics"]["vae_psnr"]) == {"mean", "low", "high", "n"}
    table = markdown_table(loaded)
    assert all(f"`{name}`" in table for name in QUANTITIES)
    assert f"{loaded['metrics']['vae_psnr']['mean']:.2f} dB" in table
    assert markdown_table(loaded, ["vae_psnr"]).count("\n") == 3
    with pytest.raises(ValueError, match="no quantity named speed"):
        markdown_table(loaded, ["speed"])


def test_tables_replace_what_stands_between_their_marks() -> None:
    document = "a\n<!-- table: x.json -->\nold\n<!-- /table -->\nb\n<!-- table: y.json -->\nkept\n<!-- /table -->\n"
    once = fill_tables(document, "x.json", "| new |\n")
    assert once == document.replace("old\n", "| new |\n")
    assert fill_tables(once, "x.json", "| new |\n") == once
    with pytest.raises(ValueError, match=r"<!-- table: z\.json -->"):
        fill_tables(document, "z.json", "")


@pytest.mark.parametrize("content", ["", "[]", '{"format": "other"}'])
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"results\.json"):
        read_results(path)
