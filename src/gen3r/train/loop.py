"""The only training loop. It knows batches, one objective and its networks, and nothing of what they mean.

Samples and their random numbers are pure functions of (seed, position in the run), and the schedule is a function of
the step: a checkpoint of weights, average, optimizer and step therefore restores a run exactly, and neither the number
of processes nor the size of micro-batches changes what a step sees.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeVar

import torch
from rich.console import Console
from torch import Tensor

from gen3r.hub.layout import RUN_EXPORT
from gen3r.presets.loop import LoopConfig
from gen3r.train.batches import Batches
from gen3r.train.checkpoint import Saver, list_checkpoints, load_checkpoint, read_facts
from gen3r.train.guards import (
    MicroBatch,
    NonFiniteError,
    Stragglers,
    answering,
    describe_gradients,
    describe_losses,
)
from gen3r.train.hooks import ProgressLine, RunLog
from gen3r.train.loading import Loader, Slot, micro_steps
from gen3r.train.objectives.base import Batch, Objective
from gen3r.train.optim import learning_rate
from gen3r.train.pace import Pace, StepPace
from gen3r.train.processes import Processes
from gen3r.train.rng import Rng, derive_seed, generator, sample_generators
from gen3r.train.sharding import compile_blocks, recompute_activations, share
from gen3r.train.unread import UnreadSteps

T = TypeVar("T")
logger = logging.getLogger(__name__)


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Move the tensors of a batch."""
    return {
        name: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
        for name, value in batch.items()
    }


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
        pace: Pace | None = None,
        saved: Callable[[int], None] | None = None,
    ) -> None:
        """The objective on its device, and everything around it.

        Args:
            objective: what is optimised.
            batches: what it is trained on.
            config: schedule and arithmetic.
            out: folder of the run.
            validation: what it is validated on.
            resume: go on from the newest checkpoint.
            title: of the progress line.
            facts: JSON that is kept in the checkpoints and compared on resume: stage, preset, network sizes.
            console: where progress is shown.
            pace: when the run rests and ends; None: after ``config.steps``.
            saved: called with the step once a checkpoint of it is whole.
        """
        if config.threads is not None:
            torch.set_num_threads(config.threads)
        self.processes = Processes(config.patience)
        self.device = self.processes.device
        self.batches, self.validation = batches, validation
        self.config, self.out, self.title, self.console = config, Path(out), title, console
        self.pace, self.saved = pace or StepPace(config.steps), saved
        batches.whole = config.streams == "batches"
        self.facts = {"loop": dataclasses.asdict(config)} | (facts or {})
        newest = self._newest(resume)
        known = read_facts(newest) if newest is not None else {}
        self.accumulate = self._micro_steps(known.get("global_batch"))
        self.objective = objective.to(self.device)
        if config.recompute:
            recompute_activations(objective.networks)
        if config.compile:
            compile_blocks(objective.networks)
        self.sharing = share(self.objective, self.processes, config)
        self.ema = self.sharing.average(config.ema_decay)
        self.optimizer = self.sharing.optimizer(config)
        self.state = self.sharing.state(self.ema, self.optimizer)
        self.step, self.skipped = int(known.get("step", 0)), int(known.get("skipped", 0))
        if newest is not None:
            load_checkpoint(newest, self.state, self.processes)
            self.state.filled()
        self.pace.begin(self.step, known.get("pace", {}))
        fresh = newest is not None and not self.optimizer.state
        self.fresh_since: int | None = self.step if fresh else known.get("fresh_since")
        self.unread = None
        if config.read_every > 1:
            if self.processes.several:
                raise ValueError("expected read_every = 1 with several processes: they agree on every step.")
            self.unread = UnreadSteps(self.objective.networks, self.optimizer, self.ema)
        self.loader = Loader(batches, config.prefetch, self._following)
        self.stragglers = Stragglers(self.processes, config.straggler_every, config.straggler_factor)
        keep, background = config.keep_checkpoints, config.background_saves
        self.saver = Saver(self.out, self.processes, keep=keep, background=background)

    @property
    def exported(self) -> Path:
        """Folder of the averaged networks, once the run is done."""
        return self.out / RUN_EXPORT

    def _newest(self, resume: bool) -> Path | None:
        present = list_checkpoints(self.out)
        if present and not resume:
            raise ValueError(
                f"{self.out} already holds checkpoints up to {present[-1].name}; resume it or choose another folder."
            )
        if not present:
            return None
        facts = read_facts(present[-1])
        changed = [key for key in self.facts if key != "loop" and facts.get(key) != _plain(self.facts[key])]
        if changed:
            raise ValueError(
                f"{present[-1]} was trained with other {', '.join(changed)}; "
                "resume with the same, or use another folder."
            )
        return present[-1]

    def _micro_steps(self, begun_with: int | None) -> int:
        """Micro-batches of this process per step, so that a step has as many samples as the run began with."""
        size, world = self.batches.batch_size, self.processes.world
        wanted = self.config.global_batch or size * self.config.accumulate * world
        if begun_with not in (None, wanted) and self.processes.main:
            logger.warning("the run goes on with the %d samples per step that it began with.", begun_with)
        return micro_steps(self.config, size, world, begun_with)

    # running ----------------------------------------------------------------------------------------------------------

    def run(self) -> bool:
        """Train until the pace says that the run is done, then export the averaged weights.

        Returns:
            Whether it is done; if not, it rests: a checkpoint holds what it takes to go on.
        """
        main = self.processes.main
        self.log = RunLog(self.out, self.step) if main else None
        planned = self.pace.planned(self.step)
        progress = ProgressLine(self.title, planned, self.step, self.console if main else None)
        with answering(self.processes, lambda: self.step):  # closing waits for others, too
            try:
                while not self.pace.ended(self.step) and not self.pace.resting(self.step):
                    self._one_step(progress)
                if self.unread is not None:
                    self.skipped += self.unread.read(self.step, self.config.skip_nonfinite)
                done = self.pace.ended(self.step) and self.pace.may_close()
                if not done:
                    self.save()
                self._saved_whole()
                if done:
                    self.export(self.exported)
                self.processes.wait()
                return done
            finally:
                progress.stop()
                self.loader.close()
                self.saver.close()
                if self.log:
                    self.log.close()

    def _one_step(self, progress: ProgressLine) -> None:
        """A step, and what is due after it."""
        config, main = self.config, self.processes.main
        values = self.optimizer_step()
        self.step += 1
        self.pace.stepped(self.step)
        planned = progress.steps = self.pace.planned(self.step)
        if getattr(self.batches, "steps", 0):  # curricula go by the share of the steps that is done
            self.batches.steps = planned  # pyright: ignore[reportAttributeAccessIssue]
        if self.log and values and (self.step % config.log_every == 0 or self.step == planned):
            self.log.numbers(self.step, values)
            progress.update(self.step, f"loss {values['total']:.4f}")
        for sentence in self.stragglers.slow():
            if main:
                logger.warning("step %d: %s", self.step, sentence)
        if self.validation and self.pace.due("validate", self.step, config.validate_every):
            self.pace.saw(self.validate(progress))
        if self.pace.due("sample", self.step, config.sample_every):
            self.sample()
        if self.pace.due("save", self.step, config.checkpoint_every):
            self.save()
            if self.saved is not None:
                self._saved_whole()

    def _saved_whole(self) -> None:
        """Wait for the newest checkpoint, and tell of it."""
        self.saver.wait()
        if self.saved is not None:
            self.saved(self.step)

    def optimizer_step(self) -> dict[str, float]:
        """Forward, backward, refuse what is not finite, clip, move weights and average; the mean terms.

        Where numbers are not read in every step, those between have none to return.
        """
        config = self.config
        self.objective.train()
        rate = self._rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("lr_factor", 1.0)
        self.sharing.forget(self.optimizer)
        running = {name: value.clone() for name, value in self.objective.running.named_buffers()}
        moved = {name: torch.zeros_like(value) for name, value in running.items()}
        reports = []
        for micro in range(self.accumulate):
            slot = self._slot(self.step, micro)
            terms = self._micro_step(slot, last=micro == self.accumulate - 1)
            reports.append((slot, terms))
            for name, value in self.objective.running.named_buffers():
                moved[name] += value / self.accumulate
                value.copy_(running[name])
        names = list(reports[0][1])
        values = self._means(names, [terms for _, terms in reports])
        if self.unread is not None:
            return self._unread_step(self.unread, names, values, moved, rate)
        means = dict(zip(names, values.tolist(), strict=True))
        norm = self.sharing.clip(self._clip())
        failure = self._failure(means, norm, reports)
        if failure is None:
            self.sharing.step(self.optimizer)
            self.ema.update(self.step)
            for name, value in self.objective.running.named_buffers():
                value.copy_(self.processes.mean(moved[name]))
        elif self.skipped < config.skip_nonfinite:
            self.skipped += 1
            logger.warning("left out (%d of %d): %s", self.skipped, config.skip_nonfinite, failure)
        else:
            raise NonFiniteError(failure)
        extra = {"skipped": float(self.skipped)} if config.skip_nonfinite else {}
        return means | {"grad_norm": float(norm), "lr": rate} | extra

    def _unread_step(
        self, unread: UnreadSteps, names: list[str], values: Tensor, moved: dict[str, Tensor], rate: float
    ) -> dict[str, float]:
        """Move without a look at the numbers, except in every ``read_every``-th step."""
        norm, bad = unread.take(self.step, values[names.index("total")], self._clip())
        for name, value in self.objective.running.named_buffers():
            value.copy_(torch.where(bad > 0, value, moved[name]))
        if (self.step + 1) % self.config.read_every:
            return {}
        self.skipped += unread.read(self.step, self.config.skip_nonfinite - self.skipped)
        means = dict(zip(names, values.tolist(), strict=True))
        return means | {"grad_norm": float(norm), "lr": rate, "skipped": float(self.skipped)}

    def _rate(self) -> float:
        """The learning rate of the next step."""
        rate = learning_rate(self.step, self.config, self.pace.progress(self.step))
        if self.fresh_since is None:
            return rate
        return rate * min(1.0, (self.step - self.fresh_since + 1) / max(1, self.config.rewarm))

    def _clip(self) -> float:
        """The limit of the gradient norm in the next step."""
        progress = self.pace.progress(self.step)
        return self.config.clip_at(self.step if progress is None else round(progress * self.config.steps))

    def _micro_step(self, slot: Slot, last: bool) -> dict[str, Tensor]:
        config, positions = self.config, slot.positions(self.batches)
        with self.stragglers.working("loading"):
            batch = to_device(self.loader.get(slot), self.device)
        torch.manual_seed(derive_seed(config.seed, "global", positions[0]))
        rng: Rng = (
            generator(config.seed, "loss", positions[0], device=self.device)
            if config.streams == "batches"
            else sample_generators(config.seed, "loss", positions=positions, device=self.device)
        )

        def lose(objective: Objective) -> dict[str, Tensor]:
            with self._precision():
                terms = objective.loss(batch, rng)
            return {"total": terms.total} | {name: value.detach() for name, value in terms.parts.items()}

        with self.sharing.syncing(last):
            with self.stragglers.working("computing"):
                terms = self.sharing.train(lose)
            self.sharing.backward(terms["total"] / self.accumulate)
        return {name: value.detach() for name, value in terms.items()}

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16")

    def _means(self, names: list[str], terms: list[dict[str, Tensor]]) -> Tensor:
        """Of each of these numbers over micro-batches and processes, on the device."""
        values = torch.stack([torch.stack([each[name].float().to(self.device) for name in names]) for each in terms])
        return self.processes.mean(values.mean(0))

    # what is not finite -----------------------------------------------------------------------------------------------

    def _failure(
        self, means: dict[str, float], norm: Tensor, reports: list[tuple[Slot, dict[str, Tensor]]]
    ) -> str | None:
        """Why the step must not be taken: the same on all processes, since all have the same means and norm."""
        if not torch.isfinite(torch.tensor(means["total"])):
            own = [self._report(slot, terms) for slot, terms in reports]
            return describe_losses(self.step, [each for several in self.processes.gather(own) for each in several])
        if not bool(torch.isfinite(norm)):
            names = self.sharing.bad_gradients(self.processes)
            return describe_gradients(self.step, names, self._culprits())
        return None

    def _report(self, slot: Slot, terms: dict[str, Tensor]) -> MicroBatch:
        samples = tuple(self.batches.name(position) for position in slot.positions(self.batches))
        return MicroBatch(
            rank=self.processes.rank, samples=samples, terms={name: float(value) for name, value in terms.items()}
        )

    def _culprits(self) -> list[str]:
        """Compute every micro-batch of the step again, all processes the same one, to see whose gradient is bad."""
        found = []
        running = {name: value.clone() for name, value in self.objective.running.named_buffers()}
        for rank in range(self.processes.world):
            for micro in range(self.accumulate):
                self.sharing.forget(self.optimizer)
                slot = self._slot(self.step, micro, rank)
                terms = self._micro_step(slot, last=True)
                if not bool(torch.isfinite(self.sharing.clip(1.0))):
                    found.append(str(dataclasses.replace(self._report(slot, terms), rank=rank)))
                for name, value in self.objective.running.named_buffers():
                    value.copy_(running[name])
        self.sharing.forget(self.optimizer)
        return found

    # places in the data -----------------------------------------------------------------------------------------------

    @property
    def global_batch(self) -> int:
        """Samples of one optimizer step over all processes."""
        return self.batches.batch_size * self.accumulate * self.processes.world

    def _slot(self, step: int, micro: int, rank: int | None = None) -> Slot:
        rank, size = self.processes.rank if rank is None else rank, self.batches.batch_size
        return Slot(step, (rank * self.accumulate + micro) * size, size, self.global_batch)

    def _following(self, slot: Slot) -> Slot:
        micro = slot.first // slot.size % self.accumulate + 1
        return self._slot(slot.step + micro // self.accumulate, micro % self.accumulate)

    # looking, saving --------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def validate(self, progress: ProgressLine | None = None) -> dict[str, float]:
        """Mean metrics of the averaged weights on the first validation batches, shared among the processes."""
        assert self.validation is not None
        count, rank, world = self.config.validation_batches, self.processes.rank, self.processes.world
        sums: dict[str, float] = {}
        self.objective.eval()
        with self.ema.applied():
            for index in range(rank, -(-count // world) * world, world):  # as many for each: shards are gathered by all
                batch = to_device(self.validation.at(index % count), self.device)
                rng = generator(self.config.seed, "validation", index % count, device=self.device)
                metrics = self._look(lambda objective, batch=batch, rng=rng: objective.metrics(batch, rng))
                for name, value in metrics.items():
                    sums[name] = sums.get(name, 0.0) + (value / count if index < count else 0.0)
        values = self.processes.mean(torch.tensor(list(sums.values()), dtype=torch.float64, device=self.device))
        means = {f"val/{name}": value * world for name, value in zip(sums, values.tolist(), strict=True)}
        if self.log:
            self.log.numbers(self.step, means)
        if progress:
            progress.update(self.step, " ".join(f"{name[4:]} {value:.4g}" for name, value in means.items()))
        return means

    @torch.no_grad()
    def sample(self) -> None:
        """Pictures of the averaged weights on a validation batch (or a training batch where there is none)."""
        self.objective.eval()
        with self.ema.applied():
            batch = to_device((self.validation or self.batches).at(0), self.device)
            rng = generator(self.config.seed, "pictures", device=self.device)
            pictures = self._look(lambda objective: objective.pictures(batch, rng))
        if self.log:
            self.log.pictures(self.step, pictures)

    def _look(self, work: Callable[[Objective], T]) -> T:
        """``work`` without gradients, in the precision of training: that of the weights where they are gathered.

        Blocks that are compiled for training run as they are: sizes differ, and compiling again takes longer.
        """
        stance = torch.compiler.set_stance("force_eager") if self.config.compile else nullcontext()
        with self._precision(), stance:
            return self.sharing.look(work)

    def save(self) -> None:
        """Write a checkpoint, in the background unless the config says otherwise."""
        facts = self.facts | {"global_batch": self.global_batch, "skipped": self.skipped, "pace": self.pace.facts()}
        if self.fresh_since is not None:
            facts["fresh_since"] = self.fresh_since
        self.saver.save(self.step, self.state.tensors(), facts)

    @torch.no_grad()
    def export(self, folder: Path, batches: int = 16) -> None:
        """Write the averaged weights as network folders."""
        self.objective.eval()
        with self.sharing.averaged(self.ema) as objective:
            if objective is not None:
                objective.eval()
                first = max(0, self.pace.planned(self.step) - batches)  # clips as long as they are in the end
                steps = range(first, first + batches)
                objective.export(folder, [to_device(self.batches.at(step), self.device) for step in steps])


def _plain(value: Any) -> Any:
    """As it comes back from JSON: tuples are lists."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
