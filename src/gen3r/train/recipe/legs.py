"""What the legs of a recipe build on: each other, and what they saved themselves."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from gen3r.hub.folder import save_network
from gen3r.hub.load import save_text
from gen3r.hub.networks import KINDS, TEXT_ENCODER
from gen3r.models.transformer import JointTransformer
from gen3r.presets.recipe import Leg, Recipe
from gen3r.presets.stages import Preset
from gen3r.train.loop import Trainer
from gen3r.train.objectives.diffusion import DiffusionObjective
from gen3r.train.recipe.clips import leg_preset
from gen3r.train.recipe.portable import START

TAUGHT_BY = {"distill": "diffusion", "decoders": "diffusion"}
"""Stages that start, every time, from the network of another one."""


@dataclass(frozen=True, kw_only=True)
class Legs:
    """The legs of a recipe in the folder of its run."""

    run: Path
    """Has a folder for each of them."""
    preset: Preset
    """What the recipe trains."""
    recipe: Recipe
    """Its legs."""

    def place(self, leg: Leg) -> Path:
        """The folder of a leg."""
        return self.run / leg.name

    def preset_of(self, leg: Leg) -> Preset:
        """The preset as a leg has it; a student's clips and conditions are those of its teacher's leg."""
        teacher = self._before(leg) if leg.stage in TAUGHT_BY else None
        preset, side = self.preset, leg.side
        if teacher is not None:
            preset, side = leg_preset(preset, teacher.stage, teacher.side, dict(teacher.settings)), teacher.side
        return leg_preset(preset, leg.stage, side, dict(leg.settings))

    def networks(self, leg: Leg) -> Sequence[Path]:
        """Finished legs of other stages, the latest of each first."""
        return [self.place(other) for other in reversed(self._earlier(leg)) if other.stage != leg.stage]

    def initial(self, leg: Leg) -> Path | None:
        """Where a leg starts from: what it saved itself, else the leg of its stage before it."""
        own = self.place(leg) / START
        if own.is_dir():
            return own
        before = self._before(leg)
        return None if before is None else self.place(before)

    def share_latents(self, leg: Leg) -> None:
        """A student reads the clips that its teacher's leg encoded on this machine."""
        before = self.initial(leg) if leg.stage in TAUGHT_BY else None
        self.place(leg).mkdir(parents=True, exist_ok=True)
        for path in before.glob("latents*.safetensors") if before is not None else ():
            if not (self.place(leg) / path.name).exists():
                os.link(path, self.place(leg) / path.name)

    def keep_start(self, leg: Leg, trainer: Trainer, *, anew: bool = True) -> None:
        """What the leg can be made of again; unless ``anew``, only if there is none yet."""
        place = self.place(leg) / START
        if leg.stage not in TAUGHT_BY and (anew or not place.is_dir()):
            write_start(trainer, place)

    def _earlier(self, leg: Leg) -> Sequence[Leg]:
        return self.recipe.legs[: self.recipe.legs.index(leg)]

    def _before(self, leg: Leg) -> Leg | None:
        """The leg whose network a leg starts from; None for the first of its stage."""
        stage = TAUGHT_BY.get(leg.stage, leg.stage)
        return next((each for each in reversed(self._earlier(leg)) if each.stage == stage), None)


@torch.no_grad()
def write_start(trainer: Trainer, folder: Path) -> None:
    """The averaged networks of a leg with the configs that they work with, and the tokenizer that belongs to them."""
    objective = trainer.objective
    with trainer.ema.applied():
        for name, network in objective.networks.items():
            if name not in KINDS:  # there for training alone; the checkpoint has it
                continue
            if name == TEXT_ENCODER:
                assert isinstance(objective, DiffusionObjective)  # the only one that trains words
                assert objective.text is not None
                save_text(objective.text, folder, torch.float16)
            else:
                config = network.settings if isinstance(network, JointTransformer) else network.config
                save_network(network, config, folder / name, torch.float16)
