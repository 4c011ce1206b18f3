"""Latent shards on disk: what their headers and the manifest say.

::

    FOLDER/
      latents.json                     manifest: settings, networks, and which clips every shard is to hold
      latents-00000.safetensors ...    shards, each with the same settings and networks in its header

The manifest is written first, shards appear whole: a set is complete when every shard of its manifest is there.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gen3r.conditioning.condition import ConditioningConfig
from gen3r.data.clip import Split
from gen3r.hub.files import write_json
from gen3r.hub.folder import config_from_dict
from gen3r.latents.codecs import DEFAULT_CODEC, CodecName

FORMAT = "gen3r-latents"
VERSION = 1
"""Of this layout; other versions are refused."""
MANIFEST_FILE = "latents.json"
AGAIN = "encode the dataset again into a new folder with gen3r data encode"


@dataclass(frozen=True, kw_only=True)
class LatentSettings:
    """What all shards of a set have in common, besides the networks."""

    frames: int
    """Frames per clip (4k+1)."""
    height: int
    """Image rows in pixels."""
    width: int
    """Image columns in pixels."""
    subsets: int
    """Random choices of views per item, beside first, ends, all and none."""
    control_geometry: str
    """See ``ConditioningConfig``, as the next three."""
    sample_control: bool
    """Control latents were sampled."""
    image_pixels: str | None
    """How pixels were prepared for the image encoder; None without one."""
    normalize_scale: bool
    """Camera translations are in units of the scene's scale."""
    dtype: str
    """Type that the encoders but geometry computed in, such as "bfloat16"."""
    codec: CodecName = DEFAULT_CODEC
    """How geometry was coded."""

    def differences(self, other: LatentSettings) -> dict[str, tuple[Any, Any]]:
        """Fields that are not equal, here and there."""
        mine, theirs = dataclasses.asdict(self), dataclasses.asdict(other)
        return {name: (mine[name], theirs[name]) for name in mine if mine[name] != theirs[name]}

    def check_conditioning(self, config: ConditioningConfig, where: str) -> None:
        """Refuse latents whose conditions are made otherwise than ``config`` says.

        Raises:
            ValueError: naming the first setting that differs.
        """
        for name in ("control_geometry", "sample_control", "normalize_scale", "image_pixels"):
            expected, got = getattr(config, name), getattr(self, name)
            if got != expected and not (name == "image_pixels" and got is None):
                raise ValueError(f"{where}: expected latents made with {name} {expected!r}, got {got!r}; {AGAIN}.")


@dataclass(frozen=True, kw_only=True)
class LatentItem:
    """One encoded clip."""

    clip: str
    """Name of the scene in its dataset."""
    source: str
    """Dataset or generator that it comes from."""
    split: Split
    """What it may be used for."""
    frames: tuple[int, ...]
    """Frames of the scene."""
    mirrored: bool
    """Left and right are swapped."""
    captions: tuple[str, ...]
    """Whose features are stored, in this order; mirrored ones are swapped too."""

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> LatentItem:
        """From JSON; TypeError for missing or unknown fields."""
        lists: dict[str, Any] = {name: tuple(values[name]) for name in ("frames", "captions")}
        return cls(**values | lists)


@dataclass(frozen=True, kw_only=True)
class LatentManifest:
    """What latents.json says."""

    settings: LatentSettings
    """Of every shard."""
    networks: Mapping[str, str]
    """sha256 of every network that made them, by its name in a model folder."""
    made: Mapping[str, Any]
    """How clips were drawn from the dataset: for people, and to go on the same way."""
    shards: tuple[tuple[str, ...], ...]
    """For every shard the keys of what it is to hold, see ``prepare.encoding``."""

    @property
    def files(self) -> list[str]:
        """Names of the shards."""
        return [shard_file(number) for number in range(len(self.shards))]

    def write(self, folder: Path) -> None:
        """Write latents.json as a whole."""
        values = {name: _plain(getattr(self, name)) for name in ("settings", "networks", "made", "shards")}
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / MANIFEST_FILE, {"format": FORMAT, "version": VERSION} | values)

    @classmethod
    def read(cls, folder: Path) -> LatentManifest:
        """Read latents.json.

        Raises:
            ValueError: for no such file, another format or version, or fields that are not understood.
        """
        path = folder / MANIFEST_FILE
        if not path.is_file():
            raise ValueError(
                f"{folder} holds no encoded clips: it has no {MANIFEST_FILE}; make some with gen3r data encode."
            )
        try:
            content: Any = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} is not valid JSON: {error}; {AGAIN}.") from error
        check_format(content if isinstance(content, dict) else {}, path)
        try:
            shards = tuple(tuple(map(str, keys)) for keys in content["shards"])
            networks, made = dict(content["networks"]), dict(content["made"])
            settings = content["settings"]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} lacks or misstates {error}; {AGAIN}.") from error
        return cls(settings=read_settings(settings, path), networks=networks, made=made, shards=shards)


def shard_file(number: int) -> str:
    """Name of a shard."""
    return f"latents-{number:05d}.safetensors"


def shard_header(
    settings: LatentSettings, networks: Mapping[str, str], items: Sequence[LatentItem], failed: Mapping[str, str]
) -> dict[str, str]:
    """Metadata of a shard file; ``failed`` are reasons by key of what could not be encoded."""
    return {
        "format": FORMAT,
        "version": str(VERSION),
        "settings": json.dumps(dataclasses.asdict(settings)),
        "networks": json.dumps(dict(networks)),
        "items": json.dumps([dataclasses.asdict(item) for item in items]),
        "failed": json.dumps(dict(failed)),
    }


def read_header(
    metadata: Mapping[str, str] | None, path: Path
) -> tuple[LatentSettings, dict[str, str], list[LatentItem]]:
    """Settings, networks and items of a shard.

    Raises:
        ValueError: for another format or version, or a header that is not understood.
    """
    values = dict(metadata or {})
    check_format(values, path)
    try:
        settings, networks, items = (json.loads(values[name]) for name in ("settings", "networks", "items"))
        return (
            read_settings(settings, path),
            networks,
            [config_from_dict(LatentItem, item, str(path)) for item in items],
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} lacks or misstates {error}; {AGAIN}.") from error


def read_settings(values: dict[str, Any], path: Path) -> LatentSettings:
    """Settings from JSON; ValueError naming fields that do not fit."""
    return config_from_dict(LatentSettings, values, str(path))


def check_format(values: Mapping[str, Any], path: Path) -> None:
    """Refuse files of another format or version with a ValueError."""
    if values.get("format") != FORMAT:
        raise ValueError(f"{path} holds no encoded clips: expected the format {FORMAT}, got {values.get('format')!r}.")
    if str(values.get("version")) != str(VERSION):
        raise ValueError(f"{path} has version {values.get('version')}; this code reads {VERSION}, {AGAIN}.")


def _plain(value: Any) -> Any:
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value
