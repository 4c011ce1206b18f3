"""Captions into a clip folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from gen3r.data.captions import one_line_each
from gen3r.data.schema.record import CAPTIONS_FILE, RECORD_FILE, CaptionKind
from gen3r.data.schema.stored import StoredClip
from gen3r.whole_file import whole_file


def write_captions(folder: Path, captions: Sequence[str], kind: CaptionKind) -> None:
    """Replace captions.txt, then say in scene.json where they are from: stopped in between, the clip counts as undone.

    Raises:
        ValueError: for no captions, or an empty one.
    """
    lines = one_line_each(captions)
    if not lines or not all(lines):
        raise ValueError(f"expected captions for {folder}, got {captions!r:.80}.")
    record = dataclasses.replace(StoredClip.open(folder).record, caption_kind=kind)
    with whole_file(folder / CAPTIONS_FILE) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    with whole_file(folder / RECORD_FILE) as temporary:
        temporary.write_text(record.to_json(), encoding="utf-8")
