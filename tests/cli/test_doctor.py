from importlib import metadata

import pytest
import torch

from cli.running import Runner
from gen3r.cli.doctor import EXTRAS, extra_state, installed_version


def test_doctor_tells_what_is_here_and_what_to_do_next(gen3r: Runner) -> None:
    outcome = gen3r("doctor")
    assert (outcome.code, outcome.stderr) == (0, "")
    lines = outcome.stdout.splitlines()
    assert [line for line in lines if not line.startswith(" ")][1:] == [
        "Packages",
        "Extras",
        "Devices",
        "Models",
        "Next",
    ]
    assert f"  {'torch':<15} {torch.__version__}" in lines
    assert f"  {'viewer':<15} installed  (gen3r view)" in lines
    assert any(line.startswith("  cpu ") for line in lines)
    assert any(line.startswith("  tiny ") and line.endswith("(default)") for line in lines)
    assert lines[-1].startswith("  gen3r generate PHOTO")


def test_an_extra_that_is_not_whole_names_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    known = installed_version
    monkeypatch.setattr(
        "gen3r.cli.doctor.installed_version", lambda name: "missing" if name == "viser" else known(name)
    )
    assert extra_state("viewer") == "pip install 'gen3r[viewer]' brings viser"
    assert extra_state("mesh") == "installed"


def test_every_extra_of_the_package_is_told() -> None:
    named = set(metadata.metadata("gen3r").get_all("Provides-Extra") or [])
    assert named - {"all", "dev"} == set(EXTRAS)
