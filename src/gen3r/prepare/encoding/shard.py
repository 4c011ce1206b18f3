"""Encoded clips into a shard file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from gen3r.prepare.encoding.items import EncodedItem
from gen3r.train.latents.encoders import FrozenEncoders
from gen3r.train.latents.layout import MANIFEST_FILE, LatentSettings, shard_header
from gen3r.train.latents.shards import HALVES
from gen3r.whole_file import whole_file


class ShardWriter:
    """Writes shards of the items that some encoders made; what all clips share is encoded once, here.

    Args:
        encoders: those of the items.
        settings: of the set.
        networks: sha256 of the encoders by name.
        device: where they are.
    """

    def __init__(
        self, encoders: FrozenEncoders, settings: LatentSettings, networks: Mapping[str, str], device: torch.device
    ) -> None:
        self.settings, self.networks = settings, dict(networks)
        self.empty = None if encoders.text is None else encoders.text_rows([""])[0].bfloat16()
        self.shared = _shared(encoders, settings, device)

    def write(self, path: Path, made: Sequence[EncodedItem], failed: Mapping[str, str]) -> None:
        """Write a shard as a whole, as readable as its manifest; ``failed`` are reasons by key of items not in it."""
        header = shard_header(self.settings, self.networks, [one.item for one in made], failed)
        with whole_file(path) as temporary:
            save_file(self._tensors(made), temporary, header)
            temporary.chmod((path.parent / MANIFEST_FILE).stat().st_mode)  # safetensors makes private files

    def _tensors(self, made: Sequence[EncodedItem]) -> dict[str, Tensor]:
        if not made:
            return {}
        tensors = {name: torch.stack([one.tensors[name] for one in made]) for name in made[0].tensors}
        if self.empty is not None:
            rows = [self.empty, *(row for one in made for row in one.text)]
            ends = torch.tensor([0, *(len(row) for row in rows)]).cumsum(0)
            tensors |= {"text": torch.cat(rows), "text_ends": ends}
        return tensors | self.shared


def _shared(encoders: FrozenEncoders, settings: LatentSettings, device: torch.device) -> dict[str, Tensor]:
    """What a clip without any given frame is told: the same for all."""
    black = torch.zeros(1, settings.frames, 3, settings.height, settings.width, device=device)
    nothing = torch.zeros(1, settings.frames, dtype=torch.bool, device=device)
    halves = encoders.control(black, nothing, torch.Generator().manual_seed(0)).chunk(2, dim=-1)
    tensors = {f"control_nothing_{half}": value[0].half() for half, value in zip(HALVES, halves, strict=True)}
    image = encoders.image_features(black, nothing)
    if image is not None:
        tensors["image_nothing"] = image[0].half()
    return {name: value.cpu().contiguous() for name, value in tensors.items()}
