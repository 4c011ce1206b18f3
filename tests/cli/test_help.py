"""Help answers at once, for every command, and without the libraries that make a start slow."""

import subprocess
import sys
import time
from importlib.metadata import version

import pytest

from cli.running import Runner

COMMANDS = [
    (),
    ("generate",),
    ("reconstruct",),
    ("synth",),
    ("train",),
    ("eval",),
    ("eval", "synthetic"),
    ("eval", "table"),
    ("eval", "cleaning"),
    ("export",),
    ("import",),
    ("view",),
    ("studio",),
    ("convert",),
    ("data",),
    ("data", "show"),
    ("data", "check"),
    ("data", "pack"),
    ("data", "unpack"),
    ("data", "official"),
    ("data", "official", "to"),
    ("data", "official", "from"),
    ("models",),
    ("models", "list"),
    ("models", "show"),
    ("models", "download"),
    ("models", "verify"),
    ("models", "remove"),
    ("doctor",),
]
HEAVY = ("torch", "diffusers", "transformers", "numpy", "PIL", "av", "matplotlib", "trimesh")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help(gen3r: Runner, command: tuple[str, ...]) -> None:
    outcome = gen3r(*command, "--help")
    assert outcome.code == 0
    assert f"usage: {' '.join(('gen3r', *command))}" in outcome.stdout


def test_the_version_is_told(gen3r: Runner) -> None:
    outcome = gen3r("--version")
    assert (outcome.code, outcome.stdout) == (0, f"gen3r {version('gen3r')}\n")


def test_help_loads_no_heavy_library() -> None:
    code = (
        "import sys\nfrom gen3r.cli.main import main\n"
        "try:\n    main(['generate', '--help'])\nexcept SystemExit:\n    pass\n"
        f"sys.stderr.write(','.join(name for name in {HEAVY!r} if name in sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, ""), f"loaded for --help: {result.stderr}"


def test_help_answers_within_a_second() -> None:
    times = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "gen3r.cli", "--help"], capture_output=True, check=True)
        times.append(time.perf_counter() - started)
        if times[-1] < 1.0:
            return
    pytest.fail(f"--help took {min(times):.2f} s at best")


def test_a_wrong_option_exits_with_two_and_names_itself(gen3r: Runner) -> None:
    outcome = gen3r("generate", "photo.png", "--out", "x", "--stepz", "3")
    assert outcome.code == 2
    assert "--stepz" in outcome.stdout + outcome.stderr
