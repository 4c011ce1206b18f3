"""Files of a model folder that are still to be written, and whether they are written already."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor

from gen3r.hub.files import INDEX_SUFFIX, ModelFolderError, json_text
from gen3r.hub.stored import TYPE_NAMES, StoredTensor, allocate, open_safetensors
from gen3r.whole_file import whole_file


@runtime_checkable
class PlannedFile(Protocol):
    """A file that can be written any number of times, always the same."""

    @property
    def nbytes(self) -> int:
        """About how large it will be."""
        ...

    def write(self, path: Path) -> None:
        """Write it, as a whole."""
        ...

    def is_at(self, path: Path) -> bool:
        """Whether ``path`` holds it, in every byte that matters."""
        ...


@dataclass(frozen=True, kw_only=True)
class TextFile:
    """A text."""

    text: str
    """The text."""

    @property
    def nbytes(self) -> int:
        return len(self.text.encode())

    def write(self, path: Path) -> None:
        with whole_file(path) as temporary:
            temporary.write_text(self.text, encoding="utf-8")

    def is_at(self, path: Path) -> bool:
        return path.is_file() and path.read_bytes() == self.text.encode()


@dataclass(frozen=True, kw_only=True)
class CopiedFile:
    """A file as it is elsewhere; a small one, such as a config or a tokenizer."""

    source: Path
    """Where it is."""

    @property
    def nbytes(self) -> int:
        return self.source.stat().st_size

    def write(self, path: Path) -> None:
        with whole_file(path) as temporary:
            shutil.copyfile(self.source, temporary)

    def is_at(self, path: Path) -> bool:
        return path.is_file() and path.read_bytes() == self.source.read_bytes()


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """A safetensors file, written tensor by tensor: never more than one of them is in memory."""

    tensors: Mapping[str, StoredTensor]
    """What it holds, by its names there."""
    dtype: torch.dtype | None = None
    """Type of its floating tensors; None leaves them as they are."""

    @property
    def nbytes(self) -> int:
        return sum(_nbytes(tensor, self.dtype) for tensor in self.tensors.values())

    def write(self, path: Path) -> None:
        with whole_file(path) as temporary, temporary.open("wb") as file:
            header = self._header().encode()
            file.write(struct.pack("<Q", len(header)) + header)
            for name in self._order():
                file.write(cast(Any, _bytes(self._value(name)).numpy()))

    def is_at(self, path: Path) -> bool:
        if not path.is_file():
            return False
        try:
            held = open_safetensors(path)
        except ModelFolderError:  # cut off while it was written, or damaged since
            return False
        planned = {name: (tensor.shape, _dtype(tensor, self.dtype)) for name, tensor in self.tensors.items()}
        if {name: (tensor.shape, tensor.dtype) for name, tensor in held.items()} != planned:
            return False
        return all(torch.equal(_bytes(held[name].read()), _bytes(self._value(name))) for name in self._order())

    def _order(self) -> list[str]:
        """Wide types first, so that every tensor is aligned in the file."""
        return sorted(self.tensors, key=lambda name: -_dtype(self.tensors[name], self.dtype).itemsize)

    def _value(self, name: str) -> Tensor:
        value, dtype = self.tensors[name].read(), _dtype(self.tensors[name], self.dtype)
        return value.contiguous() if value.dtype == dtype else allocate(tuple(value.shape), dtype).copy_(value)

    def _header(self) -> str:
        records: dict[str, Any] = {"__metadata__": {"format": "pt"}}
        start = 0
        for name in self._order():
            tensor = self.tensors[name]
            end = start + _nbytes(tensor, self.dtype)
            dtype = TYPE_NAMES[_dtype(tensor, self.dtype)]
            records[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [start, end]}
            start = end
        text = json.dumps(records, separators=(",", ":"), ensure_ascii=True)
        return text + " " * (-len(text) % 8)


def weights_files(
    stem: str, weights: Mapping[str, StoredTensor], max_bytes: int | None, dtype: torch.dtype | None = None
) -> dict[str, PlannedFile]:
    """``<stem>.safetensors``, or shards of at most ``max_bytes`` (or one tensor) with their index, by file name.

    Shards are filled in the order in which the tensors lie in their own files.
    """
    shards: list[dict[str, StoredTensor]] = [{}]
    used = 0
    for name, tensor in sorted(weights.items(), key=lambda item: (str(item[1].file), item[1].offset)):
        size = _nbytes(tensor, dtype)
        if max_bytes is not None and shards[-1] and used + size > max_bytes:
            shards.append({})
            used = 0
        shards[-1][name] = tensor
        used += size
    if len(shards) == 1:
        return {f"{stem}.safetensors": WeightsFile(tensors=shards[0], dtype=dtype)}
    names = [f"{stem}-{number:05}-of-{len(shards):05}.safetensors" for number in range(1, len(shards) + 1)]
    files: dict[str, PlannedFile] = {
        name: WeightsFile(tensors=shard, dtype=dtype) for name, shard in zip(names, shards, strict=True)
    }
    index = {
        "metadata": {"total_size": sum(file.nbytes for file in files.values())},
        "weight_map": {tensor: name for name, shard in zip(names, shards, strict=True) for tensor in sorted(shard)},
    }
    return files | {f"{stem}{INDEX_SUFFIX}": TextFile(text=json_text(index))}


def _dtype(tensor: StoredTensor, dtype: torch.dtype | None) -> torch.dtype:
    return dtype if dtype is not None and tensor.dtype.is_floating_point else tensor.dtype


def _nbytes(tensor: StoredTensor, dtype: torch.dtype | None) -> int:
    return torch.Size(tensor.shape).numel() * _dtype(tensor, dtype).itemsize


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.contiguous().reshape(-1).view(torch.uint8)
