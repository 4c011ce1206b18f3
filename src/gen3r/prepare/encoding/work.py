"""The unit of work that encodes one shard."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from gen3r.mistakes import raised_by_this_package
from gen3r.prepare.encoding.config import EncodeConfig
from gen3r.prepare.encoding.items import EncodedItem, ItemEncoder
from gen3r.prepare.encoding.networks import EncodingModel
from gen3r.prepare.encoding.plan import ItemKey, Scenes
from gen3r.train.latents.encoders import FrozenEncoders
from gen3r.train.latents.layout import LatentManifest, LatentSettings, shard_header
from gen3r.train.latents.shards import HALVES
from gen3r.whole_file import whole_file

logger = logging.getLogger(__name__)


class EncodeShard:
    """Encodes the clips of a shard and writes it whole; a shard that is there is left alone.

    Args:
        settings: of an ``EncodeConfig`` whose manifest is written, as JSON.

    Raises:
        ValueError: if the networks found here are not those of the manifest.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        config = EncodeConfig.from_settings(settings)
        self.out = Path(config.out)
        self.manifest = LatentManifest.read(self.out)
        model = EncodingModel.open(config)
        for name, identity in model.networks.items():
            if self.manifest.networks.get(name) != identity:
                raise ValueError(f"expected the {name} that {self.out} was planned with, found another one here.")
        device = torch.device(config.device)
        self.encoders = model.load(device, getattr(torch, config.dtype))
        self.items = ItemEncoder(config, model.settings, self.encoders, device)
        self.scenes = Scenes(config)
        self.shared = _shared(self.encoders, model.settings, device)
        self.empty = [] if self.encoders.text is None else [self.encoders.text_rows([""])[0].bfloat16()]

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        """Encode the shard of ``item``, one of `plan_encoding`.

        Returns:
            ``clips`` encoded, and ``failed``: reasons by item of those that cannot be read.
        """
        path = self.out / item["key"]
        if path.is_file():
            return {"clips": 0, "failed": {}, "present": True}
        made: list[EncodedItem] = []
        failed: dict[str, str] = {}
        for text in item["items"]:
            key = ItemKey.parse(text)
            try:
                made.append(self.items.encode(self.scenes.clip(key), key))
            except ValueError as error:
                if not raised_by_this_package(error):
                    raise
                failed[text] = " ".join(str(error).split())
                logger.warning("%s is left out: %s", text, failed[text])
        header = shard_header(self.manifest.settings, self.manifest.networks, [one.item for one in made], failed)
        with whole_file(path) as temporary:
            save_file(self._tensors(made), temporary, header)
        return {"clips": len(made), "failed": failed}

    def _tensors(self, made: list[EncodedItem]) -> dict[str, Tensor]:
        if not made:
            return {}
        tensors = {name: torch.stack([one.tensors[name] for one in made]) for name in made[0].tensors}
        if self.encoders.text is not None:
            rows = [*self.empty, *(row for one in made for row in one.text)]
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
