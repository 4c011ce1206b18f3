"""No geometry in the latent: appearance alone is generated, and VGGT reads geometry in the frames afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3r.latents.codecs.base import VGGT_FOLDER, ClipGeometry, CodecName, GeometryCodec
from gen3r.models.posterior import Posterior
from gen3r.models.vggt import VGGT, VGGTOutput


class TwoStageCodec(GeometryCodec):
    """What the paper calls two-stage: a video model, then VGGT on its frames."""

    name: CodecName = "none"
    halves: ClassVar[int] = 1

    def __init__(self, vggt: VGGT) -> None:
        super().__init__(vggt)

    def encode(self, images: Float[Tensor, "B F 3 H W"], truth: ClipGeometry | None = None) -> Posterior:
        """Always ``ValueError``: there is nothing to encode."""
        raise ValueError("a model without geometry in its latents has none to encode; check the codec's halves first.")

    def decode(
        self,
        latents: Float[Tensor, "B z f h w"] | None,
        grid: tuple[int, int] | None = None,
        image_size: tuple[int, int] | None = None,
        frames_chunk: int | None = 8,
        results_device: torch.device | None = None,
        images: Float[Tensor, "B F 3 H W"] | None = None,
    ) -> VGGTOutput:
        """What VGGT sees in the images; see ``GeometryCodec``.

        Raises:
            ValueError: without images.
        """
        if images is None:
            raise ValueError("expected the generated frames to read geometry in, got none.")
        home = results_device or images.device
        device = next(self.vggt.parameters()).device
        return self.vggt(images.to(device), frames_chunk).to(home)

    def encoding(self) -> Mapping[str, Sequence[nn.Module]]:
        """Nothing."""
        return {}

    def decoding(self) -> Mapping[str, Sequence[nn.Module]]:
        """VGGT."""
        return {VGGT_FOLDER: (self.vggt,)}
