"""Files and folders of models, written under another name first, so that a reader never sees half of one."""

from __future__ import annotations

import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gen3r.whole_file import whole_file

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of the operating system that more room mends: a full disk, a quota, a limit on the size of files."""


INDEX_SUFFIX = ".safetensors.index.json"
"""How the file ends that says which shard holds which tensor."""


class ModelFolderError(ValueError):
    """A model folder is incomplete or does not fit the network it should fill."""


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A new folder beside ``folder`` to fill; put in its place at the end, removed after an error."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    temporary.mkdir()
    try:
        yield temporary
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def json_text(content: Any) -> str:
    """How JSON files of model folders are written."""
    return json.dumps(content, indent=2) + "\n"


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as indented JSON, as a whole."""
    with whole_file(path) as temporary:
        temporary.write_text(json_text(content), encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file of a model folder.

    Raises:
        ModelFolderError: if the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelFolderError(
            f"expected {path.name} in {path.parent}, found none; is the model folder complete?"
        ) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelFolderError(f"{path} is not valid JSON ({error}); fetch or export the model again.") from None


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that must hold an object; ModelFolderError otherwise."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise ModelFolderError(f"{path}: expected a JSON object, got {type(content).__name__}; fetch the file again.")
    return content
