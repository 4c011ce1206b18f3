"""A recipe in sittings: leg after leg, until the minutes of this sitting are over."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from gen3r.hub.folder import WEIGHTS_FILE
from gen3r.presets import load_preset
from gen3r.presets.recipe import Leg, Recipe
from gen3r.presets.stages import Preset
from gen3r.train.checkpoint import list_checkpoints
from gen3r.train.hooks import read_log
from gen3r.train.loop import Trainer
from gen3r.train.pace import ClockPace
from gen3r.train.processes import Processes
from gen3r.train.recipe.bundle import narrow_file
from gen3r.train.recipe.clips import SHARE, ClipStock
from gen3r.train.recipe.encoding_watch import FEWEST_ENCODED, EncodingWatch, OutOfTimeError, TooManyClipsError
from gen3r.train.recipe.legs import Legs
from gen3r.train.recipe.portable import LIMIT, take_portable, write_portable
from gen3r.train.recipe.progress import Progress, progress_of
from gen3r.train.sources import StockClips
from gen3r.train.stages import prepare

MARGIN = (4.0, 20.0)
"""Seconds before the end of a sitting that are kept for saving: at least, and at most until saving was measured."""
CLOSING = (6.0, 45.0)
"""The same for exporting a network, with its statistics."""
SHORTEST = 0.08
"""Share of a sitting that must be left for a leg to be begun in it."""


@dataclass(frozen=True, kw_only=True)
class RecipeConfig:
    """What to train, for how long, and where to."""

    preset: str
    """Its recipe is followed."""
    out: Path
    """Folder of the run; each leg has a folder in it."""
    minutes: float | None = None
    """Of this sitting; None: until everything is trained."""
    total: float | None = None
    """Minutes of training that the whole recipe is given; None: as planned in the preset, or as it was begun."""
    data: tuple[Path, ...] = ()
    """Packs or datasets to train on; none: clips are rendered."""
    validation: tuple[Path, ...] = ()
    """The same to validate on."""
    clips: int | None = None
    """Clips to train on at most."""
    portable: Path | None = None
    """Where a copy for another machine is kept up to date."""
    portable_mb: float | None = None
    """Megabytes above which that copy has less of the leg under way; None: 56."""
    sources: tuple[Path, ...] = ()
    """Portable copies to go on from."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Fields of every stage's ``LoopConfig`` that are others."""


