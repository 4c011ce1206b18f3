"""Running commands inside the test's process."""

from dataclasses import dataclass

import pytest

from gen3r.cli.main import main


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a command left behind."""

    code: int
    stdout: str
    stderr: str


class Runner:
    """Calls the command line as ``gen3r ARGUMENTS`` and captures what it says."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: object) -> Outcome:
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        said = self.capsys.readouterr()
        code = stop.value.code
        assert isinstance(code, int)
        return Outcome(code=code, stdout=said.out, stderr=said.err)
