"""A studio in a process of its own, to be asked over HTTP and killed."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx


class Served:
    """``gen3r studio`` on a free port, with homes of its own for whatever libraries write."""

    def __init__(self, root: Path, home: Path, *options: str) -> None:
        self.root = root
        home.mkdir(exist_ok=True)
        homes = {"HOME": str(home), "TMPDIR": str(home), "XDG_CACHE_HOME": str(home), "MPLCONFIGDIR": str(home)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gen3r.cli", "studio", "--root", str(root), "--port", "0", "--api-only", *options],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | homes,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()  # comes once requests are answered, or the process has ended
        assert line.startswith("http://127.0.0.1:"), line
        self.url = line.split()[0]
        self.client = httpx.Client(base_url=self.url, timeout=30)

    def worker_pids(self) -> list[int]:
        """Processes that run jobs."""
        connection = sqlite3.connect(self.root / "studio.sqlite", timeout=30)
        try:
            return [pid for (pid,) in connection.execute("SELECT pid FROM workers")]
        finally:
            connection.close()

    def kill(self) -> None:
        """Kill the server as an out-of-memory killer would."""
        self.client.close()
        self.process.kill()
        self.process.communicate()

    def stop(self) -> tuple[int, str]:
        """Ctrl-C; exit code and what was said."""
        self.client.close()
        self.process.send_signal(signal.SIGINT)
        said, _ = self.process.communicate(timeout=30)
        return self.process.returncode, said


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 240) -> None:
    """Wait until something holds; fail if it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        time.sleep(0.1)


def is_alive(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
