"""Progress is told by one process."""

import io
import sys

import pytest

from gen3r.cli.terminal import note, progress_bar, say, working


class Terminal(io.StringIO):
    """A stream that takes colours and movement."""

    def isatty(self) -> bool:
        return True


def told(monkeypatch: pytest.MonkeyPatch) -> str:
    """What a command's progress writes to a terminal."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    note("Fetching")
    with working("Loading"):
        pass
    with progress_bar("Generating") as advance:
        advance(1, 2)
    return terminal.getvalue()


@pytest.mark.parametrize("rank", [None, "0"])
def test_a_process_alone_and_the_first_of_several_tell_progress(rank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("RANK", rank)
    written = told(monkeypatch)
    assert all(word in written for word in ("Fetching", "Loading", "Generating"))


def test_the_others_are_silent_but_for_results(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv("RANK", "1")
    assert told(monkeypatch) == ""
    say("done")
    assert capsys.readouterr().out == "done\n"
