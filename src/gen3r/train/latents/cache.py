"""Clips of the small presets as latents, in one file that is held in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.conditioning.cameras import relative_cameras, scene_scale
from gen3r.conditioning.condition import Conditioner, ConditioningConfig
from gen3r.data.captions import swap_sides
from gen3r.latents.codecs import DEFAULT_CODEC, CodecName, GeometryCodec
from gen3r.latents.codecs.registry import CODECS
from gen3r.latents.joint import left_only, split
from gen3r.models.posterior import Posterior
from gen3r.train import augment
from gen3r.train.latents.store import LatentStore, StoredConditions
from gen3r.train.latents.truth import truth_of
from gen3r.train.latents.views import FIXED_CHOICES, view_choices
from gen3r.train.losses.following import Sightings, sightings
from gen3r.train.rng import generator
from gen3r.train.sources import Clips, ClipSource
from gen3r.whole_file import whole_file

NO_DEPTH = (
    "these clips have no depth, by which their cameras are scaled; encode them with gen3r data encode, where VGGT "
    "measures the scale, and train on the folder that it writes: --data LATENTS."
)


_ON_HOST = ("extrinsics", "intrinsics", "clip")
"""What is small, and looked at number by number."""


class LatentCache(LatentStore):
    """Latents, control latents and cameras of clips, in memory.

    Every clip has both posteriors [n,16,f,h,w] (float16; that of geometry if the codec has one), cameras re-based and
    in units of the first view's mean depth, a caption, and for several choices of views (``given`` [n,k,F]) the control
    latents [n,k,16,f,h,w] of one half.
    Choices are: the first frame, the ends, all frames, none, then random subsets.
    """

    def __init__(self, path: Path, device: torch.device | str = "cpu") -> None:
        """Read a file written by ``encode_clips``; latents are held on ``device``, cameras in host memory."""
        with safe_open(str(path), "pt") as file:
            names = file.keys()
            self.tensors = {name: file.get_tensor(name).to("cpu" if name in _ON_HOST else device) for name in names}
            metadata = file.metadata()
        self.captions: list[str] = json.loads(metadata["captions"])
        self.height, self.width = int(metadata["height"]), int(metadata["width"])
        self.codec: CodecName = metadata.get("codec", DEFAULT_CODEC)

    def __len__(self) -> int:
        return len(self.captions)

    @property
    def clips(self) -> list[int] | None:
        """Number in its source of the clip that each item is of; None in files that do not say so."""
        return self.tensors["clip"].tolist() if "clip" in self.tensors else None

    @property
    def subsets(self) -> int:
        """Random choices of views per clip."""
        return self.tensors["given"].shape[1] - FIXED_CHOICES

    @property
    def prompts(self) -> list[tuple[str]]:
        """One caption per item."""
        return [(caption,) for caption in self.captions]

    def sightings(self, items: Sequence[int]) -> Sightings | None:
        """See `LatentStore`."""
        if "seen" not in self.tensors:
            return None
        index = torch.as_tensor(items, device=self.tensors["seen"].device)
        return Sightings(position=self.tensors["position"][index].float(), seen=self.tensors["seen"][index])

    def posteriors(self, items: Sequence[int]) -> tuple[Posterior, Posterior | None]:
        """Copies of these items' posteriors, float32."""
        index = torch.as_tensor(items, device=self.tensors["appearance_mean"].device)
        appearance, *geometry = (
            Posterior(
                mean=self.tensors[f"{half}_mean"][index].float(), logvar=self.tensors[f"{half}_logvar"][index].float()
            )
            for half in ("appearance", "geometry")[: CODECS[self.codec].halves]
        )
        return appearance, geometry[0] if geometry else None

    def conditions(
        self, items: Sequence[int], choices: Int[Tensor, " n"], rng: torch.Generator | None = None
    ) -> StoredConditions:
        """Copies of what these items were told; the geometry half of the control latents is zeros."""
        stored = self.tensors
        host = torch.as_tensor(items)
        index, choices = host.to(stored["control"].device), choices.to(stored["control"].device)
        return StoredConditions(
            control=left_only(stored["control"][index, choices].float()),
            given=stored["given"][index, choices],
            cameras=Cameras(stored["extrinsics"][host], stored["intrinsics"][host], self.height, self.width),
            image=None,
        )


