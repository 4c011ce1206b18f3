"""How work over many items is run: the options that every command doing so has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from gen3r.cli.terminal import Advance, note, progress_bar, say

if TYPE_CHECKING:
    from gen3r.jobs import RunOptions, RunReport

RUN_FOLDER = ".run"
"""Inside the output folder: the journal and the report."""


@dataclass(frozen=True, kw_only=True)
class Running:
    """Where the work is done, and by how many (docs/scale.md)."""

    workers: int = 1
    """Items done at the same time, each worker with models of its own. 1 does the work in this process."""
    backend: Literal["local", "ray"] = "local"
    """Processes of this machine, or a Ray cluster (extra ray)."""
    ray_address: Annotated[str | None, tyro.conf.arg(metavar="HOST:PORT|auto")] = None
    """The Ray cluster to use. Left out, one is started on this machine and ended with the command."""
    retries: int = 2
    """Further attempts at an item that failed or whose worker died."""
    worker_cpus: float = 1.0
    """Processor cores that Ray keeps for each worker."""
    worker_gpus: float | None = None
    """What each worker needs of a GPU: 0.5 lets two share one. Left out, 1 for networks where there is a GPU."""

    def options(self) -> RunOptions:
        """As the runner takes them.

        Raises:
            ValueError: for numbers out of range, an address without Ray, or Ray not installed.
        """
        from gen3r.jobs import RunOptions

        if self.ray_address is not None and self.backend != "ray":
            raise ValueError(f"--ray-address {self.ray_address} expects --backend ray, got {self.backend}.")
        if self.worker_gpus is not None and self.worker_gpus < 0:
            raise ValueError(f"--worker-gpus expects 0 or more, got {self.worker_gpus}.")
        return RunOptions(
            backend=self.backend,
            workers=self.workers,
            retries=self.retries,
            address=self.ray_address,
            cpus=self.worker_cpus,
        )

    def gpus(self, device: str = "auto") -> float:
        """What a worker that runs networks on ``device`` needs of a GPU."""
        if self.worker_gpus is not None:
            return self.worker_gpus
        if device == "cpu":
            return 0.0
        import torch

        return 1.0 if device != "auto" or torch.cuda.is_available() else 0.0


def run_units(
    label: str,
    unit: type,
    settings: Mapping[str, Any],
    items: Sequence[Mapping[str, Any]],
    folder: Path,
    running: Running,
    *,
    gpus: float = 0.0,
    progress: Advance | None = None,
) -> RunReport:
    """Do items that are not done yet (see `gen3r.jobs.run_jobs`), with a progress bar, and tell how it went.

    Args:
        label: what is being done, for the bar.
        unit: class of the unit of work.
        settings: for its constructor.
        items: payloads, those that are done left out; ``key`` names each, else a hash of it does.
        folder: the output folder; journal and report go into ``.run`` inside it.
        running: the options.
        gpus: what a worker needs of a GPU, see `Running.gpus`.
        progress: called like the bar.

    Returns:
        The report; whether failed items end the command with an error is the caller's to say.
    """
    from gen3r.jobs import JobItem, WorkSpec, run_jobs

    options = running.options()
    with progress_bar(label) as advance:

        def ahead(done: int, total: int) -> None:
            advance(done, total)
            if progress is not None:
                progress(done, total)

        report = run_jobs(
            [JobItem.of(item) for item in items],
            WorkSpec.of(unit, settings, gpus=gpus),
            folder / RUN_FOLDER,
            options,
            exists=lambda item: False,
            progress=ahead,
        )
    for line in report.lines():
        say(line)
    note(f"Record and numbers: {folder / RUN_FOLDER}")
    return report
