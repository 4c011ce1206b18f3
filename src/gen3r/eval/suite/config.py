"""What is measured on which clips, as it is handed to worker processes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gen3r.data.clip import Split
from gen3r.eval.benchmarks.seeds import HELD_OUT_START
from gen3r.eval.suite.benchmark import SuiteSettings


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """A model and how it is run, in words; see ``Gen3RPipeline.from_pretrained``."""

    model: str
    """A name, a repository or a folder."""
    revision: str | None = None
    """Of the repository; None: the pinned one."""
    device: str = "cpu"
    """Where it runs."""
    dtype: str | None = None
    """"float32", "bfloat16" or None."""
    vram: str = "auto"
    """"auto", "none" or gigabytes."""
    numerics: str = "default"
    """"default" or "official"."""
    text_cache: str | None = None
    """Folder of text features."""


@dataclass(frozen=True, kw_only=True)
class ClipChoice:
    """Which clips: of held-out seeds, or of stored datasets.

    Raises:
        ValueError: on construction, for no clips or a stride below 1.
    """

    datasets: tuple[str, ...] = ()
    """Dataset folders; none: clips are generated from seeds."""
    split: Split | None = None
    """Of the datasets, clips of this split alone; None: all."""
    stride: int = 1
    """Distance of neighbouring frames of a clip in its scene."""
    seed_start: int = HELD_OUT_START
    """First seed, where clips are generated."""
    count: int | None = None
    """Number of clips, spread evenly over the datasets; None: all of them."""

    def __post_init__(self) -> None:
        if not self.datasets and self.count is None:
            raise ValueError("expected a number of clips to generate, got none.")
        for name in ("count", "stride"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"expected {name} to be at least 1, got {value}.")


@dataclass(frozen=True, kw_only=True)
class SuiteConfig:
    """One run of the suite.

    Raises:
        ValueError: on construction, for a batch below 1 or no tables.
    """

    out: str
    """Folder of the results."""
    model: ModelChoice
    """Who is measured."""
    clips: ClipChoice
    """On what."""
    benchmarks: Mapping[str, str]
    """Name of each table -> module that has it as ``BENCHMARK``."""
    generation: SuiteSettings = field(default_factory=SuiteSettings)
    """How scenes are generated."""
    batch: int = 1
    """Clips measured together."""
    commit: str | None = None
    """Commit of the code that measures, as ``source_commit`` says it."""

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise ValueError(f"expected a batch of at least one clip, got {self.batch}.")
        if not self.benchmarks:
            raise ValueError("expected at least one table to measure, got none.")

    def settings(self) -> dict[str, Any]:
        """As JSON, for workers."""
        return dataclasses.asdict(self) | {"benchmarks": dict(self.benchmarks)}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> SuiteConfig:
        """Back from JSON, where tuples became lists."""
        clips: dict[str, Any] = settings["clips"] | {"datasets": tuple(settings["clips"]["datasets"])}
        parts: dict[str, Any] = {
            "model": ModelChoice(**settings["model"]),
            "clips": ClipChoice(**clips),
            "generation": SuiteSettings(**settings["generation"]),
        }
        return cls(**{**settings, **parts})
