"""Which tables there are. A name says the module; it is imported when the table is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType

from gen3r.eval.suite.benchmark import Benchmark

BENCHMARKS: Mapping[str, str] = MappingProxyType(
    {
        "t1": "gen3r.eval.suite.tables.t1",
        "t2": "gen3r.eval.suite.tables.t2",
        "t3": "gen3r.eval.suite.tables.t3",
        "t4": "gen3r.eval.suite.tables.t4",
        "t5": "gen3r.eval.suite.tables.t5",
        "t7": "gen3r.eval.suite.tables.t7",
        "t8": "gen3r.eval.suite.tables.t8",
        "t9": "gen3r.eval.suite.tables.t9",
    }
)
"""The tables of the paper by name, and the module that has each as ``BENCHMARK``. T4 measures one
model in a few numbers; ``gen3r eval ablations`` trains the models that the paper's T4 compares."""


def benchmark_modules(names: Sequence[str] = ()) -> dict[str, str]:
    """The modules of these tables, of all of them if there are no names.

    Raises:
        ValueError: for an unknown name, listing the known ones, and for one that is given twice.
    """
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        raise ValueError(f"no table named {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}.")
    if len(set(names)) < len(names):
        raise ValueError(f"expected each table once, got {' '.join(names)}.")
    return {name: BENCHMARKS[name] for name in names or BENCHMARKS}


def load_benchmark(module: str) -> Benchmark:
    """The ``BENCHMARK`` of a module."""
    benchmark = import_module(module).BENCHMARK
    if not isinstance(benchmark, Benchmark):
        raise TypeError(f"BENCHMARK of {module} lacks a part of gen3r.eval.suite.benchmark.Benchmark.")
    return benchmark
