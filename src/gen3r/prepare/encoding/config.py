"""What is encoded, by which networks, and how."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gen3r.data.clip import Split
from gen3r.data.sampling import ClipSampler

DType = Literal["float32", "bfloat16"]


@dataclass(frozen=True, kw_only=True)
class EncodeConfig:
    """One set of latent shards.

    Raises:
        ValueError: on construction, for numbers that make no clips or shards.
    """

    datasets: tuple[str, ...]
    """Dataset folders."""
    out: str
    """Folder of the shards."""
    model: str
    """Model whose encoders are used: a name, a repository or a folder."""
    networks: tuple[str, ...] = ()
    """Runs or folders with a vggt, vae or geometry_adapter to use in place of the model's; the first that has one."""
    split: Split | None = "train"
    """Clips of this split alone; None: of all."""
    frames: int | None = None
    """Frames per clip (4k+1); None: the model's."""
    size: tuple[int, int] | None = None
    """Image rows and columns; None: the model's."""
    strides: tuple[int, int] = (1, 2)
    """See ``ClipSampler``."""
    windows: int = 1
    """Clips drawn from every scene."""
    mirrored: bool = False
    """Encode every clip mirrored as well."""
    subsets: int = 0
    """Random choices of views per clip, beside first, ends, all and none."""
    seed: int = 0
    """Of frames, views and wordings."""
    clean_prefixes: bool = True
    """Reword what captions begin with, see ``gen3r.data.captions.clean_prefix``; drawn once for every caption."""
    text: bool = True
    """Store text features; without them a text encoder has to be trained along."""
    clips_per_shard: int = 32
    """Clips in a shard."""
    control_geometry: Literal["zeros", "encoded"] | None = None
    """See ``ConditioningConfig``, as the next two; None: as the model."""
    sample_control: bool | None = None
    """Control latents are samples."""
    normalize_scale: bool | None = None
    """Cameras are in units of the first view's mean depth."""
    device: str = "cpu"
    """Where the encoders run."""
    dtype: DType = "float32"
    """Type of the encoders but geometry, which stays float32."""

    def __post_init__(self) -> None:
        if not self.datasets:
            raise ValueError("expected at least one dataset to encode, got none.")
        for name in ("windows", "clips_per_shard"):
            if getattr(self, name) < 1:
                raise ValueError(f"expected {name} to be at least 1, got {getattr(self, name)}.")
        if self.subsets < 0:
            raise ValueError(f"expected subsets to be 0 or more, got {self.subsets}.")
        ClipSampler(frames=self.frames or 1, strides=self.strides)

    def settings(self) -> dict[str, Any]:
        """As JSON, for workers."""
        return dataclasses.asdict(self)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> EncodeConfig:
        """Back from JSON, where tuples became lists."""
        values: dict[str, Any] = dict(settings)
        lists: dict[str, Any] = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return cls(**values | lists)

    def made(self) -> dict[str, Any]:
        """What a second call must agree in, besides networks and sizes, to go on with a folder."""
        names = ("model", "split", "strides", "windows", "mirrored", "seed", "clean_prefixes", "clips_per_shard")
        values = {name: getattr(self, name) for name in names}
        return values | {"strides": list(self.strides)}
