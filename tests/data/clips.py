"""Small clips for the tests of the data package."""

from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image

from gen3r.cameras import Cameras
from gen3r.data.clip import Clip, Split
from gen3r.data.schema import ClipWriter


def random_clip(seed: int = 3, frames: int = 3, height: int = 12, width: int = 16) -> Clip:
    """Noise with valid cameras and a strip of sky."""
    generator = torch.Generator().manual_seed(seed)
    depth = torch.rand(frames, height, width, generator=generator) * 9 + 0.5
    depth[:, :3] = 0
    extrinsics = torch.eye(4).repeat(frames, 1, 1)
    extrinsics[:, :3, 3] = torch.randn(frames, 3, generator=generator)
    return Clip(
        rgb=torch.randint(0, 256, (frames, height, width, 3), generator=generator, dtype=torch.uint8),
        depth=depth,
        cameras=Cameras.from_fov(extrinsics, 1.0, height, width),
        caption=f"noise number {seed}",
        seed=seed,
    )


def write_video(path: Path, frames: np.ndarray) -> None:
    """H.264 with frames that refer to later ones, and a keyframe every five."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=12, options={"g": "5", "bf": "2", "crf": "10"})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def write_full(folder: Path, *, seed: int = 3, frames: int = 3, split: Split = "train", video: bool = False) -> None:
    """A clip with everything a clip may have: pictures of three types or a video, depth, masks, captions, labels."""
    clip = random_clip(seed, frames, 24, 32)
    with ClipWriter(folder) as writer:
        for index in range(frames):
            picture = folder.parent / f"picture-{index}{('.jpg', '.png', '.webp')[index % 3]}"
            Image.fromarray(clip.rgb[index].numpy()).save(picture)
            if not video:
                writer.add_picture(picture)
            picture.unlink()
            writer.add_depth(clip.depth[index].numpy())
            writer.add_mask(np.full((24, 32), 40 * index, dtype=np.uint8))
        if video:
            write_video(folder.parent / "film.mp4", clip.rgb.numpy())
            writer.add_video(folder.parent / "film.mp4")
            (folder.parent / "film.mp4").unlink()
        writer.finish(
            clip.cameras,
            ["noise", "coloured  noise\nin a frame"],
            split=split,
            source="tests",
            licence="CC0-1.0",
            scale_kind="unknown",
            caption_kind="given",
            masks="valid",
            labels={"category": "noise"},
            times=tuple(0.25 * index for index in range(frames)),
            notes=("made for tests",),
        )


def write_version_1(folder: Path) -> None:
    """A clip folder of the first version, of nothing but noise."""
    clip = random_clip(5)
    with ClipWriter(folder) as writer:
        for rgb, depth in zip(clip.rgb.numpy(), clip.depth.numpy(), strict=True):
            writer.add_picture(rgb)
            writer.add_depth(depth)
        record = writer.finish(clip.cameras, split="train", source="tests", licence="CC0-1.0", scale_kind="metric")
    (folder / "captions.txt").unlink()
    (folder / "caption.txt").write_text("an old caption\n")
    (folder / "scene.json").write_text(
        f"""{{"format": "gen3r-clip", "version": 1, "split": "train", "seed": 5, "source": "tests",
        "licence": "CC0-1.0", "scale_kind": "metric", "frames": 3, "height": 12, "width": 16,
        "depth_scale": {record.depth_scale!r}}}"""
    )
