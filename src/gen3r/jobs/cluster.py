"""Work on a Ray cluster, as a Ray Data job over a pool of actors."""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import socket
import uuid
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import ray
import ray.data

from gen3r.jobs.runner import RunOptions
from gen3r.jobs.work import JobItem, Outcome, Task, WorkSpec, attempt, is_mistake, reason_of
from gen3r.whole_file import whole_file

logger = logging.getLogger(__name__)

MAX_BLOCKS = 4096
"""Ray Data hands out blocks of items; more of them than this make its own bookkeeping slow."""
BEGUN = "begun"
"""In the run folder: a file for every item that a worker is at, so that one which kills workers is found out."""
START_DEATHS = 3
"""So many times a worker may die while it loads its models."""
AUTO = "auto"
REACH_SECONDS = 10.0
IN_FLIGHT = 2
"""Blocks that wait at each worker, the one at work included: it need not wait for the next one."""


def run_on_ray(items: Sequence[JobItem], work: WorkSpec, options: RunOptions, folder: Path) -> Generator[Outcome]:
    """Do all items on a cluster; every machine of it sees ``folder`` and the outputs under the same paths.

    Ray Data keeps no more items in flight than the workers can take, gives the items of a worker that died to another
    one, and starts workers anew. An item that was begun by ``retries + 1`` workers that died is failed.
    """
    begun = folder.resolve() / BEGUN
    shutil.rmtree(begun, ignore_errors=True)  # of a run whose driver died: no fault of the items
    begun.mkdir(parents=True)
    rows = [{"item": json.dumps({"key": item.key, "payload": item.payload})} for item in items]
    with _connection(options):
        _check_room(work, options)
        for outcome in _rows(rows, asdict(work), options, begun):
            unusable = outcome.get("unusable")
            if unusable is not None:
                raise (ValueError if unusable["mistake"] else RuntimeError)(unusable["reason"])
            yield Outcome.from_record(outcome)
    shutil.rmtree(begun, ignore_errors=True)


def _rows(
    rows: list[dict[str, str]], work: dict[str, Any], options: RunOptions, begun: Path
) -> Iterator[dict[str, Any]]:
    with _ray_as_it_is():
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        context.max_consecutive_actor_init_deaths = START_DEATHS
        reserved: dict[str, Any] = {"num_gpus": work["gpus"]} if work["gpus"] else {"num_cpus": options.cpus}
        dataset = ray.data.from_items(rows, override_num_blocks=min(len(rows), MAX_BLOCKS)).map_batches(
            RayWorker,
            fn_constructor_args=(work, str(begun), options.retries),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(
                min_size=1,
                max_size=max(1, options.workers),
                initial_size=max(1, min(options.workers, len(rows))),
                max_tasks_in_flight_per_actor=IN_FLIGHT,
            ),
            **reserved,
        )
        blocks = iter(dataset.iter_batches(batch_size=None, prefetch_batches=0))
    while True:
        with _ray_as_it_is():
            block = next(blocks, None)
        if block is None:
            return
        for text in block["outcome"]:
            yield json.loads(str(text))


