"""Command lines in a process of their own: ``python -m jobs.commands BACKEND JSON``, on one Ray cluster if on any."""

import json
import logging
import sys

from gen3r.cli.main import main


def run(backend: str, commands: list[list[str]]) -> list[object]:
    codes = []
    if backend == "ray":
        import ray

        ray.init(
            num_cpus=2,
            object_store_memory=100_000_000,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    for words in commands:
        try:
            main([*words, "--backend", backend])
        except SystemExit as stop:
            codes.append(stop.code)
    return codes


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(sys.argv[1], json.loads(sys.argv[2]))) + "\n")
