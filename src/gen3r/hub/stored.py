"""Tensors that are still on disk: names, shapes and types from the headers, values one at a time."""

from __future__ import annotations

import dataclasses
import json
import mmap
import pickle
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from gen3r.hub.files import INDEX_SUFFIX, ModelFolderError, read_json_object

_TYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2, "I64": torch.int64, "I32": torch.int32,
    "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
_OWN_PAGES = 2**20
_PRIVATE: dict[str, Any] = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
"""Memory that belongs to this process alone: by default it is shared, and counts against the limits of a /dev/shm."""
TYPE_NAMES = {dtype: name for name, dtype in _TYPES.items()}
"""How safetensors calls torch's types."""


@dataclass(frozen=True, kw_only=True)
class StoredTensor:
    """A tensor of a file, or one made from such tensors when it is read. Nothing of it is in memory."""

    name: str
    """Its name in the file."""
    file: Path
    """Where it is stored."""
    offset: int
    """Where in the file; reading in this order is fastest."""
    shape: tuple[int, ...]
    """Its shape."""
    dtype: torch.dtype
    """Its type in the file."""
    read: Callable[[], Tensor]
    """Read it into new memory, on the CPU."""

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return torch.Size(self.shape).numel() * self.dtype.itemsize

    def map(self, change: Callable[[Tensor], Tensor]) -> StoredTensor:
        """The tensor that ``change`` makes of this one, when it is read."""
        return join([self], lambda tensors: change(tensors[0]))


def join(parts: Sequence[StoredTensor], change: Callable[[list[Tensor]], Tensor]) -> StoredTensor:
    """The tensor that ``change`` makes of several, when it is read; placed where the first of them is."""
    made = change([torch.empty(part.shape, dtype=part.dtype, device="meta") for part in parts])
    return dataclasses.replace(
        parts[0], shape=tuple(made.shape), dtype=made.dtype, read=lambda: change([part.read() for part in parts])
    )


Weight = TypeVar("Weight", Tensor, StoredTensor)
"""A tensor in memory or on disk: what renaming and reshaping works on alike."""


def changed(weight: Weight, change: Callable[[Tensor], Tensor]) -> Weight:
    """``change`` applied, now or when the tensor is read."""
    return weight.map(change) if isinstance(weight, StoredTensor) else change(weight)


def joined(weights: Sequence[Weight], change: Callable[[list[Tensor]], Tensor]) -> Weight:
    """``change`` applied to several tensors, now or when they are read."""
    made: Any = join if isinstance(weights[0], StoredTensor) else lambda tensors, apply: apply(tensors)
    return made(weights, change)


def open_weights(folder: Path, stem: str) -> dict[str, StoredTensor]:
    """The tensors of ``<stem>.safetensors``, or of the shards that ``<stem>.safetensors.index.json`` names.

    Raises:
        ModelFolderError: if there is neither, or a file is missing, damaged or not what the index says.
    """
    single, index = folder / f"{stem}.safetensors", folder / f"{stem}{INDEX_SUFFIX}"
    if single.is_file():
        return open_safetensors(single)
    if index.is_file():
        return open_index(index)
    raise ModelFolderError(
        f"expected weights at {single} (or shards with {index.name}), found none; is the model folder complete?"
    )


def open_index(index: Path) -> dict[str, StoredTensor]:
    """The tensors of all shards of an index, which must hold what it says and nothing else; ModelFolderError if not."""
    weight_map = read_json_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not all(
        isinstance(file, str) and Path(file).name == file for file in weight_map.values()
    ):
        raise ModelFolderError(
            f"{index}: expected a weight_map of tensor names to file names beside it; fetch it again."
        )
    missing = sorted({file for file in weight_map.values() if not (index.parent / file).is_file()})
    if missing:
        raise ModelFolderError(f"{index} names files that are not there: {', '.join(missing)}; fetch them again.")
    tensors: dict[str, StoredTensor] = {}
    for file in sorted(set(weight_map.values())):
        held = open_safetensors(index.parent / file)
        promised = {name for name, where in weight_map.items() if where == file}
        for names, what in ((promised - set(held), "lacks"), (set(held) - promised, "also holds")):
            if names:
                raise ModelFolderError(
                    f"{index.parent / file} {what} {', '.join(sorted(names)[:8])} ({len(names)} tensors), other than "
                    f"{index.name} says; the files are of different downloads, fetch them again."
                )
        tensors |= held
    return tensors


def open_safetensors(path: Path) -> dict[str, StoredTensor]:
    """The tensors of one safetensors file, by name, from its header.

    Raises:
        ModelFolderError: if the file is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt"):
            pass  # checks the header against the file's length
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
    except FileNotFoundError:
        raise ModelFolderError(f"expected weights at {path}, found none; is the model folder complete?") from None
    except SafetensorError as error:
        raise ModelFolderError(f"{path} cannot be read ({error}); the file is damaged, fetch it again.") from None
    header.pop("__metadata__", None)
    unknown = {record["dtype"] for record in header.values()} - set(_TYPES)
    if unknown:
        raise ModelFolderError(f"{path} holds tensors of types {sorted(unknown)}, expected some of {sorted(_TYPES)}.")
    return {name: _stored(path, name, record, 8 + length) for name, record in header.items()}


def open_pickled(path: Path) -> dict[str, StoredTensor]:
    """The tensors of a ``.pth`` file, mapped into memory and unpickled without running any code of it.

    Raises:
        ModelFolderError: if the file is missing, damaged or holds anything but tensors by name.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except FileNotFoundError:
        raise ModelFolderError(f"expected weights at {path}, found none; is the folder complete?") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ModelFolderError(f"{path} cannot be read as plain weights ({error}); fetch it again.") from None
    if not isinstance(content, dict) or not all(isinstance(tensor, Tensor) for tensor in content.values()):
        raise ModelFolderError(f"{path}: expected tensors by name, got a {type(content).__name__} of other things.")
    return {
        name: StoredTensor(
            name=name,
            file=path,
            offset=position,
            shape=tuple(tensor.shape),
            dtype=tensor.dtype,
            read=tensor.clone,
        )
        for position, (name, tensor) in enumerate(content.items())
    }


def allocate(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Uninitialised memory. Large tensors get pages of their own, which the system has back as soon as they are freed:
    the allocator's heap would be left with a hole for each tensor that changes its type on the way."""
    nbytes = torch.Size(shape).numel() * dtype.itemsize
    if nbytes < _OWN_PAGES:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(mmap.mmap(-1, nbytes, **_PRIVATE), dtype=dtype).view(shape)


def _stored(path: Path, name: str, record: Mapping, data: int) -> StoredTensor:
    shape, dtype, offset = tuple(record["shape"]), _TYPES[record["dtype"]], data + record["data_offsets"][0]
    return StoredTensor(
        name=name,
        file=path,
        offset=offset,
        shape=shape,
        dtype=dtype,
        read=partial(_read, path, name, offset, shape, dtype),
    )


def _read(path: Path, name: str, offset: int, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    tensor = allocate(shape, dtype)
    with path.open("rb", buffering=0) as file:
        file.seek(offset)
        view = memoryview(cast(Any, tensor.reshape(-1).view(torch.uint8).numpy()))
        done = 0
        while done < len(view):
            count = file.readinto(view[done:])
            if not count:
                raise ModelFolderError(f"{path} ends inside {name}; the file changed while it was read.")
            done += count
    return tensor
