"""Shape annotations of the package are checked while testing, and only then. Nothing may import it before this."""

import os
import signal
from typing import Any

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook
from xdist.scheduler import LoadFileScheduling

install_import_hook("gen3r", "beartype.beartype")

# A shared or busy machine must not fail a law by being slow; the build server must try the same examples every time.
settings.register_profile("gen3r", deadline=None, max_examples=30, derandomize="CI" in os.environ)
settings.load_profile("gen3r")


class TogetherByFile(LoadFileScheduling):
    """Tests of one file run in one process, and those of parity too: the last of them sees what all others compared."""

    def _split_scope(self, nodeid: str) -> str:
        return PARITY if nodeid.startswith(PARITY) else super()._split_scope(nodeid)


PARITY = "tests/parity/"


def pytest_configure() -> None:
    """Jobs in the background of a shell ignore Ctrl-C, and so would the programs that the tests interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> TogetherByFile:
    """How `pytest -n 2` shares the tests out."""
    return TogetherByFile(config, log)
