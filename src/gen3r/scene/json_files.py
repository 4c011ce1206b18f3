"""JSON that somebody else wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gen3r.scene.files import check_file, reading


def read_json_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file; `ValueError` with the path for anything else, or for no file."""
    check_file(path)
    return parse_json_object(path.read_bytes(), path)


def parse_json_object(content: bytes, path: str | Path) -> dict[str, Any]:
    """`read_json_object` of bytes that were read already; ``path`` is what errors name."""
    try:
        record = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(record, dict):
        raise ValueError(f"{path} must hold a JSON object, got {type(record).__name__}.")
    return record


def looks_like_json(path: Path) -> bool:
    """Whether a file begins as JSON objects and lists do, or is named so."""
    if not path.is_file():
        return False
    with reading(path), path.open("rb") as file:
        start = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
    return start[:1] in (b"{", b"[") or path.suffix.lower() == ".json"
