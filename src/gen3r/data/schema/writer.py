"""Writing a clip folder frame by frame: nothing but the frame at hand is held, and the folder appears whole."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from gen3r.cameras import Cameras
from gen3r.data.clip import Split
from gen3r.data.schema.linking import hard_linked
from gen3r.data.schema.pictures import Encoding, encode_picture, read_header
from gen3r.data.schema.record import (
    CAMERAS_FILE,
    CAPTIONS_FILE,
    DEPTH,
    DEPTH_STEPS,
    FRAMES,
    MASKS,
    RECORD_FILE,
    VIDEO_FILE,
    CaptionKind,
    ClipRecord,
    MaskKind,
    ScaleKind,
)
from gen3r.scene.camera_files import write_cameras
from gen3r.scene.export.output_folder import whole_folder

_WAITING = ".depth"
"""Folder for depth until its step is known."""


class ClipWriter:
    """A new clip folder, filled frame by frame::

        with ClipWriter("clips/room-1") as clip:
            for picture, depth in frames:
                clip.add_picture(picture)
                clip.add_depth(depth)
            clip.finish(cameras, ["A small room."], caption_kind="given", split="train", source="me", licence="CC0-1.0",
                        scale_kind="metric")

    The folder appears when the block ends, after `finish`; an exception leaves nothing behind.

    Args:
        folder: new or empty; its name is the clip's name unless `finish` is given another.
        encoding: of pictures that come as arrays; JPEG with quality 95 and full colour resolution.
        depth_scale: depth per step of the depth pictures, in the unit of the cameras. The default is 1/65535 of the
            clip's largest depth; name the step of a dataset whose depth is 16-bit already, and it is kept exactly.

    Raises:
        ValueError: if ``folder`` is a file, not empty or not writable; from all methods, for what a clip cannot hold.
    """

    def __init__(self, folder: str | Path, *, encoding: Encoding = "png", depth_scale: float | None = None) -> None:
        if depth_scale is not None and not 0 < depth_scale < float("inf"):
            raise ValueError(f"depth_scale must be a positive number, got {depth_scale}.")
        self._folder = Path(folder)
        self._encoding: Encoding = encoding
        self._depth_scale = depth_scale
        self._largest = 0.0
        self._counts = {FRAMES: 0, DEPTH: 0, MASKS: 0}
        self._video = False
        self._size: tuple[int, int] | None = None
        self._record: ClipRecord | None = None
        self._exit = ExitStack()

    def __enter__(self) -> ClipWriter:
        """Make the hidden folder that is filled."""
        self._staging = self._exit.enter_context(whole_folder(self._folder))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the folder its name, or remove all of it after an exception."""
        if error is None and self._record is None:
            error = ValueError(f"the clip {self._folder} was not finished: call finish before the block ends.")
            self._exit.__exit__(type(error), error, None)
            raise error
        self._exit.__exit__(kind, error, trace)

    def add_picture(self, picture: UInt8[np.ndarray, "H W 3"] | bytes | Path, *, link: bool = False) -> None:
        """The next frame: pixels, or an encoded PNG, JPEG or WebP, which is kept byte by byte.

        Args:
            picture: sRGB pixels, the bytes of a picture, or its file. All of a clip have one size.
            link: hard-link a file instead of copying it, where the disk allows; what is behind a symlink is copied.
        """
        if self._video:
            raise ValueError("a clip has pictures or a video, not both.")
        if isinstance(picture, np.ndarray):
            self._check_size("the picture", *picture.shape[:2])
            suffix = ".png" if self._encoding == "png" else ".jpg"
            self._next(FRAMES, suffix).write_bytes(encode_picture(picture, self._encoding))
            return
        content = picture.read_bytes() if isinstance(picture, Path) else picture
        where = str(picture) if isinstance(picture, Path) else f"frame {self._counts[FRAMES]}"
        header = read_header(content, where)
        self._check_size(where, header.height, header.width)
        target = self._next(FRAMES, header.suffix)
        if not (link and isinstance(picture, Path) and hard_linked(picture, target)):
            target.write_bytes(content)

    def add_video(self, video: Path) -> None:
        """All frames at once, as an mp4 file that is kept byte by byte; pixels must lie upright in it."""
        from gen3r.data.schema.video import count_video_frames

        if self._counts[FRAMES]:
            raise ValueError("a clip has pictures or one video, not both.")
        self._counts[FRAMES] = count_video_frames(video.read_bytes(), str(video))
        self._video = True
        shutil.copyfile(video, self._staging / VIDEO_FILE)

    def add_depth(self, depth: Float32[np.ndarray, "H W"]) -> None:
        """z-depth of the next frame in the unit of the cameras, at pixel centres; 0 = no surface."""
        if not np.isfinite(depth).all() or (depth < 0).any():
            raise ValueError("depth must be finite and not negative (0 = no surface); mask the others to 0.")
        self._check_size("the depth", *depth.shape)
        self._largest = max(self._largest, float(depth.max()))
        if self._depth_scale is None:
            np.save(self._next(DEPTH, ".npy", into=_WAITING), depth, allow_pickle=False)
        elif self._largest > self._depth_scale * (DEPTH_STEPS + 0.5):
            raise ValueError(
                f"the depth {self._largest:.6g} is more than {DEPTH_STEPS} steps of depth_scale "
                f"{self._depth_scale:.6g}; mask what is too far to 0, or take a larger step."
            )
        else:
            self._next(DEPTH, ".png").write_bytes(_depth_picture(depth, self._depth_scale))

    def add_mask(self, mask: UInt8[np.ndarray, "H W"]) -> None:
        """Mask of the next frame, 0..255."""
        self._check_size("the mask", *mask.shape)
        self._next(MASKS, ".png").write_bytes(encode_picture(mask))

    def finish(
        self,
        cameras: Cameras,
        captions: Sequence[str] = (),
        *,
        split: Split,
        source: str,
        licence: str,
        scale_kind: ScaleKind,
        name: str | None = None,
        caption_kind: CaptionKind = "none",
        masks: MaskKind | None = None,
        labels: Mapping[str, str] | None = None,
        times: tuple[float, ...] | None = None,
        seed: int | None = None,
        notes: tuple[str, ...] = (),
    ) -> ClipRecord:
        """Write cameras ``[F]``, captions (line breaks become spaces) and, last, the record, whose fields these are."""
        captions = [line for line in (" ".join(caption.split()) for caption in captions) if line]
        if bool(captions) != (caption_kind != "none"):
            raise ValueError(
                f"{len(captions)} captions do not go with caption_kind {caption_kind!r}; say where they come from."
            )
        if bool(self._counts[MASKS]) != (masks is not None):
            raise ValueError(f"{self._counts[MASKS]} masks do not go with masks={masks!r}; say what they mean.")
        frames = self._counts[FRAMES]
        odd = {part: count for part, count in self._counts.items() if count not in (0, frames)}
        if odd or len(cameras) != frames or not frames:
            raise ValueError(
                f"a clip has one of each per frame; got {frames} frames, {len(cameras)} cameras, {odd or ''}."
            )
        if self._size not in (None, (cameras.height, cameras.width)):
            raise ValueError(f"cameras are of {cameras.height}x{cameras.width} pixels, pictures of {self._size}.")
        if self._counts[DEPTH] and self._depth_scale is None:
            self._settle_depth()
        self._record = ClipRecord(
            name=name or self._folder.name,
            split=split,
            source=source,
            licence=licence,
            scale_kind=scale_kind,
            frames=frames,
            height=cameras.height,
            width=cameras.width,
            frames_kind="video" if self._video else "pictures",
            depth_scale=self._depth_scale if self._counts[DEPTH] else None,
            masks=masks,
            caption_kind=caption_kind,
            labels=labels or {},
            times=times,
            seed=seed,
            notes=notes,
        )
        write_cameras(self._staging / CAMERAS_FILE, _plain(cameras))
        (self._staging / CAPTIONS_FILE).write_text("".join(f"{line}\n" for line in captions), encoding="utf-8")
        (self._staging / RECORD_FILE).write_text(self._record.to_json(), encoding="utf-8")
        return self._record

    def _settle_depth(self) -> None:
        self._depth_scale = self._largest / DEPTH_STEPS if self._largest > 0 else 1.0
        waiting = self._staging / _WAITING
        (self._staging / DEPTH).mkdir()
        for path in sorted(waiting.iterdir()):
            picture = _depth_picture(np.load(path, allow_pickle=False), self._depth_scale)
            (self._staging / DEPTH / f"{path.stem}.png").write_bytes(picture)
            path.unlink()
        waiting.rmdir()

    def _next(self, part: str, suffix: str, *, into: str | None = None) -> Path:
        if self._record is not None:
            raise ValueError("the clip is finished; nothing can be added.")
        folder = self._staging / (into or part)
        folder.mkdir(exist_ok=True)
        self._counts[part] += 1
        return folder / f"frame{self._counts[part] - 1:05d}{suffix}"

    def _check_size(self, what: str, height: int, width: int) -> None:
        if self._size is None:
            self._size = (height, width)
        if (height, width) != self._size:
            raise ValueError(
                f"{what} is {height}x{width}, but what came before is {self._size[0]}x{self._size[1]}; "
                "a clip has one size."
            )


def _depth_picture(depth: Float32[np.ndarray, "H W"], scale: float) -> bytes:
    """16-bit PNG; what is above 0 stays above 0."""
    steps = (depth.astype(np.float64) / scale).round()
    return encode_picture(np.where(depth > 0, steps.clip(1, DEPTH_STEPS), 0).astype(np.uint16))


def _plain(cameras: Cameras) -> Cameras:
    return Cameras(
        cameras.extrinsics.detach().to("cpu", torch.float32),
        cameras.intrinsics.detach().to("cpu", torch.float32),
        cameras.height,
        cameras.width,
    )
