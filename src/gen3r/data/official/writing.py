"""Clips in the official layout."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gen3r.data.dataset import ClipDataset
from gen3r.data.official.layout import (
    CAPTIONS,
    IMAGES,
    LISTS,
    RECORD,
    SPLITS,
    SUFFIXES,
    TRANSFORMS,
    OfficialScene,
    OfficialSplit,
    frame_entries,
    list_path,
    read_lists,
    write_lists,
)
from gen3r.data.schema.files import FolderFiles
from gen3r.data.schema.leftovers import Leftovers
from gen3r.data.schema.linking import hard_linked
from gen3r.data.schema.pictures import encode_picture
from gen3r.data.schema.record import DEPTH, FRAMES, MASKS, ClipRecord
from gen3r.data.schema.stored import StoredClip
from gen3r.scene.export.output_folder import whole_folder


@dataclass(frozen=True, kw_only=True)
class ToOfficialConfig:
    """What to write where."""

    source: Path
    """Dataset of clips."""
    target: Path
    """Root of the official layout; other datasets may be there already."""
    name: str | None = None
    """Folder name of the dataset; None takes the source that each clip names."""
    relative: bool = False
    """Paths in the lists relative to the list; the official code needs absolute ones."""


def list_to_official(config: ToOfficialConfig) -> list[dict[str, Any]]:
    """The items for `ToOfficial`, one per clip whose scene is not there yet.

    Raises:
        ValueError: as `ClipDataset.open`, for lists in the target that do not align, and if lists are to be relative
            and those that are there name places outside the target.
    """
    clips = ClipDataset.open(config.source)
    _check_lists(config)
    return [
        {"key": f"{dataset_name(config, record)}/{record.name}", "clip": number}
        for number, record in enumerate(clips.records)
        if not (_scene(config, record).transforms.is_file())
    ]


class ToOfficial:
    """The unit of work: writes one scene folder, which appears whole.

    Depth and masks go along in folders of their own, and so does our record; the official code reads neither.

    Args:
        settings: ``source``, ``target``, ``name`` and ``relative``, as in `ToOfficialConfig`.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._config = ToOfficialConfig(
            source=Path(settings["source"]), target=Path(settings["target"]), name=settings["name"]
        )
        self._clips = ClipDataset.open(self._config.source)
        self._leftovers = Leftovers()

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        """Write the clip of ``item``, if it is not there yet."""
        clip = self._clips[item["clip"]]
        scene = _scene(self._config, clip.record)
        if not scene.transforms.is_file():
            self._leftovers.remove(scene.folder)
            with whole_folder(scene.folder) as staging:
                write_scene(clip, staging)
        return {"frames": clip.record.frames}


def write_scene(clip: StoredClip, folder: Path) -> None:
    """Write one scene into an empty folder; pictures are linked where the disk allows, else copied."""
    (folder / IMAGES).mkdir()
    files = _write_frames(clip, folder / IMAGES)
    for part, there in ((DEPTH, clip.record.depth_scale is not None), (MASKS, clip.record.masks is not None)):
        if there:
            (folder / part).mkdir()
            for index, name in enumerate(clip.pictures(part)):
                _place(clip, name, folder / part / f"frame{index:05d}{Path(name).suffix}")
    (folder / RECORD).write_text(clip.record.to_json(), encoding="utf-8")
    # The official code draws a line at random: without any there would be nothing to draw.
    (folder / CAPTIONS).write_text("".join(f"{line}\n" for line in clip.captions or ("",)), encoding="utf-8")
    transforms = {"camera_convention": "opencv", "frames": frame_entries(clip.cameras, files)}
    (folder / TRANSFORMS).write_text(json.dumps(transforms, allow_nan=False) + "\n", encoding="utf-8")


def finish_official(config: ToOfficialConfig) -> dict[OfficialSplit, int]:
    """Write the lists of the datasets of ``config.source``, and those of all datasets in the target together.

    Returns:
        How many scenes the joined lists of each split hold.

    Raises:
        ValueError: if lists that are there already do not align.
    """
    written: dict[str, list[OfficialScene]] = {}
    for record in ClipDataset.open(config.source).records:
        if _scene(config, record).transforms.is_file():
            written.setdefault(dataset_name(config, record), []).append(_scene(config, record))
    counts: dict[OfficialSplit, int] = {}
    splits: tuple[OfficialSplit, ...] = ("train", "test")
    for split in splits:
        for name, scenes in written.items():
            listed = {scene.key: scene for scene in read_lists(config.target / name, split)}
            listed |= {scene.key: scene for scene in scenes if scene.split == split}
            chosen = [scene for _, scene in sorted(listed.items())]
            if chosen:
                write_lists(config.target / name, split, chosen, relative=config.relative)
        joined = [scene for folder in _listed_folders(config.target, split) for scene in read_lists(folder, split)]
        write_lists(config.target, split, joined, relative=config.relative)
        counts[split] = len(joined)
    return counts


def _check_lists(config: ToOfficialConfig) -> None:
    """What the joined lists will hold is known before any work, but for the scenes that are written inside."""
    splits: tuple[OfficialSplit, ...] = ("train", "test")
    for split in splits:
        for folder in _listed_folders(config.target, split):
            for scene in read_lists(folder, split):
                outside = [p for p in scene.rows if not p.resolve().is_relative_to(folder.resolve())]
                if config.relative and outside:
                    raise ValueError(
                        f"{list_path(folder, split, LISTS[0])} and its companions name {outside[0]}, which is outside "
                        f"{folder}: such lists cannot be relative; leave --relative out, or choose another folder."
                    )


def _listed_folders(target: Path, split: OfficialSplit) -> list[Path]:
    """The folders of datasets in a root that have lists."""
    return sorted(path.parent for path in target.glob(f"*/{list_path(Path(), split, LISTS[0]).name}"))


def dataset_name(config: ToOfficialConfig, record: ClipRecord) -> str:
    """The folder of a clip's dataset. The official code knows ten names (re10k, co3d, ...), which must be met."""
    return config.name or re.sub(r"[^a-z0-9]+", "-", record.source.lower()).strip("-") or "clips"


def _scene(config: ToOfficialConfig, record: ClipRecord) -> OfficialScene:
    folder = config.target / dataset_name(config, record) / record.name
    return OfficialScene(
        images=folder / IMAGES,
        transforms=folder / TRANSFORMS,
        captions=folder / CAPTIONS,
        split=SPLITS[record.split],
    )


def _write_frames(clip: StoredClip, folder: Path) -> list[str]:
    """Returns the file names. A video is taken apart, and WebP becomes PNG."""
    names = []
    pictures = clip.pictures(FRAMES) if clip.record.frames_kind == "pictures" else None
    for index in range(clip.record.frames):
        suffix = Path(pictures[index]).suffix.lower() if pictures else ""
        names.append(f"frame{index:05d}{suffix if suffix in SUFFIXES else '.png'}")
        if pictures and suffix in SUFFIXES:
            _place(clip, pictures[index], folder / names[-1])
        else:
            (folder / names[-1]).write_bytes(encode_picture(clip.rgb([index])[0].numpy()))
    return names


def _place(clip: StoredClip, name: str, target: Path) -> None:
    if not (isinstance(clip.files, FolderFiles) and hard_linked(clip.files.folder / name, target)):
        target.write_bytes(clip.files.read(name))
