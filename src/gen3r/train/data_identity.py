"""What tells the data of one run from that of another: JSON, kept in checkpoints and in files of encoded clips."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from functools import singledispatch
from typing import Any

from gen3r.train.encoded import EncodedClips
from gen3r.train.sources import GeneratedClips, PackedClips, StockClips
from gen3r.train.stored import MixedClips, StoredClips


@singledispatch
def data_identity(data: Any) -> dict[str, Any]:
    """Which clips these are and how they are cut and drawn; where they lie does not matter.

    Raises:
        TypeError: for data of an unknown kind.
    """
    raise TypeError(f"expected clips or encoded clips, got {type(data).__name__}.")


@data_identity.register
def _generated(data: GeneratedClips) -> dict[str, Any]:
    size = [data.frames, data.height, data.width]
    return {"kind": "generated", "clips": len(data), "first seed": data.first_seed, "size": size}


@data_identity.register
def _stock(data: StockClips) -> dict[str, Any]:
    # how many there was time for, and from which seed on, is another thing in every sitting
    return {"kind": "stock", "size": list(data.arrays["rgb"].shape[1:4])}


@data_identity.register
def _packed(data: PackedClips) -> dict[str, Any]:
    names = hashlib.sha256(data.arrays["extrinsics"].cpu().contiguous().numpy().tobytes())
    size = list(data.arrays["rgb"].shape[1:4])
    return {"kind": "packs", "clips": len(data), "cameras": names.hexdigest(), "size": size}


@data_identity.register(StoredClips)
@data_identity.register(MixedClips)
def _stored(data: StoredClips | MixedClips) -> dict[str, Any]:
    names = [f"{record.source}/{record.name}" for scenes in data.datasets for record in scenes.records]
    return {
        "kind": "datasets",
        "clips": len(names),
        "names": _digest(names),
        "weights": list(data.weights),
        "frames": dataclasses.asdict(data.form.sampler) | {"strides": list(data.form.sampler.strides)},
        "size": [data.form.height, data.form.width],
    }


@data_identity.register
def _encoded(data: EncodedClips) -> dict[str, Any]:
    items = [data.latents.items[number] for group in data.groups for number in group]
    return {
        "kind": "encoded clips",
        "clips": len(items),
        "names": _digest(json.dumps(dataclasses.asdict(item)) for item in items),
        "weights": list(data.weights),
        "settings": dataclasses.asdict(data.latents.settings),
    }


def _digest(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()
