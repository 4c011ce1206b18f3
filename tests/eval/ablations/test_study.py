"""What is trained once, and what a folder refuses."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gen3r.conditioning.condition import DropRates
from gen3r.eval.ablations.study import Study, StudyConfig, told
from gen3r.eval.ablations.training import training_seconds
from gen3r.hub.networks import ADAPTER
from gen3r.latents.codecs.registry import CODECS
from gen3r.presets import load_preset


@pytest.fixture
def config(tmp_path: Path) -> StudyConfig:
    return StudyConfig(out=str(tmp_path / "study"), preset="micro")


def loops(study: Study) -> Iterator[tuple[int, int]]:
    for run in study.runs.values():
        yield run.loop.steps, run.loop.batch_size


def test_variants_that_come_to_the_same_are_trained_once(config: StudyConfig) -> None:
    study = Study(config)
    same = [("codec", "vggt-adapter"), ("alignment", "x1"), ("resolution", "full"), ("curriculum", "off")]
    assert len({study.run_of(*place, seed=0).key for place in same}) == 1
    assert study.run_of("codec", "vggt-adapter-nokl", 0).key == study.run_of("alignment", "0", 0).key
    rows = sum(len(group.variants) for group in study.groups.values())
    assert len(study.runs) == config.seeds * (rows - len(same) - 1)  # and camera-drop/on, which is the preset's rate
    assert len(study.adapters) == 5  # four weights of the alignment, one of them at half resolution too


def test_all_runs_have_the_same_steps_batches_and_data(config: StudyConfig) -> None:
    assert len(set(loops(Study(config)))) == 1
    assert set(loops(Study(replace(config, steps=77)))) == {(77, load_preset("micro").diffusion.loop.batch_size)}
    assert next(loops(Study(replace(config, scale=0.5))))[0] == load_preset("micro").diffusion.loop.steps // 2


def test_seeds_share_adapter_and_encoded_clips_and_codecs_do_not(config: StudyConfig) -> None:
    study = Study(config)
    first, second = (study.run_of("codec", "vggt-adapter", seed) for seed in (0, 1))
    assert first.key != second.key
    assert (first.loop.seed, second.loop.seed) == (0, 1)
    assert study.encoding_of(first) == study.encoding_of(second)
    adapters = [study.adapter_of(run) for run in (first, second)]
    assert len({adapter.name for adapter in adapters if adapter is not None}) == 1
    encodings = [
        study.encoding_of(study.run_of(group, variant.name, 0))
        for group in ("codec", "resolution")
        for variant in study.groups[group].variants
    ]
    assert len(set(encodings)) == len(encodings) - 1  # resolution/full is codec/vggt-adapter
    for codec, kind in CODECS.items():
        assert (study.adapter_of(study.run_of("codec", codec, 0)) is None) == (ADAPTER not in kind.networks)


def test_a_folder_takes_more_groups_and_seeds_and_no_other_study(config: StudyConfig) -> None:
    Study(replace(config, groups=("codec",))).begin({"data": 1})
    Study(replace(config, seeds=3, count=512)).begin({"data": 1})
    with pytest.raises(ValueError, match="other data"):
        Study(config).begin({"data": 2})
    with pytest.raises(ValueError, match="other seed_start"):
        Study(replace(config, seed_start=0)).begin({"data": 1})
    with pytest.raises(ValueError, match="other loops, steps"):
        Study(replace(config, steps=7)).begin({"data": 1})
    with pytest.raises(ValueError, match="trains all its networks"):
        Study(replace(config, preset="full"))
    with pytest.raises(ValueError, match="unknown group 'size'"):
        Study(replace(config, groups=("size",)))


def test_fields_that_have_their_defaults_are_not_told() -> None:
    preset = load_preset("micro")
    assert told(DropRates()) == {}
    assert told(replace(preset.diffusion, drops=DropRates(camera=0.3)))["drops"] == {"camera": 0.3}
    assert "codec" not in told(preset.diffusion)
    assert told(preset.diffusion)["network"]["num_layers"] == 3


def test_seconds_of_all_sittings_count(tmp_path: Path) -> None:
    assert training_seconds(tmp_path) == 0.0
    lines = [f'{{"step": {step}, "seconds": {seconds}}}\n' for step, seconds in ((10, 4), (20, 8), (30, 3), (40, 6))]
    (tmp_path / "log.jsonl").write_text("".join(lines))
    assert training_seconds(tmp_path) == 14.0
