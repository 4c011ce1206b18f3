"""A model folder in the other layout: official to ours, and ours to official, tensor for tensor."""

from __future__ import annotations

import dataclasses
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gen3r.hub.exporting import official_files
from gen3r.hub.files import DISK_FULL, json_text
from gen3r.hub.folder import CONFIG_FILE, WEIGHTS_STEM, config_from_dict
from gen3r.hub.layout import OFFICIAL_INDEX, PIPELINE_FILE, Layout, ModelFolder, as_model_folder
from gen3r.hub.load import open_model
from gen3r.hub.networks import KINDS, TOKENIZER
from gen3r.hub.official import (
    OFFICIAL_PARTS,
    SCHEDULER_FILE,
    UNUSED_STEM,
    carried_folder,
    official_part_folder,
    open_official_weights,
)
from gen3r.hub.shards import CopiedFile, PlannedFile, TextFile, weights_files
from gen3r.hub.sizes import in_gigabytes

LOGGER = logging.getLogger(__name__)
DEFAULT_SHARD_BYTES = 5 * 10**9
MARKER = ".gen3r-conversion"
"""File of an unfinished conversion, so that no other folder is taken for one."""

Files = dict[str, PlannedFile]


@dataclass(frozen=True, kw_only=True)
class ConversionOptions:
    """How the files of a conversion are written."""

    shard_bytes: int = DEFAULT_SHARD_BYTES
    """Largest weights file, unless one tensor is larger."""
    dtype: torch.dtype | None = None
    """Type of floating tensors; None keeps theirs, which makes conversions exact."""

    def __post_init__(self) -> None:
        if self.shard_bytes <= 0:
            raise ValueError(f"expected a positive shard size, got {self.shard_bytes} bytes.")


def convert_folder(
    source: ModelFolder | Path,
    target: Path,
    settings_class: type,
    *,
    to: Layout | None = None,
    options: ConversionOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write the model of ``source`` to ``target`` in another layout; never more than a tensor is in memory.

    Work goes on in ``<target>.partial``, which is renamed at the end. An interrupted conversion is taken up where it
    was: files that are there are compared with what they should be, and kept if they are that.

    Args:
        source: model folder of either layout.
        target: new folder.
        settings_class: dataclass of the pipeline's settings.
        to: layout to write; left out, the other one.
        options: how files are written.
        progress: called with bytes done and bytes in all.

    Raises:
        ValueError: if the target exists, the layout is the source's own, or the disk is too small, and
            ``ModelFolderError`` for a source that is damaged or that the other layout cannot hold, all before anything
            is written; and if the disk fills up meanwhile, what is written being kept for the next call.
    """
    model = as_model_folder(source)
    layout = to or _OTHER[model.layout]
    if layout == model.layout:
        raise ValueError(f"expected a model to convert to the {layout} layout, got one that is in it: {model.path}.")
    if target.exists():
        raise ValueError(f"expected a new folder to write to, got {target}, which exists; choose another one.")
    partial = target.with_name(target.name + ".partial")
    if partial.exists() and not (partial / MARKER).is_file():
        raise ValueError(f"expected {partial} to be an unfinished conversion, got something else; move it away.")
    files = _PLANS[layout](model, settings_class, options or ConversionOptions())
    _clear(partial, set(files) | {MARKER})
    there = {name: (partial / name).stat().st_size for name in files if (partial / name).is_file()}
    total = sum(file.nbytes for file in files.values())
    _check_disk(target, total - sum(min(size, files[name].nbytes) for name, size in there.items()))
    try:
        _write(partial, files, progress)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise ValueError(
            f"the disk of {partial} is full, or refuses more ({error.strerror}): make room and run the same conversion "
            "again, which goes on where it was; or delete that folder."
        ) from error
    os.replace(partial, target)
    return target


def _write(partial: Path, files: Files, progress: Callable[[int, int], None] | None) -> None:
    partial.mkdir(parents=True, exist_ok=True)
    (partial / MARKER).touch()
    done, total = 0, sum(file.nbytes for file in files.values())
    for name, file in files.items():
        path = partial / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if file.is_at(path):
            LOGGER.info("%s is there already", path)
        else:
            file.write(path)
        done += file.nbytes
        if progress is not None:
            progress(done, total)
    (partial / MARKER).unlink()


def _clear(partial: Path, names: AbstractSet[str]) -> None:
    """Delete what is no file of the conversion: files cut off while they were written, or of other options."""
    for path in partial.rglob("*"):
        if path.is_file() and path.relative_to(partial).as_posix() not in names:
            path.unlink()


def _check_disk(target: Path, needed: int) -> None:
    parent = next(folder for folder in target.absolute().parents if folder.exists())
    free = shutil.disk_usage(parent).free
    if needed > free:
        raise ValueError(
            f"expected {in_gigabytes(needed)} free in {parent}, got {in_gigabytes(free)}; make room or choose another "
            "disk."
        )


def _files_of_ours(model: ModelFolder, settings_class: type, options: ConversionOptions) -> Files:
    """Our layout, with what only the official one has under ``official/`` for the way back."""
    opened = open_model(model)
    settings: Any = config_from_dict(settings_class, opened.settings, str(opened.origin))
    files: Files = {PIPELINE_FILE: TextFile(text=json_text(dataclasses.asdict(settings)))}
    carried = carried_folder(Path())
    for name in (Path(OFFICIAL_INDEX), SCHEDULER_FILE):
        if (model.path / name).is_file():
            files[(carried / name).as_posix()] = CopiedFile(source=model.path / name)
    for kind, part in opened.parts.items():
        official = OFFICIAL_PARTS[kind]
        ours = weights_files(WEIGHTS_STEM, part.our_weights(), options.shard_bytes, options.dtype)
        files |= _within(kind, {CONFIG_FILE: TextFile(text=json_text(KINDS[kind].write(part.config)))} | ours)
        back: Files = {CONFIG_FILE: CopiedFile(source=official_part_folder(model, kind) / CONFIG_FILE)}
        unread = official.unread(part, open_official_weights(model, kind))
        if unread:
            back |= weights_files(UNUSED_STEM, unread, options.shard_bytes, options.dtype)
        files |= _within((carried / official.folder).as_posix(), back)
    return files | _tokenizer(model)


def _files_of_official(model: ModelFolder, settings_class: type, options: ConversionOptions) -> Files:
    opened = open_model(model)
    settings = config_from_dict(settings_class, opened.settings, str(opened.origin))
    return official_files(model.path, opened, settings, options.shard_bytes, options.dtype) | _tokenizer(model)


def _tokenizer(model: ModelFolder) -> Files:
    folder = model.path / TOKENIZER
    return {
        path.relative_to(model.path).as_posix(): CopiedFile(source=path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _within(folder: str, files: Mapping[str, PlannedFile]) -> Files:
    return {f"{folder}/{name}": file for name, file in files.items()}


_OTHER: dict[Layout, Layout] = {"gen3r": "official", "official": "gen3r"}
_PLANS: dict[Layout, Callable[[ModelFolder, type, ConversionOptions], Files]] = {
    "gen3r": _files_of_ours,
    "official": _files_of_official,
}
