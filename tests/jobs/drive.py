"""A driver in a process of its own: ``python -m jobs.drive OUT COUNT [--address A] ...`` writes a file per item."""

import argparse
import json
import sys
from pathlib import Path

from gen3r.jobs import JobItem, RunOptions, WorkSpec, run_jobs

UNIT = "jobs.units:Write"


def items(count: int) -> list[JobItem]:
    return [JobItem(key=f"item{n:03d}", payload={"key": f"item{n:03d}", "number": n}) for n in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("--backend", default="local")
    parser.add_argument("--address")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.0)
    given = parser.parse_args()
    given.out.mkdir(exist_ok=True)
    report = run_jobs(
        items(given.count),
        WorkSpec(unit=UNIT, settings={"out": str(given.out), "seconds": given.seconds}),
        given.out / "run",
        RunOptions(backend=given.backend, address=given.address, workers=given.workers),
    )
    sys.stdout.write(json.dumps({"done": report.done, "failed": report.failed, "workers": list(report.workers)}) + "\n")


if __name__ == "__main__":
    main()
