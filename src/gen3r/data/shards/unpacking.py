"""Clips out of shards, as folders again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gen3r.data.dataset import ClipDataset
from gen3r.data.schema.record import CAMERAS_FILE, CAPTIONS_FILE, RECORD_FILE, VIDEO_FILE
from gen3r.data.shards.packing import picture_folders
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

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        """Write the clip of ``item``, if it is not there yet."""
        clip = self._clips[self._numbers[item["key"]]]
        folder = self._target / clip.name
        if not (folder / RECORD_FILE).is_file():
            video = [VIDEO_FILE] if clip.record.frames_kind == "video" else []
            pictures = [name for part in picture_folders(clip.record) for name in clip.pictures(part)]
            with whole_folder(folder) as staging:
                for name in (CAMERAS_FILE, CAPTIONS_FILE, *video, *pictures, RECORD_FILE):
                    (staging / name).parent.mkdir(exist_ok=True)
                    (staging / name).write_bytes(clip.files.read(name))
        return {"frames": clip.record.frames}
