"""One scene to generate: what the user knows, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.cameras import Cameras
from gen3r.conditioning.views import official_view_frames, place_views
from gen3r.latents.grid import LatentGrid
from gen3r.scene.crop import cover_crop

FREE = "free"
FARTHEST = 1e9
"""Largest number in a camera translation: squares of more leave float32."""
Views = Float[Tensor, "V 3 H W"] | Sequence[Float[Tensor, "3 _ _"]]


@dataclass(frozen=True, kw_only=True)
class SceneRequest:
    """What is known of one scene; everything may be left out."""

    views: Views | None = None
    """Pictures in [0, 1], of any size: they are resized to cover the model's size and cropped at the centre."""
    at: Sequence[int] | None = None
    """Frame index of each view. Left out: one view is the first frame, two are the ends, F are all."""
    prompt: str = ""
    """Text; empty means none."""
    cameras: Cameras | str | None = None
    """``[F]`` cameras (of the views' size before cropping), the name of a trajectory, or None / "free"."""
    camera_scale: float | None = None
    """Mean depth of the first view in the unit of ``cameras``. None estimates it (see ``pipeline.cameras``);
    1 feeds the numbers as they are."""
    generator: torch.Generator | int | None = None
    """Source of this scene's noise: a CPU generator, or a seed. None draws a seed."""


@dataclass(frozen=True, kw_only=True)
class PlacedViews:
    """The views of one request on the model's grid."""

    video: Float[Tensor, "F 3 H W"]
    """Views at their frames, zeros elsewhere."""
    given: Tensor
    """Bool [F], where they are."""
    at: tuple[int, ...]
    """Frame indices in increasing order."""

    @property
    def pictures(self) -> Float[Tensor, "V 3 H W"]:
        """The views in the order of their frames."""
        return self.video[list(self.at)]


def place_request(request: SceneRequest, grid: LatentGrid) -> PlacedViews:
    """Crop the views to the grid and put them at their frames.

    Raises:
        ValueError: for a wrong number of views or indices, pictures that are not RGB in [0, 1], or bad cameras.
    """
    pictures = [] if request.views is None else list(request.views)
    at = official_view_frames(len(pictures), grid.frames) if request.at is None else list(request.at)
    video, given = place_views(crop_views(pictures, grid.size), at, grid.frames)
    if isinstance(request.cameras, Cameras):
        request.cameras.validate()
        reach = float(request.cameras.extrinsics[..., :3, 3].abs().max())
        if reach > FARTHEST:
            raise ValueError(
                f"camera translations must stay within {FARTHEST:g} units, got {reach:g}; check their unit."
            )
        if tuple(request.cameras.shape) != (grid.frames,):
            raise ValueError(
                f"need one camera per frame: {grid.frames}, got {tuple(request.cameras.shape)}; "
                "resample the path or change the number of frames."
            )
    if request.camera_scale is not None and not request.camera_scale > 0:
        raise ValueError(f"camera_scale must be a positive depth, got {request.camera_scale}.")
    return PlacedViews(video=video, given=given, at=tuple(sorted(at)))


def crop_views(pictures: Sequence[Tensor], size: tuple[int, int]) -> Float[Tensor, "V 3 H W"]:
    """Pictures of any size, resized to cover ``size`` and cropped at the centre.

    Raises:
        ValueError: for pictures that are empty or not RGB in [0, 1].
    """
    for picture in pictures:
        if picture.ndim != 3 or picture.shape[0] != 3 or not picture.numel() or not picture.is_floating_point():
            raise ValueError(
                f"views must be float RGB pictures [3, H, W] in [0, 1], got {picture.dtype} {tuple(picture.shape)}."
            )
        if not bool(torch.isfinite(picture).all()) or picture.min() < 0 or picture.max() > 1:
            raise ValueError("views must be finite and in [0, 1]; divide 8-bit pictures by 255.")
    if not pictures:
        return torch.zeros(0, 3, *size)
    return torch.stack(
        [cover_crop(picture.shape[1], picture.shape[2], *size).apply(picture.float()) for picture in pictures]
    )


def noise_generator(source: torch.Generator | int | None) -> tuple[torch.Generator, int | None]:
    """A CPU generator and the seed to note down: None for a generator that has been drawn from since it was seeded.

    Raises:
        ValueError: for a generator of another device, or a seed outside 0..2^63-1.
    """
    if isinstance(source, torch.Generator):
        if source.device.type != "cpu":
            raise ValueError(f"expected a CPU generator, which gives every device the same noise; got {source.device}.")
        fresh = torch.Generator().manual_seed(source.initial_seed())
        return source, source.initial_seed() if torch.equal(fresh.get_state(), source.get_state()) else None
    generator = torch.Generator()
    seed = generator.seed() % 2**63 if source is None else int(source)
    if not 0 <= seed < 2**63:
        raise ValueError(f"expected a seed from 0 to 2^63 - 1, got {seed}.")
    generator.manual_seed(seed)
    return generator, seed