@contextmanager
def _connection(options: RunOptions) -> Iterator[None]:
    """Join the cluster, or start one for the time being; one that the caller has joined already is used."""
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no telemetry, unless somebody wants it
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what fails is in the outcomes
    local: dict[str, Any] = {
        "num_cpus": max(os.cpu_count() or 1, math.ceil(max(1, options.workers) * options.cpus)),
        "object_store_memory": options.object_store,
        "include_dashboard": False,
    }
    if options.address is not None:
        _reach(options.address)
    try:
        with _ray_as_it_is():
            ray.init(
                address=options.address or "local",
                log_to_driver=False,
                logging_level=logging.ERROR,
                **({} if options.address else local),
            )
    except ConnectionError as error:
        raise ValueError(
            f"the Ray cluster at {options.address} lets nobody in ({error}); start it with ray start --head, and see "
            "that RAY_AUTH_MODE and RAY_AUTH_TOKEN are the same here and there."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Whether somebody listens there: Ray itself takes minutes to find out, and ends the process then."""
    if address == AUTO:
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit():
        raise ValueError(f"expected the address of a Ray cluster as HOST:PORT or {AUTO}, got {address!r}.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_SECONDS).close()
    except OSError as error:
        raise ValueError(f"no Ray cluster answers at {address} ({error}); start one with ray start --head.") from error


def _check_room(work: WorkSpec, options: RunOptions) -> None:
    """Whether a worker fits on a machine of the cluster.

    Raises:
        ValueError: if none does, on a cluster of this run's own. Others may get more machines: those are waited for.
    """
    kind, needed = ("GPU", work.gpus) if work.gpus else ("CPU", options.cpus)
    most = max((node["Resources"].get(kind, 0.0) for node in ray.nodes() if node["Alive"]), default=0.0)
    if needed <= most:
        return
    told = f"a worker needs {needed:g} {kind}, and no machine of the Ray cluster has more than {most:g}"
    if options.address is None:
        raise ValueError(f"{told}; ask for less, or name a cluster that has it.")
    logger.warning("%s; waiting for one that has", told)


@contextmanager
def _ray_as_it_is() -> Iterator[None]:
    """Ray's warnings of what Ray does itself are not shown."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"ray\.", category=DeprecationWarning)
        yield


# on the cluster ---------------------------------------------------------------------------------------------------


class RayWorker:
    """An actor of the pool: one open unit of work."""

    def __init__(self, work: dict[str, Any], begun: str, retries: int) -> None:
        self.retries, self.begun = retries, Path(begun)
        runtime = ray.get_runtime_context()
        self.name = f"node {runtime.get_node_id()[:8]}, process {os.getpid()}"
        self.unusable: dict[str, Any] | None = None
        if not self.begun.is_dir():
            reason = f"{self.name} does not see {self.begun}; use folders that all machines of the cluster share."
            self.unusable = {"mistake": True, "reason": reason}
            return
        actor = runtime.get_actor_id() or uuid.uuid4().hex
        deaths = self._begin(actor)
        if deaths >= START_DEATHS:
            reason = f"{deaths} workers in a row died while they began."
            self.unusable = {"mistake": False, "reason": reason}
            return
        try:
            self.unit = WorkSpec(**work).open()
        except Exception as error:
            # Told with the first item: Ray would start the actor again and again.
            logger.debug("the work cannot begin", exc_info=True)
            self.unusable = {"mistake": is_mistake(error), "reason": reason_of(error)}
        self._end(actor)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        return {"outcome": [json.dumps(self._do(json.loads(str(item)))) for item in batch["item"]]}

    def _do(self, item: dict[str, Any]) -> dict[str, Any]:
        if self.unusable is not None:
            return {"unusable": self.unusable}
        key = item["key"]
        deaths = self._begin(key)
        task = Task(JobItem(**item), reasons=("the worker died while it did this",) * deaths)
        ended = None
        if deaths > self.retries:
            ended = Outcome(key=key, status="failed", worker=self.name, attempts=deaths, reasons=task.reasons)
        while ended is None:
            ended = task.ends(attempt(self.unit, key, item["payload"], self.name), self.retries)
        self._end(key)
        return asdict(ended)

    def _begin(self, key: str) -> int:
        """Note that something is begun; how often it was begun and not ended before."""
        path = self._note(key)
        before = int(path.read_text()) if path.exists() else 0
        with whole_file(path, durable=False) as file:
            file.write_text(str(before + 1))
        return before

    def _end(self, key: str) -> None:
        with suppress(FileNotFoundError):
            self._note(key).unlink()

    def _note(self, key: str) -> Path:
        return self.begun / sha256(key.encode()).hexdigest()[:32]
