"""Checkpoints that are either whole or absent: temporary folder, fsync, rename, keep the last few.

Every process writes its share of the tensors to a safetensors file with the offsets that `torch.distributed.checkpoint`
puts into such files; its reader gives them to any number of processes. (Its writer builds each file in memory, and its
default format is pickled.) Nothing is unpickled.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import warnings
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.distributed.checkpoint import HuggingFaceStorageReader
from torch.distributed.tensor import DTensor, Shard

from gen3r.train.processes import Processes
from gen3r.train.state import RunState

FOLDER = "checkpoints"
FACTS = "facts.json"
_NAME = re.compile(r"step-(\d{9})")


@dataclass(frozen=True)
class Piece:
    """Rows of a tensor that this process writes, copied to host memory."""

    rows: Tensor
    """The values."""
    first: int
    """Their first row in the whole tensor."""


class Saver:
    """Writes the checkpoints of a run. With ``background``, training goes on once the tensors are copied."""

    def __init__(self, run: Path, processes: Processes, *, keep: int, background: bool) -> None:
        self.run, self.processes, self.keep = run, processes, keep
        self.pool = ThreadPoolExecutor(1, "save") if background else None
        self.pending: Future[None] | None = None
        self.aside = processes.aside

    def save(self, step: int, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Write ``run/checkpoints/step-N`` and delete all but the latest; waits for an earlier save.

        ``facts`` is JSON. A crash at any moment leaves the earlier checkpoints usable.

        Raises:
            OSError: if this save or the one waited for fails.
            RuntimeError: if it fails on another process.
        """
        self.wait()
        partial = self.run / FOLDER / f".partial-{step:09d}"
        if self.processes.main:
            partial.parent.mkdir(parents=True, exist_ok=True)
            for leftover in partial.parent.glob(".partial-*"):
                shutil.rmtree(leftover)
            partial.mkdir()
        pieces = own_pieces(tensors, self.processes)
        facts = dict(facts) | {"step": step}
        self.processes.wait()
        if self.pool is None:
            self._write(partial, step, pieces, facts)
        else:
            self.pending = self.pool.submit(self._write, partial, step, pieces, facts)

    def wait(self) -> None:
        """Until the last save is whole."""
        pending, self.pending = self.pending, None
        if pending is not None:
            pending.result()

    def close(self) -> None:
        """Wait, and end the thread."""
        try:
            self.wait()
        finally:
            if self.pool is not None:
                self.pool.shutdown()

    def _write(self, partial: Path, step: int, pieces: Mapping[str, Piece], facts: Mapping[str, Any]) -> None:
        failure = None
        try:
            write_pieces(pieces, partial, self.processes)
        except Exception as error:  # noqa: BLE001 (whatever it is, the others wait for an answer)
            failure = error
        self._agree(failure)
        try:
            if self.processes.main:
                self._commit(partial, step, facts)
        except Exception as error:  # noqa: BLE001
            failure = error
        self._agree(failure)

    def _agree(self, failure: Exception | None) -> None:
        """All go on, or all fail."""
        failures: list[Any] = [failure and str(failure)]
        if self.aside is not None:
            failures *= self.processes.world
            dist.all_gather_object(failures, failure and str(failure), self.aside)
        if failure is not None:
            raise failure
        if any(failures):
            rank, text = next((rank, text) for rank, text in enumerate(failures) if text)
            raise RuntimeError(f"rank {rank} could not write its part of the checkpoint: {text}")

    def _commit(self, partial: Path, step: int, facts: Mapping[str, Any]) -> None:
        final = partial.parent / f"step-{step:09d}"
        (partial / FACTS).write_text(json.dumps(facts, indent=2))
        _fsync(partial / FACTS)
        _fsync(partial)
        if final.exists():  # the step was saved before: its name is free for no longer than a rename takes
            os.replace(final, partial.with_name(f".partial-{step:09d}-before"))
        os.replace(partial, final)
        _fsync(final.parent)
        for old in (*final.parent.glob(".partial-*-before"), *list_checkpoints(self.run)[: -self.keep]):
            shutil.rmtree(old)


