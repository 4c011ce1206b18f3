"""Clip folders: writing a clip from memory, reading one whole, and finding them."""

from __future__ import annotations

from pathlib import Path

from gen3r.data.clip import Clip, Split
from gen3r.data.schema.record import RECORD_FILE, ClipRecord, ScaleKind
from gen3r.data.schema.stored import StoredClip
from gen3r.data.schema.writer import ClipWriter


def write_clip(
    clip: Clip, folder: str | Path, *, split: Split, source: str, licence: str, scale_kind: ScaleKind = "metric"
) -> ClipRecord:
    """Write a clip as the new folder ``folder``, which appears whole or not at all.

    Depth is rounded to 1/65535 of the clip's largest; depths above 0 stay above 0. The rest is kept exactly.

    Raises:
        ValueError: if ``folder`` is a file, not empty or not writable, for depth that is negative or not finite, and
            for fields that `ClipRecord` refuses.
    """
    with ClipWriter(folder) as writer:
        for rgb, depth in zip(clip.rgb.numpy(), clip.depth.float().numpy(), strict=True):
            writer.add_picture(rgb)
            writer.add_depth(depth)
        return writer.finish(
            clip.cameras,
            [clip.caption],
            caption_kind="given" if clip.caption.strip() else "none",
            split=split,
            source=source,
            licence=licence,
            scale_kind=scale_kind,
            seed=clip.seed,
        )


def read_record(folder: str | Path) -> ClipRecord:
    """Read scene.json alone.

    Raises:
        ValueError: if it is missing, no JSON, of another format or version, or lacks or misstates a field.
    """
    return StoredClip.open(folder).record


def read_clip(folder: str | Path) -> Clip:
    """Read a clip folder of version 1 or 2 whole, with its first caption.

    Raises:
        ValueError: with the path and what is wrong, for anything that is missing, damaged, or disagrees with
            scene.json in number or size, and for a clip without depth or seed, which a `Clip` must have.
    """
    stored = StoredClip.open(folder)
    every = range(stored.record.frames)
    cameras, captions, rgb, depth = stored.cameras, stored.captions, stored.rgb(every), stored.depth(every)
    if depth is None or stored.record.seed is None:
        lacks = "depth" if depth is None else "seed"
        raise ValueError(f"{folder} has no {lacks}; read it with StoredClip.open, which does not need one.")
    return Clip(rgb=rgb, depth=depth, cameras=cameras, caption=captions[0] if captions else "", seed=stored.record.seed)


def clip_folders(folder: str | Path) -> list[Path]:
    """The clip folders directly inside ``folder``, by name; unfinished (hidden) ones are left out.

    Raises:
        ValueError: if there are none.
    """
    found = sorted(p.parent for p in Path(folder).glob(f"*/{RECORD_FILE}") if not p.parent.name.startswith("."))
    if not found:
        below = sorted({str(p.parents[1]) for p in Path(folder).glob(f"*/*/{RECORD_FILE}")})
        advice = (
            f"name a dataset below: {', '.join(below[:5])}"
            if below
            else "make some with gen3r synth or gen3r data convert"
        )
        raise ValueError(f"{folder} holds no clip folders (folders with a {RECORD_FILE}); {advice}.")
    return found
