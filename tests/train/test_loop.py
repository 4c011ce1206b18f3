"""The loop: learning, refusing what is not finite, checkpoints, logs, averaging."""

from pathlib import Path

import pytest
import torch

from gen3r.hub.load import load_vae
from gen3r.train.checkpoint import list_checkpoints, read_facts, read_tensors
from gen3r.train.guards import NonFiniteError
from gen3r.train.hooks import read_log
from gen3r.train.rng import generator, sample_generators
from train.tiny_run import loop_config, trainer, write_pack


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pack(tmp_path_factory.mktemp("data") / "pack.safetensors")


def test_loss_falls_and_averaged_weights_are_exported(pack: Path, tmp_path: Path) -> None:
    run = trainer(pack, tmp_path, loop_config(20, ema_decay=0.5, checkpoint_every=20))

    def lost() -> float:
        with torch.no_grad():
            return float(run.objective(run.batches.at(0), generator(0)).total)

    before = lost()
    run.run()
    assert lost() < 0.95 * before
    assert [line["step"] for line in read_log(tmp_path)] == list(range(1, 21))
    exported = load_vae(tmp_path / "export" / "vae").state_dict()
    for name, value in exported.items():
        torch.testing.assert_close(value, run.ema.average[f"vae.{name}"], rtol=0, atol=0)
    assert any(
        not torch.equal(value, run.objective.networks["vae"].state_dict()[name]) for name, value in exported.items()
    )


def test_last_checkpoints_are_kept_and_whole(pack: Path, tmp_path: Path) -> None:
    run = trainer(pack, tmp_path, loop_config(9, keep_checkpoints=2))
    run.run()
    assert [path.name for path in list_checkpoints(tmp_path)] == ["step-000000006", "step-000000009"]
    newest = list_checkpoints(tmp_path)[-1]
    assert read_facts(newest)["step"] == 9
    weights = read_tensors(newest, "weights.")
    assert all(torch.equal(value, weights[name]) for name, value in run.objective.saved_state().items())


def test_a_folder_in_use_is_refused_unless_resumed(pack: Path, tmp_path: Path) -> None:
    trainer(pack, tmp_path, loop_config(3)).run()
    with pytest.raises(ValueError, match="resume it or choose another folder"):
        trainer(pack, tmp_path, loop_config(3))
    assert trainer(pack, tmp_path, loop_config(3), resume=True).step == 3


def test_a_checkpoint_cut_short_is_not_seen(pack: Path, tmp_path: Path) -> None:
    trainer(pack, tmp_path, loop_config(3)).run()
    (tmp_path / "checkpoints" / ".partial-000000006").mkdir()
    assert trainer(pack, tmp_path, loop_config(6), resume=True).step == 3


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_non_finite_loss_stops_before_the_weights_move(pack: Path, tmp_path: Path, value: float) -> None:
    run = trainer(pack, tmp_path, loop_config(3))
    with torch.no_grad():
        run.objective.networks["vae"].linear.decode_first.bias[0] = value
    before = {name: tensor.clone() for name, tensor in run.objective.saved_state().items()}
    with pytest.raises(NonFiniteError, match=r"loss of step 0 is not finite: total, l1"):
        run.run()
    for name, tensor in run.objective.saved_state().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_non_finite_gradient_stops_and_names_the_weights(pack: Path, tmp_path: Path, value: float) -> None:
    run = trainer(pack, tmp_path, loop_config(3))
    bias = run.objective.networks["vae"].linear.decode_first.bias
    bias.register_hook(lambda gradient: gradient * value)
    before = bias.detach().clone()
    with pytest.raises(
        NonFiniteError, match=r"not finite in vae\.linear\.decode_first\.bias \(1 tensors\); from rank 0"
    ):
        run.run()
    assert torch.equal(bias, before)


def test_two_micro_steps_make_the_mean_gradient(pack: Path, tmp_path: Path) -> None:
    config = loop_config(1, accumulate=2, grad_clip=1e9)
    together = trainer(pack, tmp_path / "together", config)
    together.optimizer_step()
    alone = trainer(pack, tmp_path / "alone", config)
    for index in range(2):
        slot = (0, 2 * index, 2, 4)
        rng = sample_generators(config.seed, "loss", positions=alone.batches.positions(*slot))
        terms = alone.objective(alone.batches.at(*slot), rng)
        (terms.total / 2).backward()
    for one, other in zip(together.objective.parameters(), alone.objective.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_bf16_keeps_float32_weights(pack: Path, tmp_path: Path) -> None:
    run = trainer(pack, tmp_path, loop_config(2, precision="bf16"))
    run.run()
    assert all(value.dtype == torch.float32 for value in run.objective.networks.state_dict().values())
