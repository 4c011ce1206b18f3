"""Several processes give the latents of one: `torchrun` around the same program."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gen3r.pipeline.parallel import PARALLEL_KINDS, setup_parallel

PROGRAM = Path(__file__).with_name("_parallel_rank.py")
LAUNCH = (sys.executable, "-m", "torch.distributed.run", "--standalone")


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "processes"), [("guidance", 2), ("context", 2), ("both", 4)])
def test_processes_together_give_the_latents_of_one(kind: str, processes: int) -> None:
    command = [*LAUNCH, f"--nproc-per-node={processes}", PROGRAM, kind]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROGRAM.parents[1])}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert result.returncode == 0, result.stderr[-4000:]


@pytest.mark.parametrize(
    ("kind", "ranks", "degrees"),
    [("guidance", 2, (2, 1)), ("context", 3, (1, 3)), ("both", 4, (2, 2)), ("both", 6, (2, 3))],
)
def test_processes_are_divided_by_kind(kind: str, ranks: int, degrees: tuple[int, int]) -> None:
    assert PARALLEL_KINDS[kind](ranks) == degrees


@pytest.mark.parametrize(
    ("kind", "ranks"), [("guidance", 1), ("guidance", 3), ("both", 2), ("both", 5), ("context", 1)]
)
def test_a_number_of_processes_that_does_not_fit_is_named(kind: str, ranks: int) -> None:
    with pytest.raises(ValueError, match=f"got {ranks}"):
        PARALLEL_KINDS[kind](ranks)


def test_one_process_alone_is_told_how_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(ValueError, match="torchrun --nproc-per-node"):
        setup_parallel("context")
    with pytest.raises(ValueError, match="kind of parallelism"):
        setup_parallel("tensor")
