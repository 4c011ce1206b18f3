"""Prompts that a user gives to the scenes of a dataset.

A JSON file is an object of scenes, each with one prompt or a list of them; a CSV file has a header with the columns
``scene`` and ``caption`` and may name a scene in several rows::

    {"apple-110_13051_23361": ["A red apple on a table.", "Fruit seen from all sides."]}

    scene,caption
    apple-110_13051_23361,A red apple on a table.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gen3r.data.captions import captions_from_labels
from gen3r.data.converting.raw import RawScene
from gen3r.data.schema.record import CaptionKind

Prompts = Mapping[str, tuple[str, ...]]


def read_prompts(path: str | Path) -> Prompts:
    """Read a file of prompts by scene.

    Raises:
        ValueError: naming the file, for what is neither of the two forms.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the captions {path} cannot be read: {error}.") from error
    return _from_csv(path, text) if path.suffix.lower() == ".csv" else _from_json(path, text)


def choose_captions(scene: RawScene, prompts: Prompts) -> tuple[tuple[str, ...], CaptionKind]:
    """The captions of a scene and where they come from: the user's, else the dataset's, else made from its labels."""
    given = tuple(caption for caption in prompts.get(scene.name, ()) if caption.strip())
    if given:
        return given, "given"
    own = tuple(caption for caption in scene.captions if caption.strip())
    if own:
        return own, scene.caption_kind
    made = tuple(caption for caption in captions_from_labels(scene.labels) if caption)
    return made, "template" if made else "none"


def _from_json(path: Path, text: str) -> Prompts:
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"the captions {path} are not valid JSON: {error}; a CSV file needs the suffix .csv."
        ) from error
    if not isinstance(content, dict):
        raise ValueError(f"the captions {path} must be an object of scenes, got {type(content).__name__}.")
    prompts = {name: (value,) if isinstance(value, str) else value for name, value in content.items()}
    for name, value in prompts.items():
        if not isinstance(value, list | tuple) or not all(isinstance(caption, str) for caption in value):
            raise ValueError(f"the captions {path} must give {name} a text or a list of texts, got {value!r:.80}.")
    return {name: tuple(value) for name, value in prompts.items()}


def _from_csv(path: Path, text: str) -> Prompts:
    rows = csv.DictReader(io.StringIO(text, newline=""))
    if not {"scene", "caption"} <= set(rows.fieldnames or ()):
        raise ValueError(
            f"the captions {path} must have a header with scene and caption, got {', '.join(rows.fieldnames or ())}."
        )
    prompts: dict[str, tuple[str, ...]] = {}
    for row in rows:
        if row["scene"] and row["caption"]:
            prompts[row["scene"]] = (*prompts.get(row["scene"], ()), row["caption"])
    return prompts
