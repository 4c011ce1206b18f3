"""Clips out of the official layout."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gen3r.cameras import Cameras
from gen3r.data.clip import Split
from gen3r.data.official.layout import (
    CAPTIONS,
    IMAGES,
    RECORD,
    TRANSFORMS,
    OfficialScene,
    OfficialSplit,
    read_lines,
    read_lists,
    read_transforms,
)
from gen3r.data.schema.leftovers import Leftovers
from gen3r.data.schema.linking import lies_as_named
from gen3r.data.schema.pictures import decode_depth, decode_mask
from gen3r.data.schema.record import DEPTH, MASKS, RECORD_FILE, ClipRecord, ScaleKind
from gen3r.data.schema.writer import ClipWriter
from gen3r.scene.images import IMAGE_SUFFIXES, list_folder

_SPLITS: dict[OfficialSplit, Split] = {"train": "train", "test": "held-out"}


@dataclass(frozen=True, kw_only=True)
class FromOfficialConfig:
    """What to read, and what the layout does not say."""

    source: Path
    """Root with joined lists, the folder of one dataset, or a folder of scene folders without lists."""
    target: Path
    """Folder for ``<dataset>/<clip>``."""
    licence: str = "unknown"
    """Of scenes that our own writer did not make."""
    scale_kind: ScaleKind = "unknown"
    """Of those scenes."""
    link: bool = False
    """Hard-link pictures where the disk allows, instead of copying them; what is behind a symlink is copied."""


def find_official(source: Path) -> list[OfficialScene]:
    """All scenes of an official layout.

    Raises:
        ValueError: for lists that do not align, and if there is no scene.
    """
    splits: tuple[OfficialSplit, ...] = ("train", "test")
    scenes = [scene for split in splits for scene in read_lists(source, split)]
    if not scenes:
        found = sorted({*source.glob(f"*/{TRANSFORMS}"), *source.glob(f"*/*/{TRANSFORMS}")})
        scenes = [
            OfficialScene(images=p.parent / IMAGES, transforms=p, captions=p.parent / CAPTIONS, split="train")
            for p in found
        ]
    if not scenes:
        raise ValueError(
            f"{source} holds no official layout: expected train_videos_dirs.txt and its two companions, or scene "
            f"folders with {TRANSFORMS} and {IMAGES}/."
        )
    return scenes


def list_from_official(config: FromOfficialConfig) -> list[dict[str, Any]]:
    """The items for `FromOfficial`, one per scene whose clip is not there yet.

    Raises:
        ValueError: as `find_official`, and if two scenes would get one name.
    """
    items: dict[str, dict[str, Any]] = {}
    for scene in find_official(config.source):
        key = f"{_plain(scene.folder.parent.resolve().name)}/{_plain(scene.folder.name)}"
        if key in items:
            raise ValueError(f"{config.source} lists the scene {key} twice; leave one out of the lists.")
        items[key] = {"key": key} | {name: str(value) for name, value in asdict(scene).items()}
    return [item for key, item in items.items() if not (config.target / key / RECORD_FILE).is_file()]


class FromOfficial:
    """The unit of work: writes one clip folder, which appears whole.

    Args:
        settings: the fields of `FromOfficialConfig`, paths as text.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        values: dict[str, Any] = settings | {"source": Path(settings["source"]), "target": Path(settings["target"])}
        self._config = FromOfficialConfig(**values)
        self._leftovers = Leftovers()

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        """Write the scene of ``item``, if it is not there yet.

        Raises:
            ValueError: for a scene that cannot be read.
        """
        scene = OfficialScene(
            images=Path(item["images"]),
            transforms=Path(item["transforms"]),
            captions=Path(item["captions"]),
            split=item["split"],
        )
        folder = self._config.target / item["key"]
        if not (folder / RECORD_FILE).is_file():
            self._leftovers.remove(folder)
            convert_scene(scene, folder, self._config)
        return {}


