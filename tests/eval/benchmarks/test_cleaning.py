import pytest
import torch

from eval.benchmarks.rooms import room_clip
from gen3r.cameras.projection import unproject
from gen3r.data.clip import Clip
from gen3r.eval.benchmarks.cleaning import TABLE, cleaning_scores, run_cleaning
from gen3r.eval.benchmarks.quantities import CLEANED, CLEANING_QUANTITIES
from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.report import markdown_table, results_record
from gen3r.scene.cleaning import CLEANING_LEVELS
from gen3r.scene.scene import Scene
from pipeline.conftest import build_pipeline

SEED = 900_000_000


def scene_of(clip: Clip, depth: torch.Tensor) -> Scene:
    """What a model would return that sees this depth, and whose world has another unit."""
    depth, cameras = 3 * depth, clip.cameras.scaled(3.0)
    return Scene(
        rgb=clip.rgb,
        depth=depth,
        confidence=torch.ones_like(depth),
        points=unproject(depth, cameras),
        mask=depth > 0,
        cameras=cameras,
    )


@pytest.fixture(scope="module")
def clip() -> Clip:
    return room_clip(SEED, side=56)


def test_a_perfect_scene_is_on_the_surface_and_covers_it(clip: Clip) -> None:
    scores = cleaning_scores("vggt", scene_of(clip, clip.depth), Truth.of(clip))
    assert scores["vggt_none_kept"] == 100
    for level in CLEANING_LEVELS:
        assert scores[f"vggt_{level}_accuracy"] == pytest.approx(0, abs=1e-3)
        assert scores[f"vggt_{level}_floating"] == 0
    assert scores["vggt_none_completeness"] == pytest.approx(0, abs=1e-3)
    assert scores["vggt_standard_completeness"] < 1


def test_cleaning_takes_floaters_away(clip: Clip) -> None:
    depth = clip.depth.clone()
    depth[2, 10:18, 10:18] *= 0.4
    scores = cleaning_scores("gen1", scene_of(clip, depth), Truth.of(clip))
    assert scores["gen1_none_floating"] > 0.3
    assert scores["gen1_light_floating"] < scores["gen1_none_floating"] / 5
    assert scores["gen1_light_change"] < 0 == scores["gen1_none_change"]
    assert scores["gen1_light_accuracy"] - scores["gen1_none_accuracy"] == pytest.approx(scores["gen1_light_change"])


def test_a_model_is_measured_and_what_fails_counts_as_worst() -> None:
    pipeline = build_pipeline()
    torch.nn.init.constant_(pipeline.transformer.proj_out.weight, float("nan"))
    tally = run_cleaning(pipeline, [room_clip(SEED)], steps=1)
    assert set(tally.scores[SEED]) == set(CLEANING_QUANTITIES)
    assert [failure.stage for failure in tally.failures] == [CLEANED["gen1"]]
    assert tally.scores[SEED]["gen1_strong_kept"] == 0
    assert tally.scores[SEED]["gen1_none_accuracy"] == 100
    assert tally.scores[SEED]["vggt_none_kept"] == 100

    record = results_record(tally, table=TABLE)
    lines = markdown_table(record).splitlines()
    assert len(lines) == 2 + len(CLEANED) * len(CLEANING_LEVELS)
    assert lines[0].count("|") == lines[2].count("|")
    kept = record["metrics"]["vggt_light_kept"]
    assert f"{kept['mean']:.2f} ({kept['low']:.2f} to {kept['high']:.2f})" in lines[3]
    assert markdown_table(record, ["vggt_light_kept"]).count("\n") == 3
