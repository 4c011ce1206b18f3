"""``gen3r data show``: what a dataset holds."""

import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from gen3r.cli.terminal import say

if TYPE_CHECKING:
    from gen3r.data.dataset import ClipDataset


@dataclass(frozen=True, kw_only=True)
class Show:
    """Tell what a dataset holds, by source and split: clips, frames, sizes, depth, masks, captions, licence."""

    dataset: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="DATASET")]
    """Folders of clip folders or shards."""
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False
    """Print JSON instead of a table."""

    def run(self) -> None:
        """Print a table, or JSON.

        Raises:
            ValueError: if there is no dataset.
        """
        from gen3r.data.dataset import ClipDataset

        rows = summary(ClipDataset.open(list(self.dataset)))
        if self.as_json:
            say(json.dumps(rows, indent=2))
            return
        from rich.console import Console
        from rich.table import Table

        table = Table(*rows[0], box=None, pad_edge=False)
        for row in rows:
            table.add_row(*(str(value) for value in row.values()))
        console = Console(file=sys.stdout)
        (console if console.is_terminal else Console(file=sys.stdout, width=400)).print(table)


def summary(clips: "ClipDataset") -> list[dict[str, Any]]:
    """One row per source and split."""
    groups: dict[tuple[str, str], list[Any]] = {}
    for record in clips.records:
        groups.setdefault((record.source, record.split), []).append(record)
    rows = []
    for (source, split), records in sorted(groups.items()):
        frames = [record.frames for record in records]
        sizes = Counter(f"{record.height}x{record.width}" for record in records)
        most, _ = sizes.most_common(1)[0]
        rows.append(
            {
                "source": source,
                "split": split,
                "clips": len(records),
                "frames": f"{min(frames)}-{max(frames)}" if min(frames) != max(frames) else str(frames[0]),
                "size": most + (f" and {len(sizes) - 1} others" if len(sizes) > 1 else ""),
                "depth": sum(record.depth_scale is not None for record in records),
                "masks": sum(record.masks is not None for record in records),
                "captions": sum(record.caption_kind != "none" for record in records),
                "scale": " ".join(sorted({record.scale_kind for record in records})),
                "licence": " ".join(sorted({record.licence for record in records})),
            }
        )
    return rows