@torch.no_grad()
def encode_clips(
    source: ClipSource,
    conditioner: Conditioner,
    geometry: GeometryCodec,
    path: Path,
    *,
    frames: int,
    subsets: int = 2,
    mirrored: bool = True,
    batch_size: int = 8,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
    followed: tuple[int, int] | None = None,
    made: Mapping[str, Any] | None = None,
) -> None:
    """Encode every clip (and its mirror image) and write the cache atomically.

    Args:
        source: clips; longer ones are cut to ``frames``.
        conditioner: makes the control latents, as sampling does.
        geometry: makes geometry latents, of true geometry where it needs that.
        path: the file to write.
        frames: frames per clip, 4k+1.
        subsets: random choices of views per clip, beside first, ends, all and none.
        mirrored: add every clip mirrored, with left and right swapped in its caption.
        batch_size: clips encoded at a time.
        seed: of the random choices.
        device: where the encoders run.
        progress: called with (clips done, clips in all) after each batch.
        followed: rows and columns of the transformer's tokens in one half, to store where they are seen in the first
            and last frame as well; needs depth.
        made: JSON that says of what clips and by which networks these are, see `made_of`.
    """
    parts: dict[str, list[Tensor]] = {}
    captions: list[str] = []
    total = len(source) * (2 if mirrored else 1)
    for start in range(0, len(source), batch_size):
        clips = augment.select_frames(
            source.get(range(start, min(start + batch_size, len(source)))), torch.arange(frames)
        )
        for index, version in enumerate([clips, augment.mirror(clips)] if mirrored else [clips]):
            rng = generator(seed, "views", start, index)
            encoded = _encode(version, conditioner, geometry, subsets, rng, device)
            encoded["clip"] = torch.arange(start, start + len(version.captions))
            if followed is not None:
                encoded |= _sightings(version, followed)
            for name, value in encoded.items():
                parts.setdefault(name, []).append(value)
            captions += [swap_sides(caption) for caption in version.captions] if index else list(version.captions)
        if progress is not None:
            progress(len(captions), total)
    size = source.get([0]).rgb.shape[2:4]
    metadata = {
        "captions": json.dumps(captions),
        "height": str(size[0]),
        "width": str(size[1]),
        "codec": geometry.name,
    }
    if made is not None:
        metadata["made"] = json.dumps(made)
    with whole_file(path) as temporary:
        save_file({name: torch.cat(values) for name, values in parts.items()}, temporary, metadata)


def made_of(path: Path) -> dict[str, Any] | None:
    """What a file of ``encode_clips`` says of how it was made; None if it says nothing."""
    with safe_open(str(path), "pt") as file:
        metadata = file.metadata()
    return json.loads(metadata["made"]) if "made" in metadata else None


def _encode(
    clips: Clips,
    conditioner: Conditioner,
    geometry: GeometryCodec,
    subsets: int,
    rng: torch.Generator,
    device: torch.device | str,
) -> dict[str, Tensor]:
    images = augment.video(clips).to(device)
    count, frames = images.shape[:2]
    appearance = conditioner.appearance.encode(images)
    given = view_choices(count, frames, subsets, rng).to(device)
    controls = [_control(images, views, appearance, conditioner) for views in given.unbind(1)]
    cameras = Cameras(clips.extrinsics, clips.intrinsics, images.shape[-2], images.shape[-1])
    relative = relative_cameras(cameras, scale_of(clips, conditioner.config))
    halves = {
        "appearance_mean": appearance.mean,
        "appearance_logvar": appearance.logvar,
        "control": torch.stack(controls, dim=1),
    }
    if geometry.halves == 2:
        shape = geometry.encode(images, truth_of(clips, geometry, device))
        halves |= {"geometry_mean": shape.mean, "geometry_logvar": shape.logvar}
    exact = {"given": given, "extrinsics": relative.extrinsics.float(), "intrinsics": relative.intrinsics.float()}
    return {name: value.half().cpu() for name, value in halves.items()} | {
        name: value.cpu().contiguous() for name, value in exact.items()
    }


def _sightings(clips: Clips, grid: tuple[int, int]) -> dict[str, Tensor]:
    if clips.depth is None:
        raise ValueError("expected clips with depth, by which attention follows the camera; set following to 0.")
    unit = scene_scale(clips.depth[:, 0])[:, None]
    cameras = Cameras(clips.extrinsics, clips.intrinsics, *clips.rgb.shape[2:4]).scaled(1 / unit)
    found = sightings(clips.depth / unit[:, :, None, None], cameras, grid)
    return {"position": found.position.half(), "seen": found.seen}


def scale_of(clips: Clips, config: ConditioningConfig) -> Float[Tensor, " n"] | None:
    """The unit of each clip's cameras; None where ``config`` leaves cameras as they are.

    Raises:
        ValueError: for clips without depth where it is needed.
    """
    if not config.normalize_scale:
        return None
    if clips.depth is None:
        raise ValueError(NO_DEPTH)
    return scene_scale(clips.depth[:, 0])


def _control(
    images: Float[Tensor, "n F 3 H W"], given: Bool[Tensor, "n F"], appearance: Posterior, conditioner: Conditioner
) -> Float[Tensor, "n C f h w"]:
    """Appearance half of the control latents; what is known without encoding again is taken."""
    drawn = conditioner.config.sample_control
    if given.all() and not drawn:
        return appearance.mode()
    if not given.any() and not drawn:
        images, given = images[:1], given[:1]
    latents = split(conditioner.control(images, given)[:, : appearance.mean.shape[1]])[0]
    return latents.expand(len(appearance.mean), -1, -1, -1, -1)
