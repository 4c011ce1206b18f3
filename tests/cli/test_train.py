"""``gen3r train --dry-run``, and what training asks for."""

from pathlib import Path

import pytest

from gen3r.cli.train import Train


def test_a_dry_run_tells_memory_and_time() -> None:
    command = Train(
        stage="diffusion", preset="tiny", dry_run=True, devices=2, sharding="fsdp2", batch_size=1, steps=100
    )
    text = command.plan()
    assert "2 device(s) x 1 micro-step(s) x batch 1 = 2 samples per step, 100 steps" in text
    assert "gathered" in text
    assert "device-hours" in text
    assert "AN ASSUMPTION" in text


def test_only_a_dry_run_does_without_a_folder() -> None:
    with pytest.raises(ValueError, match="expected --out RUN"):
        Train(stage="vae").run()


def test_options_of_a_plan_are_not_ignored() -> None:
    with pytest.raises(ValueError, match=r"--devices, --mfu: for a plan alone, which --dry-run tells"):
        Train(stage="vae", out=Path("run"), devices=8, mfu=0.5).run()


def test_what_is_asked_for_reaches_the_loop() -> None:
    given = Train(stage="vae", checkpoint_every=7, validate_every=0, ema=0.5).overrides()
    assert given == {"checkpoint_every": 7, "validate_every": 0, "ema_decay": 0.5}


def test_what_is_published_is_not_planned() -> None:
    with pytest.raises(ValueError, match="takes the vae as it was published"):
        Train(stage="vae", preset="full", dry_run=True).run()


def test_options_of_all_stages_and_of_one_are_kept_apart() -> None:
    with pytest.raises(ValueError, match=r"--minutes, --from: for gen3r train all"):
        Train(stage="vae", out=Path("run"), minutes=3.0, sources=(Path("copy"),)).run()
    with pytest.raises(ValueError, match=r"--resume, --steps: for a single stage; gen3r train all takes it"):
        Train(stage="all", out=Path("run"), resume=True, steps=5).run()
    with pytest.raises(ValueError, match="a plan is of one stage"):
        Train(stage="all", dry_run=True).run()
