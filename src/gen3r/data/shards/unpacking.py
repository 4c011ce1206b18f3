"""Clips out of shards, as folders again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gen3r.data.dataset import ClipDataset
from gen3r.data.schema.leftovers import Leftovers
from gen3r.data.schema.record import RECORD_FILE
from gen3r.data.shards.members import file_name
from gen3r.data.shards.packing import clip_members
from gen3r.scene.export.output_folder import whole_folder


def list_unpacking(source: str | Path, target: str | Path) -> list[dict[str, Any]]:
    """The items for `UnpackClip`, one per clip of ``source`` that is not in ``target`` yet.

    Raises:
        ValueError: as `ClipDataset.open`.
    """
    names = ClipDataset.open(source).names
    return [{"key": name} for name in names if not (Path(target) / name / RECORD_FILE).is_file()]


class UnpackClip:
    """The unit of work: writes one clip as a clip folder, which appears whole.

    Args:
        settings: ``source``, a dataset, and ``target``, a folder.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._clips = ClipDataset.open(settings["source"])
        self._numbers = {name: number for number, name in enumerate(self._clips.names)}
        self._target = Path(settings["target"])
        self._leftovers = Leftovers()

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        """Write the clip of ``item``, if it is not there yet.

        Raises:
            ValueError: if it cannot be read, or its index names what is no file of a clip.
        """
        clip = self._clips[self._numbers[item["key"]]]
        folder = self._target / clip.name
        if not (folder / RECORD_FILE).is_file():
            self._leftovers.remove(folder)
            with whole_folder(folder) as staging:
                for key, content in clip_members(clip):
                    path = staging / file_name(key)
                    path.parent.mkdir(exist_ok=True)
                    path.write_bytes(content)
        return {"frames": clip.record.frames}
