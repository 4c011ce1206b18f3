"""Tokens shared between processes give the result of one process."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("_context_parallel_rank.py")


@pytest.mark.slow
def test_two_processes_share_the_tokens(tmp_path: Path) -> None:
    commands = [[sys.executable, str(SCRIPT), str(rank), str(tmp_path / "store")] for rank in range(2)]
    ranks = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    try:
        errors = [rank.communicate(timeout=120)[1] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0, 0], "\n".join(errors)
