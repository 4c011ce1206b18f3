"""Several processes train one model: `torchrun` (or `accelerate launch`) around the same program."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from gen3r.train.hooks import read_log
from train.tiny_run import write_pack

PROGRAM = Path(__file__).with_name("tiny_run.py")
LAUNCH = (sys.executable, "-m", "torch.distributed.run", "--standalone")
STEPS = 6


def run(pack: Path, out: Path, processes: int) -> Path:
    command = [*LAUNCH, f"--nproc-per-node={processes}", PROGRAM, pack, out, str(STEPS)]
    subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True, timeout=300)
    return out


@pytest.mark.slow
def test_two_processes_train_one_model(tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "pack.safetensors")
    alone, together = run(pack, tmp_path / "alone", 1), run(pack, tmp_path / "together", 2)
    assert [line["step"] for line in read_log(together)] == list(range(1, STEPS + 1))  # one of them writes
    first, second = (load_file(folder / "export/vae/model.safetensors") for folder in (alone, together))
    assert first.keys() == second.keys()
    assert any(not first[name].equal(second[name]) for name in first)  # the other half of the clips was learned from
    ends = [read_log(folder)[-1]["total"] for folder in (alone, together)]
    assert abs(ends[0] - ends[1]) < 0.3 * ends[0]
