"""Which clips are captioned, and by what."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

DEFAULT_MODEL = "Qwen/Qwen2.5-VL-7B-Instruct"
CaptionSource = Literal["model", "labels"]


@dataclass(frozen=True, kw_only=True)
class CaptionConfig:
    """One run of captioning.

    Raises:
        ValueError: on construction, for numbers below 1.
    """

    dataset: str
    """Folder of clip folders."""
    source: CaptionSource = "model"
    """"model": a vision-language model. "labels": sentences made of the dataset's labels."""
    model: str = DEFAULT_MODEL
    """Repository on the hub, or folder, of an image-text-to-text model that transformers can load."""
    revision: str | None = None
    """Commit, branch or tag of the repository."""
    prompts: int = 3
    """Captions per clip."""
    frames: int = 4
    """Frames that the model is shown, evenly spread."""
    side: int = 448
    """Pixels of the longer side that frames are reduced to."""
    batch: int = 4
    """Clips that the model describes at a time."""
    attempts: int = 3
    """How often an answer is asked for before it is given up."""
    max_tokens: int = 160
    """Length of an answer at most."""
    replace_given: bool = False
    """Caption clips that came with captions, too."""
    seed: int = 0
    """Of sampled answers."""
    device: str = "cpu"
    """Where the model runs."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of its weights."""

    def __post_init__(self) -> None:
        for name in ("prompts", "frames", "side", "batch", "attempts", "max_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"expected {name} to be at least 1, got {getattr(self, name)}.")

    def settings(self) -> dict[str, Any]:
        """As JSON, for workers."""
        return dataclasses.asdict(self)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> CaptionConfig:
        """Back from JSON."""
        return cls(**settings)