class RecipeRun:
    """One sitting of a recipe."""

    def __init__(
        self,
        config: RecipeConfig,
        *,
        preset: Preset | None = None,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read what is there, or take it from portable copies.

        Args:
            config: what to do.
            preset: in place of the named one.
            console: where progress is shown.
            clock: seconds since whenever.

        Raises:
            ValueError: for a preset without a recipe, several processes, or folders that are something else.
        """
        self.config, self.console, self.clock = config, console, clock
        self.preset = preset or load_preset(config.preset)
        if self.preset.recipe is None:
            raise ValueError(f"{self.preset.name} has no recipe; train its stages one by one.")
        self.recipe: Recipe = self.preset.recipe
        self.legs = Legs(run=config.out, preset=self.preset, recipe=self.recipe)
        processes = Processes()
        if processes.several:
            raise ValueError("a recipe is followed by one process; start several for single stages.")
        self.device = processes.device
        self.began = clock()
        self.seconds = float("inf") if config.minutes is None else 60 * config.minutes
        known = progress_of(config.out)
        taken = None if known is not None else take_portable(config.sources, config.out, self.recipe, self.preset.name)
        if known is not None and config.sources:
            self.tell(f"{config.out} has begun already: --from is not read")
        self.progress = known or taken or Progress(preset=self.preset.name, minutes=self.recipe.minutes)
        self.progress.minutes = config.total or self.progress.minutes
        self.progress.sittings += known is None
        self.progress.write(config.out)
        self.stock = ClipStock(
            run=config.out,
            data=config.data,
            validation=config.validation,
            limit=config.clips or self.recipe.clips,
            sitting=self.progress.sittings - 1,
            seconds=SHARE * min(self.seconds, 60 * self.progress.minutes),
            device=self.device,
            tell=self.tell,
        )

    @property
    def finished(self) -> list[Path]:
        """Folders of the legs whose networks make a model, those that count more first."""
        done = [leg for leg in self.recipe.legs if self.progress.of(leg).done]
        last = {leg.stage: leg for leg in done}
        return [self.legs.place(leg) for leg in reversed(last.values())]

    @property
    def whole(self) -> bool:
        """Whether what is done makes a model."""
        return all(self.progress.of(leg).done for leg in self.recipe.legs if not leg.optional)

    def tell(self, text: str) -> None:
        """One line for the user."""
        if self.console is not None:
            self.console.print(text)

    @property
    def left(self) -> float:
        """Seconds of this sitting that are left."""
        return self.began + self.seconds - self.clock()

    def run(self) -> bool:
        """Train until the time is over or all legs are done; whether all are."""
        set_device_up(self.device)
        for leg in self.recipe.legs:
            if self.progress.of(leg).done:
                continue
            if self.left < min(SHORTEST * self.seconds, 60.0) + self._closing():
                break
            try:
                done = self._leg(leg)
            except OutOfTimeError:
                self.tell(f"{leg.name}: encoding its clips takes longer than this sitting lasts; go on with more time")
                done = False
            if not done:
                break
        self._carry()
        self.tell(self.progress.text(self.recipe))
        return all(self.progress.of(leg).done for leg in self.recipe.legs)

    def _leg(self, leg: Leg) -> bool:
        """Train one leg until it is done or the time is over; whether it is done."""
        gc.collect()  # what the leg before has left is in cycles, and large
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        trainer, pace = self._ready(leg)
        state = self.progress.of(leg)
        state.budget = pace.budget
        self.legs.keep_start(leg, trainer, anew=False)
        done = trainer.run()
        self._note(leg, trainer, pace)
        if done:
            for path in sorted(trainer.exported.glob(f"*/{WEIGHTS_FILE}")):
                narrow_file(path)  # what is released, and what later legs build on, here as elsewhere
            state.done = True
            self.progress.write(self.config.out)
            self._carry()
        return done

    def _ready(self, leg: Leg) -> tuple[Trainer, ClockPace]:
        place, preset = self.legs.place(leg), self.legs.preset_of(leg)
        self.legs.share_latents(leg)
        overrides = dict(leg.loop) | dict(self.config.overrides)
        seed = overrides.get("seed", getattr(preset, leg.stage).loop.seed)
        pace = ClockPace(
            budget=self.recipe.seconds(leg, self.progress.minutes),
            guess=getattr(preset, leg.stage).loop.steps,
            deadline=self.began + self.seconds,
            margin=self._margin(),
            closing=self._closing(),
            floor=leg.floor,
            every=_cadence(self.recipe.seconds(leg, self.progress.minutes)),
            clock=self.clock,
        )

        def saved(step: int) -> None:
            started = self.clock()
            self.legs.keep_start(leg, trainer)
            self._note(leg, trainer, pace)
            self._carry()
            pace.margin = max(pace.margin, 1.5 * (self.clock() - started) + 2)

        training, held = self.stock.of(preset, leg.stage, seed)
        watch = EncodingWatch(leg.name, pace, self.tell, fewer=isinstance(training, StockClips))

        def ready() -> Trainer:
            return prepare(
                leg.stage,
                preset,
                place,
                resume=bool(list_checkpoints(place)),
                clip_sources=(training, held),
                networks=self.legs.networks(leg),
                initial=self.legs.initial(leg),
                overrides=overrides,
                console=self.console,
                pace=pace,
                saved=saved,
                encoded=watch,
            )

        try:
            trainer = ready()
        except TooManyClipsError as error:
            assert isinstance(training, StockClips)
            training = training.first(max(FEWEST_ENCODED, int(error.share * len(training))))
            self.tell(f"{leg.name}: there is time to encode {len(training)} clips")
            trainer = ready()
        return trainer, pace

    def _margin(self) -> float:
        return min(MARGIN[1], max(MARGIN[0], 0.04 * self.seconds)) if self.seconds < float("inf") else 0.0

    def _closing(self) -> float:
        return min(CLOSING[1], max(CLOSING[0], 0.08 * self.seconds)) if self.seconds < float("inf") else 0.0

    def _note(self, leg: Leg, trainer: Trainer, pace: ClockPace) -> None:
        state = self.progress.of(leg)
        state.step, state.spent = trainer.step, round(pace.spent, 1)
        state.planned, state.seconds_per_step = pace.planned(trainer.step), pace.seconds_per_step
        lines = [line for line in read_log(self.legs.place(leg)) if any(name.startswith("val/") for name in line)]
        state.metrics = {name: float(value) for name, value in (lines[-1] if lines else {}).items() if "val/" in name}
        self.progress.write(self.config.out)

    def _carry(self) -> None:
        """Bring the portable copy up to date."""
        if self.config.portable is None or not any(state.step for state in self.progress.legs.values()):
            return
        limit = LIMIT if self.config.portable_mb is None else int(1e6 * self.config.portable_mb)
        packed = write_portable(self.config.out, self.config.portable, self.recipe, self.progress, limit)
        without = "" if packed.whole else "; the leg under way with its averaged weights alone"
        self.tell(f"portable copy: {packed.files} files, {packed.megabytes:.1f} MB{without}")


def _cadence(budget: float) -> dict[Any, float]:
    """Seconds between validations, pictures and checkpoints of a leg."""
    return {
        "validate": max(15.0, budget / 8),
        "sample": max(30.0, budget / 3),
        "save": min(600.0, max(20.0, budget / 5)),
    }


def set_device_up(device: torch.device) -> None:
    """Arithmetic of convolutions and float32 products as training wants it, on a GPU.

    What cannot be compiled there runs as it is, with a warning: a sitting is too short to fail in.
    """
    if device.type == "cuda":
        torch._dynamo.config.suppress_errors = True
        torch.backends.cudnn.benchmark = True
        torch.set_float32_matmul_precision("high")
