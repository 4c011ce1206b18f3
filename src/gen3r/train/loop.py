"""The only training loop. It knows batches, one objective and its networks, and nothing of what they mean.

Every random stream and the data order are pure functions of (seed, step, process), and the schedule is a function of
the step: a checkpoint of weights, average, optimizer and step therefore restores a run exactly.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from rich.console import Console
from torch import Tensor

from gen3r.presets.loop import LoopConfig
from gen3r.train.batches import Batches
from gen3r.train.checkpoint import list_checkpoints, load_checkpoint, save_checkpoint
from gen3r.train.ema import EMA
from gen3r.train.hooks import ProgressLine, RunLog
from gen3r.train.objectives.base import Batch, Objective, Terms
from gen3r.train.optim import build_optimizer, learning_rate
from gen3r.train.rng import derive_seed, generator, sample_generators


class NonFiniteError(RuntimeError):
    """A loss or gradient became NaN or infinite; the weights are those before the step."""


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Move the tensors of a batch."""
    return {name: value.to(device) if isinstance(value, Tensor) else value for name, value in batch.items()}


class Trainer:
    """One run: ``Trainer(...).run()`` trains from the start, or from the latest checkpoint with ``resume``."""

    def __init__(
        self,
        objective: Objective,
        batches: Batches,
        config: LoopConfig,
        out: Path,
        *,
        validation: Batches | None = None,
        resume: bool = False,
        title: str = "train",
        facts: dict[str, Any] | None = None,
        console: Console | None = None,
    ) -> None:
        """``facts`` (JSON) is kept in the checkpoints and compared on resume: stage, preset, network sizes."""
        if config.threads is not None:
            torch.set_num_threads(config.threads)
        self.accelerator = Accelerator(cpu=not torch.cuda.is_available())
        self.device = self.accelerator.device
        self.objective, self.batches, self.validation = objective.to(self.device), batches, validation
        self.config, self.out, self.title, self.console = config, Path(out), title, console
        self.facts = {"loop": dataclasses.asdict(config)} | (facts or {})
        self.ema = EMA(objective.networks, config.ema_decay)
        optimizer = build_optimizer(objective.networks, config)
        self.step = self._restore(optimizer, resume)
        self.model, self.optimizer = self.accelerator.prepare(self.objective, optimizer)

    def _restore(self, optimizer: torch.optim.Optimizer, resume: bool) -> int:
        present = list_checkpoints(self.out)
        if present and not resume:
            raise ValueError(
                f"{self.out} already holds checkpoints up to {present[-1].name}; resume it or choose another folder."
            )
        if not present:
            return 0
        weights, average, state, facts = load_checkpoint(present[-1], self.device)
        changed = [key for key in self.facts if key != "loop" and facts.get(key) != _plain(self.facts[key])]
        if changed:
            raise ValueError(
                f"{present[-1]} was trained with other {', '.join(changed)}; "
                "resume with the same, or use another folder."
            )
        self.objective.load_saved_state(weights)
        self.ema.load(average)
        optimizer.load_state_dict(state)
        return int(facts["step"])

    def run(self) -> None:
        """Train until ``config.steps``, then export the averaged weights to ``out/export``."""
        config, main = self.config, self.accelerator.is_main_process
        self.log = RunLog(self.out, self.step) if main else None
        progress = ProgressLine(self.title, config.steps, self.step, self.console if main else None)
        try:
            while self.step < config.steps:
                values = self.optimizer_step()
                self.step += 1
                if self.log and (self.step % config.log_every == 0 or self.step == config.steps):
                    self.log.numbers(self.step, values)
                    progress.update(self.step, f"loss {values['total']:.4f}")
                if _due(self.step, config.validate_every, config.steps) and self.validation and main:
                    self.validate(progress)
                if _due(self.step, config.sample_every, config.steps) and main:
                    self.sample()
                if _due(self.step, config.checkpoint_every, config.steps):
                    self.save()
            if main:
                self.export(self.out / "export")
            self.accelerator.wait_for_everyone()
        finally:
            progress.stop()
            if self.log:
                self.log.close()

    def optimizer_step(self) -> dict[str, float]:
        """Forward, backward, refuse what is not finite, clip, move the weights, average them. Returns the terms."""
        config, rank, world = self.config, self.accelerator.process_index, self.accelerator.num_processes
        self.objective.train()
        rate = learning_rate(self.step, config)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("lr_factor", 1.0)
        self.optimizer.zero_grad(set_to_none=True)
        sums: dict[str, float] = {}
        for micro in range(config.accumulate):
            size = self.batches.batch_size
            slot = (self.step, (rank * config.accumulate + micro) * size, size, size * config.accumulate * world)
            positions = self.batches.positions(*slot)
            torch.manual_seed(derive_seed(config.seed, "global", positions[0]))
            batch = to_device(self.batches.at(*slot), self.device)
            rng = sample_generators(config.seed, "loss", positions=positions, device=self.device)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
                terms = self.model(batch, rng)
            self._check_loss(terms)
            self.accelerator.backward(terms.total / config.accumulate)
            for name, value in terms.floats().items():
                sums[name] = sums.get(name, 0.0) + value / config.accumulate
        norm = torch.as_tensor(self.accelerator.clip_grad_norm_(self.objective.networks.parameters(), config.grad_clip))
        if not torch.isfinite(norm):
            names = [
                name
                for name, value in self.objective.networks.named_parameters()
                if value.grad is not None and not value.grad.isfinite().all()
            ]
            raise NonFiniteError(
                f"gradient of step {self.step} is not finite in {names[:5]}; terms {sums}. The weights did not move."
            )
        self.optimizer.step()
        self.ema.update(self.step)
        return sums | {"grad_norm": float(norm), "lr": rate}

    def _check_loss(self, terms: Terms) -> None:
        bad = ~torch.isfinite(terms.total.detach())
        if int(cast(Tensor, self.accelerator.reduce(bad.to(torch.int64), "sum"))):
            values = terms.floats()
            names = [name for name, value in values.items() if not torch.isfinite(torch.tensor(value))]
            raise NonFiniteError(
                f"loss of step {self.step} is not finite: {', '.join(names) or 'on another process'}; "
                f"terms {values}. The weights did not move."
            )

    @torch.no_grad()
    def validate(self, progress: ProgressLine | None = None) -> dict[str, float]:
        """Mean metrics of the averaged weights on the first validation batches."""
        assert self.validation is not None
        sums: dict[str, float] = {}
        count = self.config.validation_batches
        self.objective.eval()
        with self.ema.applied():
            for index in range(count):
                batch = to_device(self.validation.at(index), self.device)
                metrics = self.objective.metrics(
                    batch, generator(self.config.seed, "validation", index, device=self.device)
                )
                for name, value in metrics.items():
                    sums[f"val/{name}"] = sums.get(f"val/{name}", 0.0) + value / count
        if self.log:
            self.log.numbers(self.step, sums)
        if progress:
            progress.update(self.step, " ".join(f"{name[4:]} {value:.4g}" for name, value in sums.items()))
        return sums

    @torch.no_grad()
    def sample(self) -> None:
        """Pictures of the averaged weights on a validation batch (or a training batch where there is none)."""
        assert self.log is not None
        self.objective.eval()
        with self.ema.applied():
            batch = to_device((self.validation or self.batches).at(0), self.device)
            self.log.pictures(
                self.step, self.objective.pictures(batch, generator(self.config.seed, "pictures", device=self.device))
            )

    def save(self) -> None:
        """Write a checkpoint (main process), the others wait."""
        if self.accelerator.is_main_process:
            save_checkpoint(
                self.out,
                self.step,
                weights=self.objective.saved_state(),
                average=self.ema.average,
                optimizer=self.optimizer.state_dict(),
                facts=self.facts,
                keep=self.config.keep_checkpoints,
            )
        self.accelerator.wait_for_everyone()

    @torch.no_grad()
    def export(self, folder: Path, batches: int = 16) -> None:
        """Write the averaged weights as network folders."""
        self.objective.eval()
        with self.ema.applied():
            self.objective.export(folder, [to_device(self.batches.at(index), self.device) for index in range(batches)])


def _due(step: int, every: int, last: int) -> bool:
    return every > 0 and (step % every == 0 or step == last)


def _plain(value: Any) -> Any:
    """As it comes back from JSON: tuples are lists."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