def own_pieces(tensors: Mapping[str, Tensor], processes: Processes) -> dict[str, Piece]:
    """Copies of what this process is to write: its rows of shared tensors, and every so many of the others."""
    pieces = {}
    for index, (name, value) in enumerate(tensors.items()):
        if isinstance(value, DTensor):
            rows = value.to_local()
            if len(rows):
                pieces[name] = Piece(_copy(rows), _first_row(value))
        elif index % processes.world == processes.rank:
            pieces[name] = Piece(_copy(value), 0)
    return pieces


def write_pieces(pieces: Mapping[str, Piece], folder: Path, processes: Processes) -> None:
    """One file, on the disk when this returns.

    Raises:
        OSError: if it cannot be written.
    """
    offsets = {name: {"saved_offsets": [piece.first, *[0] * (piece.rows.ndim - 1)]} for name, piece in pieces.items()}
    metadata = {"DCP_SHARDING_INFO": json.dumps(offsets), "DCP_VERSION": "1.0", "format": "pt"}
    path = folder / f"shard-{processes.rank:05d}-of-{processes.world:05d}.safetensors"
    try:
        save_file({name: piece.rows for name, piece in pieces.items()}, path, metadata)
    except SafetensorError as error:  # its word for a full disk
        raise OSError(f"{path} cannot be written: {error}") from error
    _fsync(path)


def list_checkpoints(run: Path) -> list[Path]:
    """Complete checkpoints of a run, oldest first."""
    parent = run / FOLDER
    return sorted(path for path in parent.iterdir() if _NAME.fullmatch(path.name)) if parent.is_dir() else []


def read_facts(folder: Path) -> dict[str, Any]:
    """What a checkpoint says of its run: step, settings, and what must be the same to go on."""
    return json.loads((folder / FACTS).read_text())


def load_checkpoint(folder: Path, state: RunState, processes: Processes) -> None:
    """Fill a run with the tensors of a checkpoint, whatever number of processes wrote it.

    Raises:
        ValueError: if the checkpoint has other tensors than the run, or other shapes.
    """
    from gen3r.train.first_format import is_first_format, load_first_format

    if is_first_format(folder):
        return load_first_format(folder, state)
    reader = HuggingFaceStorageReader(str(folder))
    shapes = {name: tuple(entry.size) for name, entry in reader.read_metadata().state_dict_metadata.items()}  # pyright: ignore[reportAttributeAccessIssue]
    tensors = state.prepare(shapes)
    other = [name for name, value in tensors.items() if tuple(value.shape) != shapes[name]]
    if other:
        name = other[0]
        raise ValueError(
            f"{folder} has {name} of shape {shapes[name]} where the run has {tuple(tensors[name].shape)}; "
            "was the preset changed?"
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        dcp.load(dict(tensors), storage_reader=reader, no_dist=not processes.several)


def read_tensors(folder: Path, prefix: str) -> dict[str, Tensor]:
    """Whole tensors of a checkpoint whose names begin with ``prefix``, without it, in host memory."""
    parts: dict[str, list[tuple[int, Tensor]]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(str(path), "pt") as file:
            offsets = json.loads(file.metadata()["DCP_SHARDING_INFO"])
            for name in file.keys():  # noqa: SIM118 (not a dictionary)
                if name.startswith(prefix):
                    first = offsets[name]["saved_offsets"][0]
                    parts.setdefault(name.removeprefix(prefix), []).append((first, file.get_tensor(name)))
    return {
        name: torch.cat([rows for _, rows in sorted(pieces, key=lambda piece: piece[0])])
        for name, pieces in parts.items()
    }


def _first_row(value: DTensor) -> int:
    """Where the rows of this process begin: FSDP2 shares the first axis in equal parts, the last ones shorter."""
    if tuple(value.placements) != (Shard(0),):
        raise ValueError(f"expected tensors shared by rows among all processes, got {value.placements}.")
    mesh, count = value.device_mesh, value.shape[0]
    return min(count, mesh.get_local_rank() * -(-count // mesh.size()))


def _copy(value: Tensor) -> Tensor:
    return value.to("cpu", copy=True).contiguous()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
