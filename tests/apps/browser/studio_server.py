"""`gen3r studio` in a process of its own, which a test can stop and start again in the same place."""

import os
import signal
import subprocess
import sys
from pathlib import Path

START_SECONDS = 240


class StudioServer:
    """A studio with the shipped model at one address, before and after a restart."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = 0
        self.url = ""
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start and wait until it answers."""
        command = [sys.executable, "-m", "gen3r.cli", "studio", "--root", str(self.root), "--port", str(self.port)]
        self._process = subprocess.Popen(
            [*command, "--models", "tiny", "--device", "cpu"],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith("http://127.0.0.1:"), line
        self.url = line.split()[0]
        self.port = int(self.url.rstrip("/").rpartition(":")[2])

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self._process.wait(START_SECONDS)
        if self._process.stdout is not None:
            self._process.stdout.close()
