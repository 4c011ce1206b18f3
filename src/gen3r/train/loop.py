"""The only training loop. It knows batches, one objective and its networks, and nothing of what they mean.

Samples and their random numbers are pure functions of (seed, position in the run), and the schedule is a function of
the step: a checkpoint of weights, average, optimizer and step therefore restores a run exactly, and neither the number
of processes nor the size of micro-batches changes what a step sees.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from gen3r.hub.layout import RUN_EXPORT
from gen3r.presets.loop import LoopConfig
from gen3r.train.batches import Batches, to_device
from gen3r.train.checkpoint import Saver, load_checkpoint, read_facts
from gen3r.train.guards import NonFiniteError, answering
from gen3r.train.hooks import ProgressLine, RunLog
from gen3r.train.loading import Places, micro_steps
from gen3r.train.looking import Looks
from gen3r.train.micro_batches import Computed, MicroBatches
from gen3r.train.nonfinite import nonfinite
from gen3r.train.objectives.base import Objective
from gen3r.train.optim import learning_rate
from gen3r.train.pace import Pace, StepPace
from gen3r.train.processes import Processes
from gen3r.train.resuming import checkpoint_to_resume
from gen3r.train.sharding import compile_blocks, recompute_activations, share
from gen3r.train.unread import UnreadSteps

logger = logging.getLogger(__name__)


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
        newest = checkpoint_to_resume(self.out, self.facts, resume=resume)
        known = read_facts(newest) if newest is not None else {}
        self.places = self._places(known.get("global_batch"))
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
        self.micro_batches = MicroBatches(batches, config, self.places, self.sharing, self.processes)
        self.looks = Looks(self.sharing, self.ema, config, self.processes)
        keep, background = config.keep_checkpoints, config.background_saves
        self.saver = Saver(self.out, self.processes, keep=keep, background=background)

    @property
    def exported(self) -> Path:
        """Folder of the averaged networks, once the run is done."""
        return self.out / RUN_EXPORT

    def _places(self, begun_with: int | None) -> Places:
        """Micro-batches of this process, such that a step has as many samples as the run began with."""
        size, rank, world = self.batches.batch_size, self.processes.rank, self.processes.world
        places = Places(size, micro_steps(self.config, size, world, begun_with), rank, world)
        wanted = self.config.global_batch or size * self.config.accumulate * world
        if wanted != places.total and self.processes.main:
            logger.warning("the run goes on with the %d samples per step that it began with.", places.total)
        return places

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
                self.micro_batches.loader.close()
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
        for sentence in self.micro_batches.stragglers.slow():
            if main:
                logger.warning("step %d: %s", self.step, sentence)
        if self.validation and self.pace.due("validate", self.step, config.validate_every):
            self.pace.saw(self.validate(self.validation, progress))
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
        computed = self.micro_batches.compute(self.step)
        if self.unread is not None:
            return self._unread_step(self.unread, computed, rate)
        means = computed.means()
        norm = self.sharing.clip(self._clip())
        failure = nonfinite(self.step, computed, norm, self.micro_batches, self.optimizer)
        if failure is None:
            self.sharing.step(self.optimizer)
            self.ema.update(self.step)
            for name, value in self.objective.running.named_buffers():
                value.copy_(self.processes.mean(computed.running[name]))
        elif self.skipped < config.skip_nonfinite:
            self.skipped += 1
            logger.warning("left out (%d of %d): %s", self.skipped, config.skip_nonfinite, failure)
        else:
            raise NonFiniteError(failure)
        extra = {"skipped": float(self.skipped)} if config.skip_nonfinite else {}
        return means | {"grad_norm": float(norm), "lr": rate} | extra

    def _unread_step(self, unread: UnreadSteps, computed: Computed, rate: float) -> dict[str, float]:
        """Move without a look at the numbers, except in every ``read_every``-th step."""
        norm, bad = unread.take(self.step, computed.total, self._clip())
        for name, value in self.objective.running.named_buffers():
            value.copy_(torch.where(bad > 0, value, computed.running[name]))
        if (self.step + 1) % self.config.read_every:
            return {}
        self.skipped += unread.read(self.step, self.config.skip_nonfinite - self.skipped)
        return computed.means() | {"grad_norm": float(norm), "lr": rate, "skipped": float(self.skipped)}

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

    # looking, saving --------------------------------------------------------------------------------------------------

    def validate(self, batches: Batches, progress: ProgressLine) -> dict[str, float]:
        """Metrics of the averaged weights, logged."""
        means = self.looks.metrics(batches)
        if self.log:
            self.log.numbers(self.step, means)
        progress.update(self.step, " ".join(f"{name[4:]} {value:.4g}" for name, value in means.items()))
        return means

    def sample(self) -> None:
        """Pictures of the averaged weights on a validation batch (or a training batch where there is none)."""
        pictures = self.looks.pictures(self.validation or self.batches)
        if self.log:
            self.log.pictures(self.step, pictures)

    def save(self) -> None:
        """Write a checkpoint, in the background unless the config says otherwise."""
        facts = self.facts | {"global_batch": self.places.total, "skipped": self.skipped, "pace": self.pace.facts()}
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
