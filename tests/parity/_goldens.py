"""Finds the goldens, loads them, and compares with the tolerance each one states.

A set of goldens is a folder with ``index_wan.json`` and ``geometry/index.json``. Which set: the folder named by the
environment variable GEN3R_PARITY_DIR, else ``../shared/parity`` beside the repository, else the compact set in
``tests/parity/goldens``. Sets differ in names, seeds and sizes, so a test asks for a `kind` and reads everything else
from the entry:

    from parity._goldens import Golden, goldens

    @pytest.mark.parametrize("golden", goldens("pose_encoding"), ids=str)
    def test_pose_encoding(golden: Golden) -> None:
        golden.check("out.extrinsics", decode(golden["in.pose_enc"]))

Tensor records may hold ``slice``: [start, stop, step] per axis; then only that part of the tensor is stored, and
``full_shape`` and ``stats`` describe the whole. Both are compared.
"""

import functools
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from parity._reference import reference_input, reference_weights

_REPOSITORY = Path(__file__).parents[2]
_COMPARED: set[tuple[str, str]] = set()
_INDICES = {"geometry": Path("geometry/index.json"), "wan": Path("index_wan.json")}


def parity_folder() -> Path:
    """The set of goldens in use."""
    named = os.environ.get("GEN3R_PARITY_DIR")
    if named:
        return Path(named)
    beside = _REPOSITORY.parent / "shared" / "parity"
    return beside if (beside / _INDICES["wan"]).is_file() else Path(__file__).parent / "goldens"


@dataclass(frozen=True)
class Golden:
    """One entry of an index: what to build, what to feed it, and what must come out."""

    name: str
    family: str
    """Which index: "geometry" or "wan"."""
    folder: Path
    """Folder of that index; file names in the entry are relative to it."""
    entry: dict[str, Any] = field(repr=False)

    def __str__(self) -> str:
        return f"{self.family}-{self.name}"

    @property
    def kind(self) -> str:
        """What the entry is about; tests dispatch on it."""
        return self.entry["kind"]

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """Sizes and settings of the official run (``hyperparameters`` or, in the wan index, ``constructor``)."""
        return self.entry.get("hyperparameters") or self.entry.get("constructor") or {}

    @functools.cached_property
    def tensors(self) -> dict[str, Tensor]:
        """Everything stored, and the generated inputs, by key."""
        tensors = load_file(self.folder / self.entry["file"])
        for key, record in self.entry["tensors"].items():
            if record.get("role") == "generated_input":
                tensors[key] = _generate(key.removeprefix("in."), record)
        return tensors

    def __getitem__(self, key: str) -> Tensor:
        return self.tensors[key]

    def outputs(self) -> list[str]:
        """Keys to check. Only the geometry index tells outputs from inputs."""
        return [key for key, record in self.entry["tensors"].items() if record.get("role") == "output"]

    def weights(self, prefix: str | None = None, *, strip: bool = False) -> dict[str, Tensor]:
        """Official parameters, by their full official names.

        Args:
            prefix: take only the names that start so; left out, the entry's own ``prefix`` if that is one string.
            strip: remove the prefix from the names.
        """
        if prefix is None:
            prefix = self.entry.get("prefix") or ""
        if not isinstance(prefix, str):
            raise TypeError(f"{self} has the prefixes {prefix}; say which one to load.")
        weights = reference_weights(self.folder / self.entry["manifest"], self.entry["seed"], prefix)
        return {name.removeprefix(prefix): value for name, value in weights.items()} if strip else weights

    def used(self, role: str) -> "Golden":
        """The golden (or bare manifest and seed) whose weights this one uses, by its role under ``uses``."""
        source = self.entry["uses"][role]
        entry = source if isinstance(source, dict) else _index(self.folder, _INDICES[self.family].name)[source]
        return Golden(f"{self.name}.{role}", self.family, self.folder, entry)

    def shape(self, key: str) -> tuple[int, ...]:
        """Shape of a tensor of the entry, the whole of it even where only a slice is stored."""
        record = self.entry["tensors"][key]
        return tuple(record["full_shape"] if record.get("slice") else record["shape"])

    def check(self, key: str, actual: Tensor, *, expected: Tensor | None = None, exact: bool = False) -> None:
        """Compare with the stored tensor ``key``.

        Args:
            key: tensor of the entry.
            actual: what our code gives; the whole tensor even where only a slice is stored.
            expected: compare with this part of the stored tensor instead (for instance valid rows only).
            exact: allow no difference at all, whatever tolerance the entry states.

        Raises:
            AssertionError: saying by how much and where.
        """
        record = self.entry["tensors"][key]
        stored = self.tensors[key] if expected is None else expected
        label = f"{self} {key}"
        tolerance = {"atol": 0.0, "rtol": 0.0} if exact else self.entry["tolerance"]
        actual = actual.detach().cpu().double()
        sliced = record.get("slice")
        if sliced is not None and expected is None:
            assert actual.shape == self.shape(key), f"{label}: shape {list(actual.shape)}, not {self.shape(key)}"
            _check_stats(label, actual, record["stats"], self.entry["tolerance"])
            actual = actual[tuple(slice(*part) for part in sliced)]
        _check_close(label, actual, stored.double(), tolerance)
        _COMPARED.add((str(self), key))


