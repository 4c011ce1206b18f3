import torch

from cli.running import Runner


def test_doctor_tells_what_is_here_and_what_to_do_next(gen3r: Runner) -> None:
    outcome = gen3r("doctor")
    assert (outcome.code, outcome.stderr) == (0, "")
    lines = outcome.stdout.splitlines()
    assert [line for line in lines if not line.startswith(" ")][1:] == ["Packages", "Devices", "Models", "Next"]
    assert f"  {'torch':<15} {torch.__version__}" in lines
    assert any(line.startswith("  cpu ") for line in lines)
    assert any(line.startswith("  tiny ") and line.endswith("(default)") for line in lines)
    assert lines[-1].startswith("  gen3r generate PHOTO")
