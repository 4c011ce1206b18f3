"""Sittings of a recipe, on one machine and on another, until there is a model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gen3r.hub.stored import open_weights
from gen3r.pipeline import Gen3RPipeline
from gen3r.train.checkpoint import list_checkpoints, read_facts
from gen3r.train.recipe.run import RecipeConfig, RecipeRun
from gen3r.train.release import ReleaseConfig, release
from train.recipe.toy import Ticks, toy_packs, toy_preset


@pytest.mark.slow
def test_sittings_on_two_machines_make_a_model(tmp_path: Path) -> None:
    pack, validation = toy_packs(tmp_path)
    preset, portable = toy_preset(), tmp_path / "portable"
    complete: dict[str, bool] = {}
    assert preset.recipe is not None

    def sitting(out: str, minutes: float | None, sources: tuple[Path, ...] = ()) -> RecipeRun:
        config = RecipeConfig(
            preset="test",
            out=tmp_path / out,
            minutes=minutes,
            data=(pack,),
            validation=(validation,),
            portable=portable,
            sources=sources,
        )
        run = RecipeRun(config, preset=preset, clock=Ticks())
        complete[out] = run.run()
        return run

    first = sitting("here", 0.25)
    assert not complete["here"]
    assert first.progress.legs["vae"].done
    under_way = next(leg for leg in preset.recipe.legs if not first.progress.of(leg).done)
    assert first.progress.of(under_way).step > 0
    files = sorted(portable.iterdir())
    assert len(files) <= 8
    assert all(path.stat().st_size < 15_000_000 for path in files)
    weights = open_weights(tmp_path / "here/vae/export/vae", "model")
    assert {str(tensor.read().dtype) for tensor in weights.values()} <= {"torch.float16", "torch.int64"}

    last = sitting("there", None, (portable,))
    assert complete["there"]
    facts = read_facts(list_checkpoints(tmp_path / "there" / under_way.name)[-1])
    assert facts["fresh_since"] == first.progress.of(under_way).step
    assert facts["step"] >= facts["fresh_since"]
    assert facts["pace"]["spent"] > 0
    carried = open_weights(tmp_path / "there/vae/export/vae", "model")
    assert all(torch.equal(tensor.read(), weights[name].read()) for name, tensor in carried.items())
    assert last.finished[0].name == "decoders"  # whose VAE and adapter count more than those they began as
    release(ReleaseConfig(runs=tuple(last.finished), preset="test", out=tmp_path / "model", revision="1"), preset)
    assert Gen3RPipeline.from_pretrained(tmp_path / "model").config.frames == preset.frames