def all_goldens() -> list[Golden]:
    """Every golden of both indices of the set in use."""
    folder = parity_folder()
    return [
        Golden(name, index, (folder / path).parent, entry)
        for index, path in _INDICES.items()
        for name, entry in _index((folder / path).parent, path.name).items()
    ]


def goldens(*kinds: str, family: str | None = None) -> list[Golden]:
    """Every golden of the given kinds, in one index or both; none where the set in use has none of them."""
    return [golden for golden in all_goldens() if golden.kind in kinds and family in (None, golden.family)]


def compared(golden: Golden) -> set[str]:
    """The keys of a golden that some test of this session compared with success."""
    return {key for name, key in _COMPARED if name == str(golden)}


def manifest(name: str) -> dict[str, tuple[int, ...]]:
    """A name-to-shape list in ``manifests/``, for instance ``vggt_1b.json``."""
    return {key: tuple(shape) for key, shape in json.loads((parity_folder() / "manifests" / name).read_text()).items()}


@functools.cache
def _index(folder: Path, name: str) -> dict[str, dict[str, Any]]:
    content = json.loads((folder / name).read_text())
    return content.get("goldens", content)


def _generate(name: str, record: dict[str, Any]) -> Tensor:
    value = reference_input(
        name, tuple(record["shape"]), record["seed"], record.get("scale", 1.0), record.get("offset", 0.0)
    )
    check = record.get("check")
    if check:
        first = torch.tensor(check["first"])
        assert torch.allclose(value.flatten()[: len(first)], first), f"generated input {name} differs from the record"
    return value


def _check_close(label: str, actual: Tensor, expected: Tensor, tolerance: dict[str, Any]) -> None:
    assert actual.shape == expected.shape, f"{label}: shape {list(actual.shape)}, expected {list(expected.shape)}"
    finite = expected.isfinite()
    same = (actual == expected) | (actual.isnan() & expected.isnan())
    assert bool(same[~finite].all()), f"{label}: NaN or infinity elsewhere than expected"
    difference = (actual - expected).abs().masked_fill(~finite, 0.0)
    assert bool(difference.isfinite().all()), f"{label}: NaN or infinity where finite values are expected"
    allowed = tolerance["atol"] + tolerance["rtol"] * expected.abs()
    excess = (difference - allowed).masked_fill(~finite, -1.0)
    if bool((excess > 0).any()):
        worst = int(excess.argmax())
        raise AssertionError(
            f"{label}: {int((excess > 0).sum())} of {excess.numel()} values are off; worst "
            f"{actual.flatten()[worst]:.8g}, expected {expected.flatten()[worst]:.8g} at flat index {worst}"
        )
    norm = expected.masked_fill(~finite, 0.0).norm()
    limit = tolerance.get("rel_l2")
    if limit is not None and norm > 0:
        relative = float(difference.norm() / norm)
        assert relative <= limit, f"{label}: relative L2 difference {relative:.3g} > {limit:g}"


def _check_stats(label: str, actual: Tensor, stats: dict[str, float], tolerance: dict[str, Any]) -> None:
    measured = {
        "mean": actual.mean(),
        "std": actual.std(correction=0),
        "l2": actual.norm(),
        "min": actual.min(),
        "max": actual.max(),
    }
    for name, expected in stats.items():
        spread = max(abs(expected), stats["std"])
        allowed = tolerance["atol"] + tolerance["rtol"] * spread
        difference = abs(float(measured[name]) - expected)
        assert difference <= allowed, f"{label}: {name} of the whole tensor {float(measured[name]):.8g}, not {expected}"
