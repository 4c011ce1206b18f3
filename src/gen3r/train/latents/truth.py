"""True geometry of training clips, for codecs that encode it."""

from __future__ import annotations

import torch

from gen3r.cameras.cameras import Cameras
from gen3r.latents.codecs import ClipGeometry, GeometryCodec
from gen3r.train.sources import Clips

NO_TRUTH = (
    "these clips have no depth, and this codec encodes true depth and cameras; train on clips that have both, or with "
    "a codec that reads images alone (vggt-adapter, none)."
)


def truth_of(clips: Clips, codec: GeometryCodec, device: torch.device | str = "cpu") -> ClipGeometry | None:
    """Depth and cameras of clips; None for codecs that do not read them.

    Raises:
        ValueError: for clips without depth where it is needed.
    """
    if not codec.needs_truth:
        return None
    if clips.depth is None:
        raise ValueError(NO_TRUTH)
    cameras = Cameras(clips.extrinsics, clips.intrinsics, *clips.rgb.shape[2:4])
    return ClipGeometry(depth=clips.depth.to(device), cameras=cameras.to(device))
