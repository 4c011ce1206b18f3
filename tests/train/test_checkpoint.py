"""Checkpoints in the background, those that fail, and those of the first version."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from gen3r.train import checkpoint
from gen3r.train.checkpoint import list_checkpoints, read_tensors
from gen3r.train.loop import Trainer
from train.tiny_flow import flow, full_disk


def steps(trainer: Trainer, count: int) -> None:
    for _ in range(count):
        trainer.optimizer_step()
        trainer.step += 1


def names(run: Path) -> list[str]:
    return [path.name for path in list_checkpoints(run)]


def test_training_goes_on_while_a_checkpoint_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, may_write = flow(tmp_path), threading.Event()

    def slowly(*arguments: Any) -> None:
        assert may_write.wait(60)
        save_file(*arguments)

    monkeypatch.setattr(checkpoint, "save_file", slowly)
    steps(trainer, 1)
    before = {name: value.clone() for name, value in trainer.state.tensors().items()}
    trainer.save()
    steps(trainer, 1)  # would wait for ever if the save were waited for
    assert names(tmp_path) == []
    may_write.set()
    trainer.save()  # waits for the first one
    assert names(tmp_path) == ["step-000000001"]
    trainer.saver.close()
    assert names(tmp_path) == ["step-000000001", "step-000000002"]
    stored = read_tensors(list_checkpoints(tmp_path)[0], "")
    assert stored.keys() == before.keys()
    assert all(torch.equal(stored[name], value) for name, value in before.items())  # not what came a step later


def test_a_full_disk_leaves_the_last_checkpoint_and_is_told(tmp_path: Path) -> None:
    trainer = flow(tmp_path)
    steps(trainer, 1)
    trainer.save()
    trainer.saver.wait()
    steps(trainer, 1)
    with full_disk():
        trainer.save()
        with pytest.raises(OSError, match="File too large"):
            trainer.saver.close()
    assert names(tmp_path) == ["step-000000001"]
    again = flow(tmp_path, resume=True)
    assert again.step == 1
    steps(again, 1)
    again.save()
    again.saver.close()
    assert names(tmp_path) == ["step-000000001", "step-000000002"]
    assert not list((tmp_path / "checkpoints").glob(".partial-*"))


def test_checkpoints_of_the_first_version_are_read(tmp_path: Path) -> None:
    trainer = flow(tmp_path / "new")
    steps(trainer, 3)
    old = tmp_path / "old" / "checkpoints" / "step-000000003"
    old.mkdir(parents=True)
    save_file(dict(trainer.objective.saved_state()), old / "weights.safetensors")
    save_file(dict(trainer.ema.average), old / "average.safetensors")
    parameters = list(trainer.objective.networks.parameters())
    counted = [value for flat in (False, True) for value in parameters if (value.ndim < 2) == flat]
    assert parameters[0].ndim >= 2  # groups stood in the order of their first members
    moments = {index: trainer.optimizer.state[value] for index, value in enumerate(counted)}
    torch.save({"state": moments}, old / "optimizer.pt")
    (old / "facts.json").write_text(json.dumps({"step": 3}))

    again = flow(tmp_path / "old", resume=True)
    assert again.step == 3
    stored, read = trainer.state.tensors(), again.state.tensors()
    assert stored.keys() == read.keys()
    assert all(torch.equal(read[name], value) for name, value in stored.items())
    steps(trainer, 1)
    steps(again, 1)
    assert all(torch.equal(again.state.tensors()[name], value) for name, value in trainer.state.tensors().items())


def test_tensors_of_another_network_are_refused(tmp_path: Path) -> None:
    trainer = flow(tmp_path)
    steps(trainer, 1)
    tensors = trainer.state.tensors()
    trainer.saver.save(1, {name: value for name, value in tensors.items() if "proj_out" not in name}, {})
    trainer.saver.wait()
    with pytest.raises(ValueError, match=r"differs from the networks in .*proj_out"):
        flow(tmp_path, resume=True)
    other = {
        name: torch.cat([value, value]) if name.endswith("proj_out.bias") else value for name, value in tensors.items()
    }
    trainer.saver.save(2, other, {})
    trainer.saver.close()
    with pytest.raises(ValueError, match=r"has .*proj_out.bias of shape"):
        flow(tmp_path, resume=True)


def test_the_samples_of_a_step_do_not_depend_on_the_processes(tmp_path: Path) -> None:
    trainer = flow(tmp_path, global_batch=4)
    assert trainer.places.accumulate == 4
    steps(trainer, 1)
    trainer.save()
    trainer.saver.close()
    assert flow(tmp_path, resume=True, batch_size=2).places.accumulate == 2
    with pytest.raises(ValueError, match="a step of 4 samples cannot be shared by 1 processes in micro-batches of 3"):
        flow(tmp_path, resume=True, batch_size=3)


def test_batches_prepared_ahead_change_nothing(tmp_path: Path) -> None:
    ends = []
    for ahead in (0, 3):
        trainer = flow(tmp_path / str(ahead), accumulate=2, prefetch=ahead)
        steps(trainer, 3)
        trainer.micro_batches.loader.close()
        ends.append({name: value.clone() for name, value in trainer.state.tensors().items()})
    assert all(torch.equal(ends[1][name], value) for name, value in ends[0].items())


def test_an_average_that_forgets_at_once_takes_no_room(tmp_path: Path) -> None:
    trainer = flow(tmp_path, ema_decay=0.0)
    steps(trainer, 2)
    weights = trainer.objective.networks.state_dict()
    for name, value in trainer.ema.average.items():
        assert value.data_ptr() == weights[name].data_ptr()
    assert not [name for name in trainer.state.tensors() if name.startswith("average.")]
