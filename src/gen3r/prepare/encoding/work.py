"""The unit of work that encodes one shard."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch

from gen3r.mistakes import raised_by_this_package
from gen3r.prepare.encoding.config import EncodeConfig
from gen3r.prepare.encoding.items import EncodedItem, ItemEncoder
from gen3r.prepare.encoding.networks import EncodingModel
from gen3r.prepare.encoding.plan import ItemKey, Scenes
from gen3r.prepare.encoding.shard import ShardWriter
from gen3r.train.latents.layout import LatentManifest

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
        manifest = LatentManifest.read(self.out)
        model = EncodingModel.open(config)
        for name, identity in model.networks.items():
            if manifest.networks.get(name) != identity:
                raise ValueError(f"expected the {name} that {self.out} was planned with, found another one here.")
        device = torch.device(config.device)
        encoders = model.load(device, getattr(torch, config.dtype))
        self.encoder = ItemEncoder(config, model.settings, encoders, device)
        self.writer = ShardWriter(encoders, model.settings, model.networks, device)
        self.scenes = Scenes(config)

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
                made.append(self.encoder.encode(self.scenes.clip(key), key))
            except ValueError as error:
                if not raised_by_this_package(error):
                    raise
                failed[text] = " ".join(str(error).split())
                logger.warning("%s is left out: %s", text, failed[text])
        self.writer.write(path, made, failed)
        return {"clips": len(made), "failed": failed}
