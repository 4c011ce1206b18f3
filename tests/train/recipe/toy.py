"""A recipe of seconds: the smallest networks that fit each other, on a clock that ticks when it is looked at."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from gen3r.presets.recipe import Floor, Leg, Recipe
from gen3r.presets.stages import Preset
from train.objectives.test_objectives import tiny_preset
from train.tiny_run import write_pack

SIDE = 112
MINUTES = 0.48
"""Of the whole toy: six legs of five seconds of a clock that ticks a twentieth with every look."""


class Ticks:
    """A clock for which only looking at it takes time: what depends on it is the same on every machine."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.05
        return self.now


def toy_preset() -> Preset:
    """Five frames of 112x112 pixels, the fewest that make whole patches of the joint latent; VGGT in two legs."""
    loop = {"validate_every": 0, "sample_every": 0, "threads": 1}
    legs = (
        Leg(name="vae", stage="vae", share=1.0, loop=loop),
        Leg(name="vggt-first", stage="vggt", side=56, share=1.0, loop=loop),
        Leg(name="vggt", stage="vggt", share=1.0, loop=loop, floor=Floor(metric="absrel", value=0.0, above=False)),
        Leg(name="adapter", stage="adapter", share=1.0, loop=loop),
        Leg(name="diffusion", stage="diffusion", share=1.0, loop=loop | {"fused": True, "read_every": 2}),
        Leg(name="decoders", stage="decoders", share=1.0, loop=loop | {"batch_size": 1}, optional=True),
    )
    recipe = Recipe(legs=legs, minutes=MINUTES, clips=6, device="anything")
    return dataclasses.replace(tiny_preset(), height=SIDE, width=SIDE, recipe=recipe)


def toy_packs(folder: Path) -> tuple[Path, Path]:
    """Clips to train and to validate on."""
    return (
        write_pack(folder / "pack.safetensors", count=6, side=SIDE),
        write_pack(folder / "validation.safetensors", count=2, side=SIDE, first_seed=800_000_000),
    )
