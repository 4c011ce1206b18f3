"""Processes of tests, all of which end with the test."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TESTS = Path(__file__).parents[1]


TOKEN = uuid.uuid4().hex
"""Ray's nodes and drivers of this test process know each other by it; nothing in the user's home is read or written."""


def environment() -> dict[str, str]:
    """For processes that find the tests' units of work, and say nothing to anybody outside."""
    return os.environ | {
        "PYTHONPATH": str(TESTS),
        "OMP_NUM_THREADS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",  # 15 would be last in the queue of a busy machine
        "RAY_gcs_rpc_server_reconnect_timeout_s": "5",  # a driver whose head is gone ends after this
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
    }


@contextmanager
def group(command: list[object]) -> Iterator[subprocess.Popen[str]]:
    """A process in a group of its own, which is killed as a whole at the end."""
    process = subprocess.Popen(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(),
        start_new_session=True,
    )
    try:
        yield process
    finally:
        kill_group(process)


def kill_group(process: subprocess.Popen[str]) -> None:
    """At once, without a chance to clear away."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def python(*words: object) -> list[object]:
    return [sys.executable, *words]


class RayCluster:
    """Nodes of a Ray cluster, each a group of processes with a loopback address of its own; the first is the head."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # short: it holds sockets
        self.nodes: list[subprocess.Popen[str]] = []
        with socket.socket() as free:
            free.bind(("127.0.0.2", 0))
            self.address = f"127.0.0.2:{free.getsockname()[1]}"

    def start(self, nodes: int) -> None:
        """Start the head and wait for it, then the others."""
        ray, _, port = Path(sys.executable).with_name("ray"), *self.address.partition(":")[1:]
        common = ("--block", "--num-cpus=2", "--object-store-memory=100000000")
        for number in range(nodes):
            head = [f"--port={port}", "--head", "--include-dashboard=false", f"--temp-dir={self.folder}"]
            place = [f"--address={self.address}"] if number else head
            log = self.folder / f"node{len(self.nodes)}.log"
            with log.open("w") as file:
                node = subprocess.Popen(
                    [str(ray), "start", *common, f"--node-ip-address=127.0.0.{number + 2}", *place],
                    stdout=file,
                    stderr=file,
                    text=True,
                    env=environment(),
                    start_new_session=True,
                )
            self.nodes.append(node)
            wait_for(lambda node=node, log=log: node.poll() is not None or "runtime started" in log.read_text(), 90)
            assert node.poll() is None, log.read_text()

    def kill(self) -> None:
        """All nodes at once, the head too."""
        for node in self.nodes:
            kill_group(node)
        end_all_of(str(self.folder))


@contextmanager
def ray_cluster(nodes: int) -> Iterator[RayCluster]:
    """A cluster that is gone in the end."""
    cluster = RayCluster()
    try:
        cluster.start(nodes)
        yield cluster
    finally:
        cluster.kill()
        shutil.rmtree(cluster.folder, ignore_errors=True)


def end_all_of(folder: str) -> None:
    """Kill what still runs with this session folder on its command line: processes of Ray leave their group."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if folder.encode() in (entry / "cmdline").read_bytes():
                    os.kill(int(entry.name), signal.SIGKILL)
            except OSError:  # gone meanwhile
                continue


def wait_for(true: Callable[[], object], seconds: float) -> None:
    """Until something holds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
