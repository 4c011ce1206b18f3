"""Which clip goes into which shard, decided before anything is encoded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gen3r.data.dataset import ClipDataset
from gen3r.data.schema.stored import StoredClip
from gen3r.mistakes import raised_by_this_package
from gen3r.prepare.encoding.config import EncodeConfig
from gen3r.prepare.encoding.networks import EncodingModel
from gen3r.train.latents.layout import MANIFEST_FILE, LatentManifest

CAPTIONS = "captions"
"""In the manifest's account of how it was made: a hash of each shard's captions."""


@dataclass(frozen=True, kw_only=True)
class ItemKey:
    """One item to encode; as text ``dataset/clip@window``, with ``~`` at the end if mirrored."""

    dataset: int
    """Number of the dataset."""
    clip: str
    """Name of the clip in it."""
    window: int
    """Number of the draw of frames."""
    mirrored: bool
    """Left and right swapped."""

    def __str__(self) -> str:
        return f"{self.dataset}/{self.clip}@{self.window}{'~' if self.mirrored else ''}"

    @classmethod
    def parse(cls, text: str) -> ItemKey:
        """From its text."""
        dataset, _, rest = text.partition("/")
        clip, _, tail = rest.rpartition("@")
        return cls(dataset=int(dataset), clip=clip, window=int(tail.rstrip("~")), mirrored=tail.endswith("~"))


class Scenes:
    """The clips of several datasets by the number of the dataset and their name."""

    def __init__(self, config: EncodeConfig) -> None:
        self.datasets = [ClipDataset.open(path, split=config.split) for path in config.datasets]
        self._numbers = [{name: number for number, name in enumerate(data.names)} for data in self.datasets]

    def names(self) -> list[tuple[int, str]]:
        """All of them, in order."""
        return [(number, name) for number, data in enumerate(self.datasets) for name in data.names]

    def clip(self, key: ItemKey) -> StoredClip:
        """The clip that an item is made of."""
        return self.datasets[key.dataset][self._numbers[key.dataset][key.clip]]

    def captions(self, key: ItemKey) -> tuple[str, ...] | None:
        """Those of its clip; None if they cannot be read."""
        try:
            return self.clip(key).captions
        except ValueError as error:
            if not raised_by_this_package(error):
                raise
            return None


def list_items(settings: dict[str, Any]) -> list[dict[str, Any]]:
    """`plan_encoding` for settings as JSON."""
    return plan_encoding(EncodeConfig.from_settings(settings))


def plan_encoding(config: EncodeConfig) -> list[dict[str, Any]]:
    """Write the manifest, or check that it is the same.

    Returns:
        Payloads for `EncodeShard`, one per shard that is not there yet.

    Raises:
        ValueError: for unusable datasets, models or sizes, for a folder with another set of latents, or files, and if
            captions have changed since a shard was encoded.
    """
    out = Path(config.out)
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; choose a new folder for the latents.")
    model = EncodingModel.open(config)
    scenes = Scenes(config)
    keys = [
        ItemKey(dataset=dataset, clip=name, window=window, mirrored=mirrored)
        for dataset, name in scenes.names()
        for window in range(config.windows)
        for mirrored in ((False, True) if config.mirrored else (False,))
    ]
    step = config.clips_per_shard
    shards = [keys[start : start + step] for start in range(0, len(keys), step)]
    words = [_digest([scenes.captions(key) for key in shard]) for shard in shards]
    manifest = LatentManifest(
        settings=model.settings,
        networks=model.networks,
        made=config.made() | {CAPTIONS: words},
        shards=tuple(tuple(map(str, shard)) for shard in shards),
    )
    if (out / MANIFEST_FILE).is_file():
        present = LatentManifest.read(out)
        _check_same(present, manifest, out)
        if present.made.get(CAPTIONS) != words:
            manifest.write(out)
    elif out.is_dir() and any(out.glob("*.safetensors")):
        raise ValueError(f"{out} holds other files and no {MANIFEST_FILE}; choose a new folder for the latents.")
    else:
        manifest.write(out)
    return [
        {"key": name, "shard": number, "items": list(manifest.shards[number])}
        for number, name in enumerate(manifest.files)
        if not (out / name).is_file()
    ]


def encoded_shards(out: Path) -> tuple[int, int]:
    """Shards that are there, and shards in all."""
    files = LatentManifest.read(out).files
    return sum((out / name).is_file() for name in files), len(files)


def shards_of(out: Path, keys: Iterable[str]) -> set[str]:
    """Names of the shards that are to hold these items."""
    manifest, wanted = LatentManifest.read(out), set(keys)
    return {name for name, held in zip(manifest.files, manifest.shards, strict=True) if wanted.intersection(held)}


def _check_same(present: LatentManifest, wanted: LatentManifest, out: Path) -> None:
    again = "choose another folder, training reads several"
    for name, (expected, got) in present.settings.differences(wanted.settings).items():
        raise ValueError(f"{out} holds latents with {name} {expected!r}, got {got!r}; {again}.")
    for name in sorted({*present.networks, *wanted.networks}):
        if present.networks.get(name) != wanted.networks.get(name):
            raise ValueError(f"{out} holds latents of another {name}; {again}.")
    for name in wanted.made.keys() - {CAPTIONS}:
        if present.made.get(name) != wanted.made[name]:
            raise ValueError(
                f"{out} holds latents with {name} {present.made.get(name)!r}, got {wanted.made[name]!r}; {again}."
            )
    if present.shards != wanted.shards:
        raise ValueError(
            f"{out} holds latents of other clips ({sum(map(len, present.shards))} of them, now "
            f"{sum(map(len, wanted.shards))}); {again}."
        )
    known = present.made.get(CAPTIONS, wanted.made[CAPTIONS])  # versions before this one did not note them
    changed = [
        name
        for name, before, now in zip(wanted.files, known, wanted.made[CAPTIONS], strict=True)
        if before != now and (out / name).is_file()
    ]
    if changed:
        raise ValueError(
            f"captions have changed since {len(changed)} shards of {out} were encoded, such as {changed[0]}; delete "
            "these shards and run it again, or choose another folder."
        )


def _digest(content: Any) -> str:
    """16 hexadecimal digits of JSON-able content."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
