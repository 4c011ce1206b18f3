"""A few files of a run as a few small ones, to be taken to another machine and unfolded there."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from gen3r.hub.files import read_json_object
from gen3r.whole_file import whole_file

INDEX = "progress.json"
SHARD_BYTES = 14_500_000
"""Bytes of tensors in a shard at most."""
_BETWEEN = "|"
"""Between a file and a tensor in it."""
WEIGHTS_SUFFIX = ".safetensors"


def narrowed(tensor: Tensor) -> Tensor:
    """As float16 on the CPU, unless that cannot hold it: half the size, and what is released."""
    tensor = tensor.detach().to("cpu")
    if tensor.dtype != torch.float32:
        return tensor.contiguous()
    half = tensor.half()
    return (half if bool(torch.isfinite(half).all()) else tensor).contiguous()


def narrow_file(path: Path) -> None:
    """Rewrite a safetensors file with `narrowed` tensors."""
    with safe_open(str(path), "pt") as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    with whole_file(path) as temporary:
        save_file({name: narrowed(tensor) for name, tensor in tensors.items()}, temporary, metadata)


def read_weights(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file."""
    with safe_open(str(path), "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def fold(
    folder: Path, files: Mapping[str, Path], tensors: Mapping[str, Mapping[str, Tensor]], facts: Mapping[str, Any]
) -> int:
    """Write ``progress.json``, and the ``weights-*.safetensors`` that it names, into ``folder``.

    What was there before counts until the new ``progress.json`` is whole, and is deleted then.

    Args:
        folder: new, or of an earlier time.
        files: text and safetensors files by their name in the run.
        tensors: safetensors files that are not on the disk, by their name in the run.
        facts: JSON beside them.

    Returns:
        Bytes of all files.

    Raises:
        ValueError: if ``folder`` holds something else, or a tensor does not fit into a shard.
    """
    if folder.exists() and not (folder / INDEX).is_file() and any(folder.iterdir()):
        raise ValueError(f"expected a new folder or one of an earlier sitting for the portable copy, got {folder}.")
    named, texts, metadata = {}, {}, {}
    for name, path in files.items():
        if path.suffix == WEIGHTS_SUFFIX:
            with safe_open(str(path), "pt") as file:
                metadata[name] = file.metadata()
            named |= {f"{name}{_BETWEEN}{key}": value for key, value in read_weights(path).items()}
        else:
            texts[name] = path.read_text(encoding="utf-8")
    for name, content in tensors.items():
        named |= {f"{name}{_BETWEEN}{key}": value for key, value in content.items()}
    folder.mkdir(parents=True, exist_ok=True)
    stamp, shards = uuid.uuid4().hex[:6], []
    for number, shard in enumerate(_shards(named), 1):
        shards.append(f"weights-{stamp}-{number:02d}{WEIGHTS_SUFFIX}")
        with whole_file(folder / shards[-1]) as temporary:
            save_file(shard, temporary)
    index = dict(facts) | {"shards": shards, "texts": texts, "metadata": metadata, "loose": list(tensors)}
    with whole_file(folder / INDEX) as temporary:
        temporary.write_text(json.dumps(index, indent=1), encoding="utf-8")
    for path in folder.glob(f"weights-*{WEIGHTS_SUFFIX}"):
        if path.name not in shards:
            path.unlink()
    return sum((folder / name).stat().st_size for name in (INDEX, *shards))


def read_index(folder: Path) -> dict[str, Any]:
    """The JSON of a portable copy.

    Raises:
        ValueError: if ``folder`` is none, or is not whole.
    """
    if not (folder / INDEX).is_file():
        raise ValueError(f"expected a portable copy of a run in {folder}, found no {INDEX}.")
    index = read_json_object(folder / INDEX)
    missing = [path.name for path in _shard_files(folder, index) if not path.is_file()]
    if missing:
        raise ValueError(f"the portable copy in {folder} is not whole: it lacks {', '.join(missing)}.")
    return index


def unfold(folder: Path, run: Path, names: Sequence[str]) -> dict[str, dict[str, Tensor]]:
    """Put files of a portable copy into a run, and give the tensors of those that `fold` was given as tensors.

    Args:
        folder: the portable copy.
        run: where the files belong.
        names: of files, or of folders with a slash at their end: all of them are taken that begin so.
    """
    index = read_index(folder)

    def wanted(name: str) -> bool:
        return any(name.startswith(start) for start in names)

    for name, text in index["texts"].items():
        if wanted(name):
            (run / name).parent.mkdir(parents=True, exist_ok=True)
            with whole_file(run / name) as temporary:
                temporary.write_text(text, encoding="utf-8")
    known = (*index["metadata"], *index["loose"])
    contents: dict[str, dict[str, Tensor]] = {name: {} for name in known if wanted(name)}
    for path in _shard_files(folder, index):
        for key, value in read_weights(path).items():
            name, _, tensor = key.partition(_BETWEEN)
            if name in contents:
                contents[name][tensor] = value
    for name in [name for name in contents if name in index["metadata"]]:
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        with whole_file(run / name) as temporary:
            save_file(contents.pop(name), temporary, index["metadata"][name])
    return contents


def size_of(tensors: Mapping[str, Tensor]) -> int:
    """Bytes of some tensors."""
    return sum(value.numel() * value.element_size() for value in tensors.values())


def _shards(named: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    shards: list[dict[str, Tensor]] = []
    room = 0
    for name, value in named.items():
        size = size_of({name: value}) + 200  # its entry in the header
        if size > SHARD_BYTES:
            raise ValueError(f"{name} has {size / 1e6:.1f} MB, more than the {SHARD_BYTES / 1e6:g} MB of a shard.")
        if size > room:
            shards.append({})
            room = SHARD_BYTES
        shards[-1][name] = value
        room -= size
    return shards


def _shard_files(folder: Path, index: Mapping[str, Any]) -> list[Path]:
    return [folder / name for name in index["shards"]]
