"""One scene of a dataset becomes clip folders."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gen3r.cameras import Cameras
from gen3r.data.converting.frames import ClipFrame, UnreadableFrame, make_frame
from gen3r.data.converting.parts import check_parts, clip_names
from gen3r.data.converting.prompts import Prompts, choose_captions
from gen3r.data.converting.raw import Converter, ConvertOptions, Found, RawFrame, RawScene, UnusableScene
from gen3r.data.converting.settings import ConvertSettings
from gen3r.data.converting.usable import cut, notes_on, usable_frames
from gen3r.data.converting.warping import Warps
from gen3r.data.schema.record import RECORD_FILE, ClipRecord
from gen3r.data.schema.writer import ClipWriter
from gen3r.scene.camera_files import check_fov


@dataclass(frozen=True, kw_only=True)
class ConvertedScene:
    """What was made of a scene."""

    clips: tuple[str, ...]
    """Names of its clip folders."""
    split: str
    """Of all of them."""
    frames: int
    """In all of them."""
    notes: tuple[str, ...]
    """What was left out, and why."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"clips": [*self.clips], "split": self.split, "frames": self.frames, "notes": [*self.notes]}


def convert_scene(
    converter: Converter,
    source: Path,
    found: Found,
    destination: Path,
    settings: ConvertSettings,
    *,
    options: ConvertOptions | None = None,
    prompts: Prompts | None = None,
) -> ConvertedScene:
    """Convert one scene. Clip folders appear whole; those that are there are not touched, and nor is ``source``.

    The world of a clip is the dataset's, moved so that the first camera is in its origin: axes and unit stay.

    Args:
        converter: of the dataset.
        source: the dataset as downloaded.
        found: the scene, from ``converter.find``.
        destination: the dataset folder that gets the clips.
        settings: what the user chose.
        options: ``settings.options()``, if made before.
        prompts: captions by scene.

    Raises:
        UnusableScene: if no clip can be made of it; the text says why.
    """
    scene = converter.read(source, found, settings.options() if options is None else options)
    frames, notes = usable_frames(scene.frames)
    notes = (*scene.notes, *notes)
    if not frames:
        raise UnusableScene(f"no frame can be used: {'; '.join(notes)}.")
    parts = cut(frames, settings.max_frames, settings.min_frames)
    names = clip_names(scene.name, len(parts))
    if len(parts) > 1:
        check_parts(destination, scene.name, names)
    writer = _SceneWriter(converter, source, scene, destination, settings, prompts or {})
    records = [writer.write(name, part, notes) for name, part in zip(names, parts, strict=True)]
    return ConvertedScene(
        clips=tuple(record.name for record in records),
        split=scene.split,
        frames=sum(record.frames for record in records),
        notes=tuple(dict.fromkeys(note for record in records for note in record.notes)),
    )


@dataclass(frozen=True)
class _SceneWriter:
    converter: Converter
    source: Path
    scene: RawScene
    destination: Path
    settings: ConvertSettings
    prompts: Prompts

    def write(self, name: str, frames: Sequence[tuple[int, RawFrame]], notes: tuple[str, ...]) -> ClipRecord:
        """One clip; one that is there is kept."""
        folder, scene = self.destination / name, self.scene
        if (folder / RECORD_FILE).is_file():
            return ClipRecord.from_json((folder / RECORD_FILE).read_bytes(), str(folder / RECORD_FILE))
        for left_over in self.destination.glob(f".{name}.partial-*"):
            shutil.rmtree(left_over)  # of a process that was killed
        captions, caption_kind = choose_captions(scene, self.prompts)
        maskless = [index for index, frame in frames if frame.mask is None]
        masks = scene.masks if not maskless else None
        if 0 < len(maskless) < len(frames):
            notes = (*notes, f"masks left out: {len(maskless)} of {len(frames)} frames have none")
        with ClipWriter(folder) as clip:
            made, times, reasons = self._add(clip, frames, masks is not None)
            return clip.finish(
                _cameras(made, name),
                captions,
                caption_kind=caption_kind,
                name=name,
                split=scene.split,
                source=self.converter.name,
                licence=self.converter.licence,
                scale_kind=scene.scale_kind,
                masks=masks,
                labels=scene.labels,
                times=times,
                notes=(*notes, *reasons),
            )

    def _is_own(self, picture: Path | bytes) -> bool:
        """Whether a picture is a file of the dataset itself, not one elsewhere that a link leads to."""
        if isinstance(picture, bytes) or picture.is_symlink():
            return False
        return picture.resolve().is_relative_to(self.source.resolve())

    def _add(
        self, clip: ClipWriter, frames: Sequence[tuple[int, RawFrame]], with_masks: bool
    ) -> tuple[list[ClipFrame], tuple[float, ...] | None, tuple[str, ...]]:
        """Write what can be read; returns these frames without their pixels, their times, and notes on the others."""
        warps = Warps(self.settings.max_side)
        with_depth = any(frame.depth is not None for _, frame in frames)
        made: list[ClipFrame] = []
        times: list[float | None] = []
        reasons: list[tuple[int, str]] = []
        for index, raw in frames:
            try:
                frame = make_frame(raw, warps.of(raw.camera))
            except UnreadableFrame as error:
                reasons.append((index, str(error)))
                continue
            if made and (frame.height, frame.width) != (made[0].height, made[0].width):
                reasons.append((index, f"its view has {frame.height}x{frame.width} pixels, unlike the others"))
                continue
            clip.add_picture(frame.picture, link=self.settings.link == "hard" and self._is_own(frame.picture))
            if with_depth:
                no_depth = np.zeros((frame.height, frame.width), np.float32)
                clip.add_depth(no_depth if frame.depth is None else frame.depth)
            if with_masks and frame.mask is not None:
                clip.add_mask(frame.mask)
            made.append(_without_pixels(frame))
            times.append(raw.time)
        notes = notes_on(reasons)
        if len(made) < max(1, self.settings.min_frames):
            raise UnusableScene(f"only {len(made)} of {len(frames)} frames can be read; {'; '.join(notes)}.")
        known = tuple(time for time in times if time is not None)
        return made, known if len(known) == len(times) else None, notes


def _without_pixels(frame: ClipFrame) -> ClipFrame:
    return ClipFrame(**{**vars(frame), "picture": b"", "depth": None, "mask": None})


def _cameras(frames: Sequence[ClipFrame], name: str) -> Cameras:
    """In a world with the first camera in its origin, moved there in float64: worlds may be kilometres off."""
    poses = np.stack([frame.world_from_camera for frame in frames])
    poses[:, :3, 3] -= poses[0, :3, 3].copy()
    rotations = poses[:, :3, :3].transpose(0, 2, 1)
    extrinsics = np.tile(np.eye(4), (len(poses), 1, 1))
    extrinsics[:, :3, :3] = rotations
    extrinsics[:, :3, 3] = -np.einsum("fij,fj->fi", rotations, poses[:, :3, 3])
    cameras = Cameras(
        torch.from_numpy(extrinsics).float(),
        torch.from_numpy(np.stack([frame.intrinsics for frame in frames])).float(),
        frames[0].height,
        frames[0].width,
    ).validate()
    check_fov(name, cameras)
    return cameras
