import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

NOBODY = 65534


@pytest.fixture
def forbidden() -> Iterator[Path]:
    """A folder whose files and folder nobody may read, while this process has no privilege to read them anyway."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "closed").mkdir()
        for file in ("photo.png", "clip.mp4", "cameras.json"):
            (folder / file).write_bytes(b"something")
        for path in folder.iterdir():
            path.chmod(0)
        folder.chmod(0o755)
        user = os.geteuid()
        if user == 0:
            os.seteuid(NOBODY)
        yield folder
        os.seteuid(user)
