"""The unit of work of the suite: a model per worker, a few clips at a time, all tables that are due."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from gen3r.eval.benchmarks.tally import Tally
from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.machine import machine_record
from gen3r.eval.suite.benchmark import benchmark_quantities
from gen3r.eval.suite.config import ModelChoice, SuiteConfig
from gen3r.eval.suite.parts import Part, part_path
from gen3r.eval.suite.registry import load_benchmark
from gen3r.eval.suite.sources import open_source
from gen3r.mistakes import raised_by_this_package
from gen3r.pipeline import Gen3RPipeline
from gen3r.pipeline.memory import PROFILES
from gen3r.pipeline.provenance import pipeline_settings
from gen3r.train.rng import derive_seed


class MeasureClips:
    """Measures clips for several tables and writes a part for each; parts that are there are left alone.

    Args:
        settings: of a ``SuiteConfig``, as JSON.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self.config = SuiteConfig.from_settings(settings)
        self.pipeline = open_pipeline(self.config.model)
        self.source = open_source(self.config.clips, self.pipeline.grid())
        self.listed = {clip.name: clip for clip in self.source.listed()}
        self.benchmarks = {name: load_benchmark(module) for name, module in self.config.benchmarks.items()}
        self.quantities = {name: benchmark_quantities(benchmark) for name, benchmark in self.benchmarks.items()}
        self.circumstances = {
            "machine": machine_record(self.pipeline.device),
            "settings": pipeline_settings(self.pipeline),
            "commit": self.config.commit,
        }

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        """Measure the clips of ``item``, one of `plan`, for its tables.

        Returns:
            How many numbers each table got.

        Raises:
            Exception: the first that stopped a table; the other tables are measured all the same.
        """
        truths: list[Truth] = []
        damaged: dict[str, str] = {}
        started = time.perf_counter()
        for name in item["clips"]:
            try:
                truths.append(self.source.truth(name, self.pipeline))
            except ValueError as error:
                if not raised_by_this_package(error):
                    raise
                damaged[name] = " ".join(str(error).split())
        reading = time.perf_counter() - started
        numbers: dict[str, int] = {}
        stopped: Exception | None = None
        for name in item["benchmarks"]:
            path = part_path(Path(self.config.out), name, item["part"])
            if path.is_file():
                continue
            try:
                part = self._measure(name, truths, damaged, reading)
            except Exception as error:  # noqa: BLE001  raised again below, when the other tables are safe
                stopped = stopped or error
                continue
            part.write(path)
            numbers[name] = sum(map(len, part.clips.values()))
        if stopped is not None:
            raise stopped
        return numbers

    def _measure(self, name: str, truths: Sequence[Truth], damaged: dict[str, str], reading: float) -> Part:
        benchmark = self.benchmarks[name]
        chosen = [truth for truth in truths if not self.listed[truth.name].lacks(benchmark.needs)]
        unread = {clip: why for clip, why in damaged.items() if not self.listed[clip].lacks(benchmark.needs)}
        tally = Tally(quantities=self.quantities[name])
        started = time.perf_counter()
        if chosen:
            # whatever draws from the global generator draws the same in whichever process the clips end up
            torch.manual_seed(derive_seed("eval", benchmark.name, *(truth.name for truth in chosen)))
            benchmark.measure(tally, self.pipeline, chosen, self.config.generation)
        names = {truth.seed: truth.name for truth in chosen}
        return Part(
            clips={clip: tally.scores.get(seed, {}) for seed, clip in names.items()},
            left_out=unread,
            failures=[{"clip": names[f.seed], "stage": f.stage, "error": f.error} for f in tally.failures],
            quantities=tuple(tally.quantities),
            seconds=round(time.perf_counter() - started + reading, 3),
            **self.circumstances,
        )


def open_pipeline(choice: ModelChoice) -> Gen3RPipeline:
    """The pipeline of a model, ready to run."""
    memory: Any = {"auto": "auto", "none": None} | {str(size): profile for size, profile in PROFILES.items()}
    return Gen3RPipeline.from_pretrained(
        choice.model,
        revision=choice.revision,
        device=choice.device,
        dtype=None if choice.dtype is None else getattr(torch, choice.dtype),
        memory=memory[choice.vram],
        numerics=choice.numerics,  # pyright: ignore[reportArgumentType]  a word of the command line, checked by it
        text_cache=choice.text_cache,
    )
