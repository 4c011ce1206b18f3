"""What every ``gen3r eval`` task notes beside its numbers, and how it ends."""

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gen3r.cli.model_options import ModelOptions
from gen3r.cli.output_file import write_whole
from gen3r.cli.terminal import say, warn

if TYPE_CHECKING:
    from gen3r.hub.layout import ModelFolder
    from gen3r.pipeline import Gen3RPipeline


def command_line() -> str:
    """What was typed, for the results file."""
    return shlex.join(["gen3r", *sys.argv[1:]])


def generation(pipeline: "Gen3RPipeline", steps: int | None, guidance: float | None) -> dict[str, Any]:
    """How scenes are generated, for the results file."""
    from gen3r.pipeline.provenance import generation_settings

    return generation_settings(pipeline, pipeline.grid(), pipeline.choice(steps, guidance))


def circumstances(
    loading: ModelOptions, folder: "ModelFolder", pipeline: "Gen3RPipeline", started: float
) -> dict[str, Any]:
    """Model, machine, commit, command and the seconds since ``started``, for the results file."""
    from gen3r.eval.machine import folder_hash, machine_record, source_commit

    return {
        "model": {
            "name": pipeline.config.name,
            "revision": pipeline.config.revision,
            "asked_for": loading.model,
            "sha256": folder_hash(folder.path),
            "companions": {name: folder_hash(path) for name, path in folder.companions.items()},
        },
        "machine": machine_record(pipeline.device),
        "commit": source_commit(),
        "command": command_line(),
        "seconds": round(time.perf_counter() - started, 1),
    }


def finish(record: dict[str, Any], out: Path) -> None:
    """Write the results file and print the table and the failures."""
    from gen3r.eval.report import markdown_table, to_json

    write_whole(out, to_json(record))
    say(markdown_table(record))
    for line in failure_lines(record):
        warn(line)
    say(f"Results in {out}")


def failure_lines(record: dict) -> list[str]:
    """One line per stage that failed on some clips, with its first error."""
    clips = len(record["clips"])
    stages = dict.fromkeys(failure["stage"] for failure in record["failures"])
    lines = []
    for stage in stages:
        errors = [failure["error"] for failure in record["failures"] if failure["stage"] == stage]
        lines.append(f"{stage}: no result on {len(errors)} of {clips} clips, counted as worst; the first: {errors[0]}")
    return lines
