"""Several datasets as one endless stream: which dataset and which clip stands at which position."""

from __future__ import annotations

import json
import random
import tomllib
from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import isfinite
from pathlib import Path
from typing import Any

DEFAULT_WEIGHTS: Mapping[str, float] = {
    "dl3dv": 1.0,
    "realestate10k": 1.0,
    "re10k": 1.0,
    "acid": 1.0,
    "kitti360": 0.5,
    "mvimgnet": 0.25,
    "vkitti2": 0.5,
    "vkitti": 0.5,
    "waymo": 0.5,
    "wildrgbd": 1.0,
    "co3dv2": 1.0,
    "co3d": 1.0,
    "tartanair": 1.0,
}
"""Weights that Gen3R was trained with, by source, under our names and the official ones. Other sources weigh 1."""

MIXTURE_SUFFIXES = (".json", ".toml")


@dataclass(frozen=True, kw_only=True)
class MixtureEntry:
    """One dataset of a mixture.

    Raises:
        ValueError: on construction, for a weight that is not a positive number.
    """

    path: Path
    """A dataset folder."""
    weight: float | None = None
    """How often it is drawn, relative to the others; None: what its source weighs in ``DEFAULT_WEIGHTS``."""

    def __post_init__(self) -> None:
        if self.weight is not None and not (isfinite(self.weight) and self.weight > 0):
            raise ValueError(f"expected a weight above 0 for {self.path}, got {self.weight}; leave out what is unused.")


def default_weight(source: str) -> float:
    """What a dataset of this source weighs if nobody says otherwise."""
    return DEFAULT_WEIGHTS.get(source.lower(), 1.0)


def read_mixture(file: Path) -> list[MixtureEntry]:
    """Datasets and weights of a mixture file: JSON or TOML with a list ``datasets`` of ``path`` and ``weight``.

    ``weight`` may be left out. Paths are relative to the file. In TOML::

        [[datasets]]
        path = "tartanair"

        [[datasets]]
        path = "/data/captures"
        weight = 0.25

    Raises:
        ValueError: naming the file and what is wrong with it.
    """
    try:
        text = file.read_text(encoding="utf-8")
        content: Any = tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} is no readable mixture file: {error}.") from error
    listed = content.get("datasets") if isinstance(content, dict) else None
    if not isinstance(listed, list) or not listed:
        raise ValueError(f"{file}: expected a list of datasets under the name datasets, got {listed!r:.80}.")
    return [_entry(item, file) for item in listed]


def _entry(item: Any, file: Path) -> MixtureEntry:
    if not isinstance(item, dict) or not isinstance(item.get("path"), str) or set(item) - {"path", "weight"}:
        raise ValueError(f"{file}: expected a dataset with path and, if wanted, weight; got {item!r:.80}.")
    weight = item.get("weight")
    if weight is not None and type(weight) not in (int, float):
        raise ValueError(f"{file}: expected a number as the weight of {item['path']}, got {weight!r}.")
    return MixtureEntry(path=file.parent / item["path"], weight=None if weight is None else float(weight))


class Mixture:
    """Draws (dataset, clip) for every position: the dataset by weight, then one of its clips, each as likely.

    A pure function of (seed, position): positions are independent of each other, so processes that read other
    positions decide independently, and a run that goes on at a position sees what it would have seen.
    """

    def __init__(self, sizes: Sequence[int], weights: Sequence[float], seed: int) -> None:
        """``sizes`` are the numbers of clips of the datasets.

        Raises:
            ValueError: for no datasets, an empty one, or weights that are not positive.
        """
        if not sizes or len(sizes) != len(weights):
            raise ValueError(
                f"expected a weight for each of at least one dataset, got {len(weights)} for {len(sizes)}."
            )
        for number, (size, weight) in enumerate(zip(sizes, weights, strict=True)):
            if size < 1:
                raise ValueError(f"dataset {number} of the mixture is empty; leave it out.")
            if not (isfinite(weight) and weight > 0):
                raise ValueError(f"expected a weight above 0 for dataset {number} of the mixture, got {weight}.")
        self.sizes, self.seed = tuple(sizes), seed
        total = sum(weights)
        self.shares = tuple(weight / total for weight in weights)
        self._ends = list(accumulate(self.shares))[:-1]

    def draw(self, position: int, attempt: int = 0) -> tuple[int, int]:
        """Number of a dataset, and of a clip of it; another one for another ``attempt``, where the first is damaged."""
        rng = random.Random(f"mixture {self.seed} {position} {attempt}")  # a text is hashed: streams are unrelated
        dataset = bisect(self._ends, rng.random())
        return dataset, int(rng.random() * self.sizes[dataset])