def convert_scene(scene: OfficialScene, folder: Path, config: FromOfficialConfig) -> ClipRecord:
    """Write one official scene as a clip folder. Frames without a picture are left out, with a note.

    Raises:
        ValueError: for transforms.json that `read_transforms` refuses, no pictures, or pictures of another size, depth
            and masks that are not one per frame, captions that are not UTF-8, and a record of another clip.
    """
    frames = read_transforms(scene.transforms)
    kept = [index for index, name in enumerate(frames.files) if (scene.images / name).is_file()]
    if not kept:
        raise ValueError(f"{scene.images} holds none of the pictures that {scene.transforms} names.")
    odd = [name for name in frames.files if Path(name).suffix.lower() not in IMAGE_SUFFIXES]
    if odd:
        raise ValueError(f"{odd[0]}, which {scene.transforms} names, is no picture ({', '.join(IMAGE_SUFFIXES)}).")
    lost = len(frames.files) - len(kept)
    notes = (f"{lost} frames without a picture were left out",) if lost else ()
    known = _known(scene, folder.name, len(frames.files))
    depth = _extras(scene, DEPTH, len(frames.files)) if known and known.depth_scale is not None else []
    masks = _extras(scene, MASKS, len(frames.files)) if known and known.masks is not None else []
    captions: list[str] = []
    if scene.captions.is_file():
        captions = read_lines(scene.captions)
    else:
        notes += (f"there was no {CAPTIONS}",)
    with ClipWriter(folder, depth_scale=known.depth_scale if known else None) as writer:
        for index in kept:
            picture = scene.images / frames.files[index]
            writer.add_picture(picture, link=config.link and lies_as_named(picture))
            if known and known.depth_scale is not None:
                steps = decode_depth(depth[index].read_bytes(), str(depth[index]))
                writer.add_depth((steps.astype(np.float64) * known.depth_scale).astype(np.float32))
            if known and known.masks is not None:
                writer.add_mask(decode_mask(masks[index].read_bytes(), str(masks[index])))
        cameras = frames.cameras[torch.tensor(kept)]
        cameras = Cameras(cameras.extrinsics.float(), cameras.intrinsics.float(), cameras.height, cameras.width)
        if known is not None:
            return writer.finish(
                cameras,
                captions,
                name=known.name,
                split=known.split,
                source=known.source,
                licence=known.licence,
                scale_kind=known.scale_kind,
                caption_kind=(known.caption_kind if known.caption_kind != "none" else "given") if captions else "none",
                masks=known.masks,
                labels=known.labels,
                times=tuple(known.times[index] for index in kept) if known.times else None,
                seed=known.seed,
                notes=known.notes + notes,
            )
        return writer.finish(
            cameras,
            captions,
            split=_SPLITS[scene.split],
            source=_plain(scene.folder.parent.resolve().name),
            licence=config.licence,
            scale_kind=config.scale_kind,
            caption_kind="given" if captions else "none",
            notes=notes,
        )


def _known(scene: OfficialScene, name: str, frames: int) -> ClipRecord | None:
    path = scene.folder / RECORD
    if not path.is_file():
        return None
    record = ClipRecord.from_json(path.read_bytes(), str(path))
    if record.name != name:
        raise ValueError(
            f"{path} names the clip {record.name}, but its folder is {scene.folder.name}; give the folder that name, "
            f"or remove {RECORD} to read the scene without it."
        )
    if record.frames != frames:
        raise ValueError(
            f"{path} says {record.frames} frames, but {TRANSFORMS} has {frames}; remove {RECORD} to read the scene "
            "without it."
        )
    return record


def _extras(scene: OfficialScene, part: str, frames: int) -> list[Path]:
    folder = scene.folder / part
    paths = list_folder(folder) if folder.is_dir() and any(folder.iterdir()) else []
    if len(paths) != frames:
        raise ValueError(
            f"{folder} holds {len(paths)} pictures, but {TRANSFORMS} has {frames} frames; get those that are missing, "
            f"or remove {RECORD} to read the scene without them."
        )
    return paths


def _plain(name: str) -> str:
    """As the name of a clip may be."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).lstrip("-._")[:200] or "scene"
