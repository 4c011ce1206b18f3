"""Work in this process, or in processes of this machine that are replaced when they die."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from gen3r.jobs.work import JobItem, Outcome, Task, WorkSpec, attempt, is_mistake, reason_of

if TYPE_CHECKING:
    from gen3r.jobs.runner import RunOptions

STOP_SECONDS = 10.0
"""Time for a worker to clear away what it has half-written."""
START_DEATHS = 3
"""So many workers in a row may die before they are ready."""


def run_locally(items: Sequence[JobItem], work: WorkSpec, options: RunOptions, folder: Path) -> Generator[Outcome]:
    """Do all items here; with two workers or more, in as many processes."""
    workers = min(options.workers, len(items))
    if options.workers <= 1:
        yield from _run_here(items, work, options.retries)
        return
    pool = Pool(work, workers, options.retries)
    try:
        yield from pool.run(items)
        pool.dismiss()
    finally:
        pool.stop()


def _run_here(items: Sequence[JobItem], work: WorkSpec, retries: int) -> Generator[Outcome]:
    unit, worker = work.open(), f"process {os.getpid()}"
    for item in items:
        task, ended = Task(item), None
        while ended is None:
            ended = task.ends(attempt(unit, item.key, item.payload, worker), retries)
        yield ended


@dataclass
class Worker:
    """A process and the item it has."""

    number: int
    process: SpawnProcess
    connection: Connection
    ready: bool = False
    task: Task | None = None


class Pool:
    """Processes that do one item at a time each; items wait here until a process is free."""

    def __init__(self, work: WorkSpec, workers: int, retries: int) -> None:
        self.work, self.count, self.retries = work, workers, retries
        self.workers = [self._start(number) for number in range(workers)]
        self._start_deaths = 0

    def run(self, items: Sequence[JobItem]) -> Iterator[Outcome]:
        """Do all items.

        Raises:
            ValueError: for settings that the unit of work refuses.
            RuntimeError: if it cannot be opened for another reason.
        """
        waiting = deque(Task(item) for item in items)
        left = len(waiting)
        while left:
            for worker in self.workers:
                if worker.ready and worker.task is None and waiting:
                    worker.task = waiting.popleft()
                    self._hand_over(worker, worker.task.item)
            for worker in self._heard():
                told = _receive(worker.connection)
                if told is None:
                    outcome = self._bury(worker)
                elif worker.ready:
                    outcome = Outcome.from_record(told)
                else:
                    outcome = self._welcome(worker, told)
                task = worker.task
                if outcome is None or task is None:
                    continue
                worker.task = None
                ended = task.ends(outcome, self.retries)
                if ended is None:
                    waiting.appendleft(task)
                    continue
                left -= 1
                yield ended

    def dismiss(self) -> None:
        """Let the workers end, all items done."""
        for worker in self.workers:
            worker.connection.close()
        for worker in self.workers:
            worker.process.join(STOP_SECONDS)

    def stop(self) -> None:
        """End the workers that still live; they clear away what is half-written."""
        for worker in self.workers:
            worker.connection.close()
            worker.process.terminate()
        for worker in self.workers:
            worker.process.join(STOP_SECONDS)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.process.close()

    def _start(self, number: int) -> Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=serve, args=(theirs, asdict(self.work), number, self.count), name=f"gen3r-worker-{number}"
        )
        process.daemon = True
        process.start()
        theirs.close()
        return Worker(number=number, process=process, connection=ours)

    def _heard(self) -> list[Worker]:
        """Workers that said something or died."""
        by_source: dict[Any, Worker] = {worker.connection: worker for worker in self.workers}
        by_source |= {worker.process.sentinel: worker for worker in self.workers}
        return list({id(worker): worker for worker in (by_source[source] for source in wait(by_source))}.values())

    def _hand_over(self, worker: Worker, item: JobItem) -> None:
        try:
            worker.connection.send_bytes(json.dumps({"key": item.key, "payload": item.payload}).encode())
        except OSError:
            return  # it has just died, and will be found so

    def _welcome(self, worker: Worker, told: dict[str, Any]) -> None:
        if told["refused"]:
            raise ValueError(told["refused"])
        if told["broken"]:
            raise RuntimeError(f"the work cannot begin: {told['broken']}")
        worker.ready, self._start_deaths = True, 0

    def _bury(self, worker: Worker) -> Outcome | None:
        worker.process.join()
        code, pid = worker.process.exitcode, worker.process.pid
        worker.connection.close()
        worker.process.close()
        self._start_deaths += not worker.ready
        if self._start_deaths >= START_DEATHS:
            self.workers.remove(worker)
            raise RuntimeError(f"{START_DEATHS} workers in a row died while they began, the last with code {code}.")
        self.workers[self.workers.index(worker)] = self._start(worker.number)
        if worker.task is None:
            return None
        reason = f"the worker died (code {code}) while it did this"
        return Outcome(key=worker.task.item.key, status="failed", worker=f"process {pid}", reasons=(reason,))


def _receive(connection: Connection) -> dict[str, Any] | None:
    """What a worker says; None if it is gone."""
    try:
        return json.loads(connection.recv_bytes())
    except (EOFError, OSError):
        return None


# in the worker ----------------------------------------------------------------------------------------------------


def serve(connection: Connection, work: dict[str, Any], number: int, count: int) -> None:
    """Open the unit of work, and do items until the connection ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the first process's to handle
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    spec = WorkSpec(**work)
    _share_machine(number, count, spec.gpus)
    try:
        unit = spec.open()
    except Exception as error:
        refused = is_mistake(error)
        _tell(connection, {"refused": reason_of(error) * refused, "broken": reason_of(error) * (not refused)})
        if refused:
            return
        raise
    _tell(connection, {"refused": "", "broken": ""})
    worker = f"process {os.getpid()}"
    while (task := _receive(connection)) is not None:
        _tell(connection, asdict(attempt(unit, task["key"], task["payload"], worker)))


def _tell(connection: Connection, content: dict[str, Any]) -> None:
    try:
        connection.send_bytes(json.dumps(content).encode())
    except BrokenPipeError:
        raise SystemExit(1) from None  # nobody listens any more


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _share_machine(number: int, count: int, gpus: float) -> None:
    """This worker's share of cores and GPUs, before a library looks for them."""
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    if not gpus:
        return
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        import torch

        visible = ",".join(str(index) for index in range(torch.cuda.device_count()))
    devices = [device for device in visible.split(",") if device]
    if devices:
        os.environ["CUDA_VISIBLE_DEVICES"] = devices[int(number * gpus) % len(devices)]
