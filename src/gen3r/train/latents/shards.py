"""Encoded clips in shards: opened by their headers, read row by row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.hub.networks import IMAGE_ENCODER, TEXT_ENCODER
from gen3r.latents.codecs.registry import CODECS, encoders_of
from gen3r.latents.joint import left_only, pair
from gen3r.models.posterior import Posterior
from gen3r.train.latents.layout import AGAIN, LatentItem, LatentManifest, LatentSettings, read_header
from gen3r.train.latents.store import LatentStore, StoredConditions
from gen3r.train.latents.views import EVERYTHING, FIXED_CHOICES, NOTHING

HALVES = ("appearance", "geometry")
STORED_CHOICES = {0: 0, 1: 1}
"""Where the control latents of first frame and ends stand; all and none follow from other tensors."""


@dataclass(frozen=True)
class _Place:
    file: Path
    row: int
    first_caption: int


class LatentShards(LatentStore):
    """All items of one or more folders of latent shards. Nothing but headers is in memory; open it with `open_latents`.

    Items are ordered by folder, shard and row.
    """

    def __init__(
        self,
        settings: LatentSettings,
        networks: Mapping[str, str],
        shards: Sequence[tuple[Path, Sequence[LatentItem]]],
    ) -> None:
        self.settings, self.networks = settings, dict(networks)
        self.height, self.width, self.codec = settings.height, settings.width, settings.codec
        self.items: list[LatentItem] = []
        self._places: list[_Place] = []
        for file, items in shards:
            caption = 1  # row 0 is the empty prompt
            for row, item in enumerate(items):
                self.items.append(item)
                self._places.append(_Place(file, row, caption))
                caption += len(item.captions)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def frames(self) -> int:
        """Frames per clip."""
        return self.settings.frames

    @property
    def subsets(self) -> int:
        """Random choices of views per item."""
        return self.settings.subsets

    @property
    def prompts(self) -> list[tuple[str, ...]]:
        """The captions of each item."""
        return [item.captions for item in self.items]

    @property
    def has_text(self) -> bool:
        """Whether features of captions are stored."""
        return TEXT_ENCODER in self.networks

    @property
    def sources(self) -> list[str]:
        """The dataset of each item, by which mixtures weigh."""
        return [item.source for item in self.items]

    def posteriors(self, items: Sequence[int]) -> tuple[Posterior, Posterior | None]:
        """Appearance and geometry, float32."""
        appearance, *geometry = (
            Posterior(
                mean=self._rows(items, f"{half}_mean").float(), logvar=self._rows(items, f"{half}_logvar").float()
            )
            for half in HALVES[: CODECS[self.codec].halves]
        )
        return appearance, geometry[0] if geometry else None

    def conditions(
        self, items: Sequence[int], choices: Int[Tensor, " n"], rng: torch.Generator | None = None
    ) -> StoredConditions:
        """Conditions for these choices of views.

        Where control latents are samples, those of all frames are drawn afresh by ``rng``.
        """
        numbers = choices.tolist()
        control = torch.stack([self._control(item, choice, rng) for item, choice in zip(items, numbers, strict=True)])
        cameras = Cameras(
            self._rows(items, "extrinsics"), self._rows(items, "intrinsics"), self.settings.height, self.settings.width
        )
        image = None
        if self.settings.image_pixels is not None:
            image = torch.stack([self._image(item, choice) for item, choice in zip(items, numbers, strict=True)])
        given = torch.stack([self._read(item, "given", choice) for item, choice in zip(items, numbers, strict=True)])
        return StoredConditions(control=control, given=given, cameras=cameras, image=image)

    def text(self, item: int, line: int | None) -> Float[Tensor, "rows Dt"]:
        """Features of a caption of an item at their true length, or of the empty prompt."""
        place = self._places[item]
        number = 0 if line is None else place.first_caption + line
        with _opened(place.file) as file:
            start, end = file.get_slice("text_ends")[number : number + 2].tolist()
            return file.get_slice("text")[start:end]

    def _control(self, item: int, choice: int, rng: torch.Generator | None) -> Float[Tensor, "C f h joint"]:
        encoded = self.settings.control_geometry == "encoded"
        halves = [self._control_half(item, choice, half, rng) for half in HALVES[: 1 + encoded]]
        return pair(*halves) if encoded else left_only(halves[0])

    def _control_half(self, item: int, choice: int, half: str, rng: torch.Generator | None) -> Float[Tensor, "C f h w"]:
        if choice == EVERYTHING:
            mean = self._read(item, f"{half}_mean").float()
            if not self.settings.sample_control:
                return mean
            logvar = self._read(item, f"{half}_logvar").float()
            return Posterior(mean=mean[None], logvar=logvar[None]).sample(rng)[0]
        if choice == NOTHING:
            with _opened(self._places[item].file) as file:
                return file.get_tensor(f"control_nothing_{half}").float()
        row = STORED_CHOICES.get(choice, choice - FIXED_CHOICES + len(STORED_CHOICES))
        return self._read(item, f"control_{half}", row).float()

    def _image(self, item: int, choice: int) -> Float[Tensor, "N Di"]:
        if choice == NOTHING:
            with _opened(self._places[item].file) as file:
                return file.get_tensor("image_nothing").float()
        return self._read(item, "image", max(0, choice - FIXED_CHOICES + 1)).float()

    def _rows(self, items: Sequence[int], name: str) -> Tensor:
        return torch.stack([self._read(item, name) for item in items])

    def _read(self, item: int, name: str, *index: int) -> Tensor:
        place = self._places[item]
        with _opened(place.file) as file:
            return file.get_slice(name)[(place.row, *index)]


def open_latents(folder: Path | Sequence[Path], expected: Mapping[str, str] | None = None) -> LatentShards:
    """Open folders of latent shards as one set, from headers alone.

    Args:
        folder: one folder, or several, which must agree in networks and settings.
        expected: sha256 of networks by name (see ``model_identities``); shards made by another one are refused, shards
            without features of text or images are not.

    Raises:
        ValueError: for no such folder, missing shards, another version, shards or folders that do not belong together,
            and networks other than expected: which one, expected and got.
    """
    folders = [Path(folder)] if isinstance(folder, str | Path) else [Path(one) for one in folder]
    if not folders:
        raise ValueError("expected at least one folder of encoded clips, got none; make one with gen3r data encode.")
    first = LatentManifest.read(folders[0])
    shards: list[tuple[Path, Sequence[LatentItem]]] = []
    for one in folders:
        manifest = LatentManifest.read(one)
        _check_same(first, manifest.settings, manifest.networks, folders[0], one)
        _check_complete(manifest, one)
        _check_expected(manifest, expected or {}, one)
        for name in manifest.files:
            settings, networks, items = _header(one / name)
            _check_same(manifest, settings, networks, one, one / name)
            shards.append((one / name, items))
    latents = LatentShards(first.settings, first.networks, shards)
    if not len(latents):
        raise ValueError(f"{folders[0]} holds no encoded clip: all of them failed; its shards say why.")
    return latents


def left_out(folder: Path) -> dict[str, str]:
    """Why clips are missing from the shards of a folder that are there, by key; see ``prepare.encoding``."""
    reasons: dict[str, str] = {}
    for name in LatentManifest.read(folder).files:
        if (folder / name).is_file():
            with _opened(folder / name) as file:
                reasons |= json.loads((file.metadata() or {}).get("failed", "{}"))
    return reasons


def _header(path: Path) -> tuple[LatentSettings, dict[str, str], list[LatentItem]]:
    with _opened(path) as file:
        return read_header(file.metadata(), path)


def _check_complete(manifest: LatentManifest, folder: Path) -> None:
    missing = [name for name in manifest.files if not (folder / name).is_file()]
    if missing:
        raise ValueError(
            f"{folder} is not complete: {len(missing)} of {len(manifest.files)} shards are missing, the first is "
            f"{missing[0]}; run the same gen3r data encode again, it goes on where it stopped."
        )


def _check_same(
    first: LatentManifest, settings: LatentSettings, networks: Mapping[str, str], origin: Path, other: Path
) -> None:
    for name, (expected, got) in first.settings.differences(settings).items():
        raise ValueError(f"{other} does not belong to {origin}: expected {name} {expected!r}, got {got!r}; {AGAIN}.")
    for name in sorted({*first.networks, *networks}):
        expected, got = first.networks.get(name), networks.get(name)
        if expected != got:
            raise ValueError(
                f"{other} does not belong to {origin}: expected {name} {_short(expected)}, got {_short(got)}; {AGAIN}."
            )


def _check_expected(manifest: LatentManifest, expected: Mapping[str, str], folder: Path) -> None:
    used = (*encoders_of(manifest.settings.codec), TEXT_ENCODER, IMAGE_ENCODER)
    for name, identity in expected.items():
        got = manifest.networks.get(name)
        if name not in used:
            continue
        left_out = got is None and name in (TEXT_ENCODER, IMAGE_ENCODER)  # whoever needs their features asks for them
        if got != identity and not left_out:
            raise ValueError(
                f"{folder} was encoded by another {name}: expected {_short(identity)}, got {_short(got)}; train with "
                f"the networks that made it, or {AGAIN}."
            )


def _short(identity: str | None) -> str:
    return "none" if identity is None else f"sha256 {identity[:16]}"


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A shard to read slices from; ValueError naming it if it is damaged."""
    try:
        with safe_open(str(path), "pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} cannot be read ({error}); delete it and run gen3r data encode again.") from error
