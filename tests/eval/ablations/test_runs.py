"""A study of the real classes at the smallest size, from clips to tables."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gen3r.eval.ablations.measuring import held_out, measure_run, model_of
from gen3r.eval.ablations.results import group_record, write_results
from gen3r.eval.ablations.scoring import COLUMNS
from gen3r.eval.ablations.study import Study, StudyConfig
from gen3r.eval.ablations.training import missing_foundations, run_folder, sources_of, train_run
from gen3r.eval.ablations.work import runs_due
from gen3r.presets import load_preset
from gen3r.presets.stages import Preset, TextConfig
from train.tiny_run import write_pack

SIDE, FRAMES, HELD_OUT = 112, 5, 900_000_000


def smallest() -> Preset:
    """``micro`` with nets of a few channels and steps."""
    base = load_preset("micro")

    def loop(stage: Any, steps: int) -> Any:
        return replace(stage.loop, steps=steps, batch_size=2, warmup=1, checkpoint_every=1, precision="fp32")

    vggt = replace(
        base.vggt.network, embed_dim=16, heads=2, camera_heads=2, dense_features=8, dense_channels=(8, 8, 8, 8),
        dense_hidden=4,
    )  # fmt: skip
    text = TextConfig(vocabulary=300, length=8, width=16, layers=1, heads=2, ffn=16)
    transformer = replace(
        base.diffusion.network, num_attention_heads=2, attention_head_dim=16, num_layers=1, ffn_dim=16, text_dim=16,
        text_length=8,
    )  # fmt: skip
    adapter = replace(base.adapter.network, hidden=4, token_channels=160, resample_scale=10)
    return replace(
        base,
        frames=FRAMES,
        steps=1,
        vae=replace(base.vae, network=replace(base.vae.network, base_dim=4), loop=loop(base.vae, 1), fit_clips=4),
        vggt=replace(base.vggt, network=vggt, loop=replace(loop(base.vggt, 1), batch_size=FRAMES)),
        adapter=replace(base.adapter, network=adapter, loop=loop(base.adapter, 1)),
        diffusion=replace(
            base.diffusion, network=transformer, text=text, loop=loop(base.diffusion, 2), following_blocks=(0,)
        ),
    )


def test_from_clips_to_a_table(tmp_path: Path) -> None:
    config = StudyConfig(
        out=str(tmp_path / "study"),
        preset="micro",
        seeds=1,
        groups=("camera-drop",),
        data=(str(write_pack(tmp_path / "train.safetensors", 4, FRAMES, SIDE)),),
        pack=str(write_pack(tmp_path / "held.safetensors", 2, FRAMES, SIDE, HELD_OUT)),
        count=2,
        batch=1,
    )
    study = Study(config, smallest())
    study.begin(sources_of(study))
    assert [len(due) for due in runs_due(study)] == [2, 1, 2]
    for run in (*missing_foundations(study), *study.adapters.values()):
        train_run(study, run)
    assert [len(due) for due in runs_due(study)] == [0, 0, 2]
    clips, run = held_out(study), study.run_of("camera-drop", "off", 0)
    facts = train_run(study, run)
    measure_run(study, run, clips)
    assert [due.name for due in runs_due(study)[2]] == [study.run_of("camera-drop", "on", 0).name]
    found = group_record(write_results(Study(replace(config, groups=("codec",)), smallest())), "camera-drop")
    assert set(found["metrics"]) == {f"off/{column}" for column in COLUMNS}
    assert [interval["n"] for interval in found["metrics"].values()] == [2] * len(COLUMNS)
    assert [taken["failures"] for taken in found["runs"]["off"]] == [0]
    assert found["runs"]["off"][0]["parameters"] == facts["parameters"] | found["runs"]["off"][0]["parameters"]
    assert json.loads((model_of(study, run) / "pipeline.json").read_text())["revision"] == run.key
    assert [file.stem for file in (study.out / "encoded").iterdir()] == [study.encoding_of(run)]
    assert not (run_folder(study, run) / "checkpoints").exists()

    sorted((study.out / "parts" / run.name).iterdir())[0].unlink()  # as if it had been killed while it measured
    assert run in runs_due(study)[2]
    measure_run(study, run, clips)
    assert run not in runs_due(study)[2]
    assert group_record(write_results(study), "camera-drop")["metrics"] == found["metrics"]
    assert train_run(study, run) == facts
    with pytest.raises(ValueError, match="lacks 1 of the 3 clips"):
        held_out(Study(replace(config, count=3), smallest()))
