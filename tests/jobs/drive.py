"""A driver in a process of its own: ``python -m jobs.drive OUT COUNT [--address A] ...`` writes a file per item."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from gen3r.jobs import JobItem, RunOptions, WorkSpec, run_jobs

UNIT = "jobs.units:Write"


def items(count: int) -> list[JobItem]:
    return [JobItem(key=f"item{n:03d}", payload={"key": f"item{n:03d}", "number": n}) for n in range(count)]


def caption_items(dataset: Path) -> tuple[dict[str, Any], list[JobItem]]:
    """Settings and items of ``gen3r data caption --source labels``, a clip each."""
    from gen3r.prepare.captioning.config import CaptionConfig
    from gen3r.prepare.captioning.plan import plan_captions

    config = CaptionConfig(dataset=str(dataset), source="labels", batch=1)
    planned = plan_captions(config)
    return config.settings(), [JobItem(key=item["clips"][0], payload=item) for item in planned]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("--clips", type=Path)
    parser.add_argument("--backend", default="local")
    parser.add_argument("--address")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.0)
    given = parser.parse_args()
    given.out.mkdir(exist_ok=True)
    work = WorkSpec(unit=UNIT, settings={"out": str(given.out), "seconds": given.seconds})
    todo = items(given.count)
    if given.clips is not None:
        captions, more = caption_items(given.clips)
        work = WorkSpec(unit="jobs.units:Both", settings=work.settings | {"captions": captions})
        todo = sorted(todo + more, key=lambda item: item.key[-3:])
    report = run_jobs(
        todo,
        work,
        given.out / "run",
        RunOptions(backend=given.backend, address=given.address, workers=given.workers),
    )
    sys.stdout.write(json.dumps({"done": report.done, "failed": report.failed, "workers": list(report.workers)}) + "\n")


if __name__ == "__main__":
    main()
