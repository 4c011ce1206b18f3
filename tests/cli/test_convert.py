"""``gen3r convert`` from end to end."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open

from cli.running import Runner
from gen3r.cli.convert import parse_bytes
from hub.standin import build_standin


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_standin(tmp_path_factory.mktemp("official") / "model")


def test_official_to_ours_and_back(gen3r: Runner, standin: Path, tmp_path: Path) -> None:
    ours, back = tmp_path / "ours", tmp_path / "back"
    outcome = gen3r("convert", standin, ours, "--shard-size", "1MB")
    assert (outcome.code, outcome.stdout) == (0, f"{ours}\n")
    assert json.loads((ours / "pipeline.json").read_text())["name"] == "gen3r"
    assert (ours / "transformer/model.safetensors.index.json").is_file()
    outcome = gen3r("convert", ours, back, "--to", "official", "--dtype", "bfloat16")
    assert (outcome.code, outcome.stdout) == (0, f"{back}\n")
    with safe_open(back / "wan_vae/diffusion_pytorch_model.safetensors", "pt") as file:
        assert file.get_slice("model.conv1.weight").get_dtype() == "BF16"


SMALL_DISK = """
import resource, sys
from gen3r.cli.main import main
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
main(["convert", *sys.argv[1:]])
"""


def test_a_full_disk_is_one_line_and_the_conversion_goes_on(gen3r: Runner, standin: Path, tmp_path: Path) -> None:
    ours = tmp_path / "ours"
    arguments = [sys.executable, "-c", SMALL_DISK, str(standin), str(ours)]
    full = subprocess.run(arguments, capture_output=True, text=True, check=False)
    errors = [line for line in full.stderr.splitlines() if not line.startswith("image_encoder: ")]
    assert (full.returncode, len(errors)) == (2, 1), full.stderr
    assert errors[0].startswith(f"gen3r: error: the disk of {ours}.partial is full, or refuses more (File too large)")
    kept = {path: path.stat().st_ino for path in (tmp_path / "ours.partial").rglob("*") if path.is_file()}
    assert len(kept) > 1
    again = gen3r("convert", standin, ours)
    assert again.code == 0, again.stderr
    assert "is there already" in again.stderr
    inodes = {path.stat().st_ino for path in ours.rglob("*")}
    assert sum(inode in inodes for inode in kept.values()) == len(kept) - 1  # all but the mark of a partial folder


def test_mistakes_are_one_line(gen3r: Runner, standin: Path, tmp_path: Path) -> None:
    mistakes = {
        ("tiny", tmp_path / "new"): "no vae with linear = True",
        (standin, tmp_path): "expected a new folder",
        (standin, tmp_path / "new", "--to", "official"): "got one that is in it",
        (standin, tmp_path / "new", "--shard-size", "plenty"): "--shard-size expects a size such as 5GB",
        (tmp_path, tmp_path / "new"): "expected a model folder",
    }
    for arguments, said in mistakes.items():
        outcome = gen3r("convert", *arguments)
        assert outcome.code == 2, outcome
        assert said in outcome.stderr
        assert outcome.stderr.count("\n") == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("text", "size"), [("5GB", 5 * 10**9), ("1.5 MiB", 3 * 2**19), ("300mb", 300 * 10**6)])
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["5", "GB", "-1GB", "0MB", "1TB2", ""])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expects a size"):
        parse_bytes(text)
