"""Lets `test_every_golden` see what all other parity tests compared, and know whether all of them ran."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
PARTIAL = pytest.StashKey[bool]()
"""Whether some parity tests were left out of this session."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run it last; a session without some module, or with chosen tests of one, cannot know what all would compare."""
    items.sort(key=lambda item: item.path == FOLDER / "test_every_golden.py")
    missing = set(FOLDER.glob("test_*.py")) - {item.path for item in items}
    config.stash[PARTIAL] = bool(missing) or any("::" in argument for argument in config.args)


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Tests that options such as -k leave out."""
    for item in items:
        if item.path.parent == FOLDER:
            item.config.stash[PARTIAL] = True
