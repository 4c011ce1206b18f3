"""What training reads from encoded clips, however they are kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.latents.codecs import CodecName
from gen3r.models.posterior import Posterior
from gen3r.train.losses.following import Sightings


@dataclass(frozen=True, kw_only=True)
class StoredConditions:
    """What some clips were told, for a choice of views of each."""

    control: Float[Tensor, "n C f h joint"]
    """Control latents, both halves."""
    given: Bool[Tensor, "n F"]
    """Frames that are given."""
    cameras: Cameras
    """``[n, F]``, relative to the first view, in units of the scene's scale where that was asked for."""
    image: Float[Tensor, "n N Di"] | None
    """Image features of the first given frame, for models that read them."""


class LatentStore(ABC):
    """Random access to encoded clips, which are called items here."""

    height: int
    """Image rows of the clips in pixels."""
    width: int
    """Image columns in pixels."""
    codec: CodecName
    """How geometry was coded."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of items."""

    @property
    @abstractmethod
    def subsets(self) -> int:
        """Random choices of views per item."""

    @property
    @abstractmethod
    def prompts(self) -> Sequence[Sequence[str]]:
        """The captions of each item, at least one, which may be empty."""

    def sightings(self, items: Sequence[int]) -> Sightings | None:
        """Where these items' tokens are seen in the first and last frame; None if nobody asked when encoding."""
        return None

    @abstractmethod
    def posteriors(self, items: Sequence[int]) -> tuple[Posterior, Posterior | None]:
        """Appearance and geometry ``[n, 16, f, h, w]``, float32; no geometry where the codec has none."""

    @abstractmethod
    def conditions(
        self, items: Sequence[int], choices: Int[Tensor, " n"], rng: torch.Generator | None = None
    ) -> StoredConditions:
        """Conditions for these choices of views; ``rng`` draws control latents that are sampled afresh."""
