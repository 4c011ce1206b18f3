"""Results as a file: numbers with the machine, the commit and the command that made them."""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from gen3r.eval.machine import machine_record, source_commit
from gen3r.whole_file import whole_file

FORMAT = "gen3r-full-size"
GIB = 2**30


def circumstances(kind: str, device: torch.device) -> dict[str, Any]:
    """What every results file begins with."""
    return {
        "format": FORMAT,
        "version": 1,
        "kind": kind,
        "command": " ".join(["python", "benchmarks/full_size.py", *sys.argv[1:]]),
        "commit": source_commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine_record(device) | {"load_average": round(os.getloadavg()[0], 2)},
    }


def peak_host_gib() -> float:
    """Most memory this process has had resident, in GiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / GIB


def write(record: Mapping[str, Any], out: Path) -> None:
    """Write a results file, whole or not at all."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(out) as temporary:
        temporary.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read(source: Path) -> dict[str, Any]:
    """Read a results file.

    Raises:
        ValueError: if it was not written by this benchmark.
    """
    record = json.loads(source.read_text(encoding="utf-8"))
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ValueError(f"{source} is not a results file of benchmarks/full_size.py; measure again.")
    return record


def rounded(values: Mapping[str, float], digits: int = 4) -> dict[str, float]:
    """Numbers of a mapping with ``digits`` significant digits."""
    return {name: float(f"{value:.{digits}g}") for name, value in values.items()}
