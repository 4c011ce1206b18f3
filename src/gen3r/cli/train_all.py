"""``gen3r train all``: what the other options of ``gen3r train`` become where all stages are trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from gen3r.cli.terminal import say

OWN = ("minutes", "total", "portable", "portable_mb", "sources")
"""Options of `train all` alone."""
SHARED = ("stage", "preset", "out", "data", "validation", "clips", "threads", "seed", "precision", *OWN)
"""Options that `train all` reads."""


@runtime_checkable
class Options(Protocol):
    """What is read of the command."""

    @property
    def out(self) -> Path | None: ...
    @property
    def preset(self) -> str: ...
    @property
    def minutes(self) -> float | None: ...
    @property
    def total(self) -> float | None: ...
    @property
    def portable(self) -> Path | None: ...
    @property
    def portable_mb(self) -> float | None: ...
    @property
    def sources(self) -> tuple[Path, ...]: ...
    @property
    def data(self) -> tuple[Path, ...]: ...
    @property
    def validation(self) -> tuple[Path, ...]: ...
    @property
    def clips(self) -> int | None: ...


def train_all(options: Options, overrides: Mapping[str, Any]) -> None:
    """Follow the recipe of a preset for a sitting.

    Raises:
        ValueError: for options of single stages, and as `RecipeRun`.
    """
    from rich.console import Console

    from gen3r.train.recipe.run import RecipeConfig, RecipeRun

    _check(options)
    assert options.out is not None
    config = RecipeConfig(
        preset=options.preset,
        out=options.out,
        minutes=options.minutes,
        total=options.total,
        data=options.data,
        validation=options.validation,
        clips=options.clips,
        portable=options.portable,
        portable_mb=options.portable_mb,
        sources=options.sources,
        overrides=overrides,
    )
    run = RecipeRun(config, console=Console(stderr=True))
    done = run.run()
    if run.whole:
        runs = " ".join(str(folder) for folder in run.finished)
        say(f"There is a model: gen3r models assemble {runs} --preset {options.preset} --out MODEL")
    if not done:
        say("Not everything is trained yet: the same command goes on.")


def check_single(options: Options) -> None:
    """Options of all stages together are refused for one of them.

    Raises:
        ValueError: naming them.
    """
    given = [_flag(name) for name in OWN if getattr(options, name)]
    if given:
        raise ValueError(f"{', '.join(given)}: for gen3r train all; a single stage trains for its --steps.")


def _check(options: Options) -> None:
    defaults = {field.name: field.default for field in fields(options)}  # pyright: ignore[reportArgumentType]
    other = [name for name, value in defaults.items() if name not in SHARED and getattr(options, name) != value]
    if other:
        raise ValueError(
            f"{', '.join(map(_flag, other))}: for a single stage; gen3r train all takes it from the recipe of the "
            f"preset. It reads {', '.join(map(_flag, SHARED[1:]))}."
        )


def _flag(name: str) -> str:
    return "--from" if name == "sources" else f"--{name.replace('_', '-')}"
