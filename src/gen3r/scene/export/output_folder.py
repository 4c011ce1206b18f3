"""Output folders appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gen3r.whole_file import sync_names, sync_tree


def check_output_folder(out: str | Path) -> Path:
    """Check, before any work, that a folder can be made at `out`; returns it resolved.

    Raises `ValueError` if it is a file or below one, not empty, or not writable. Nothing is left behind.
    """
    path = Path(out).expanduser().resolve()
    if path.exists() and not path.is_dir():
        raise ValueError(f"the output folder {out} is a file; choose another name.")
    if path.is_dir() and any(path.iterdir()):
        raise ValueError(f"the output folder {out} is not empty; choose a new one, nothing is overwritten.")
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    if not existing.is_dir():
        raise ValueError(f"the output folder {out} cannot be made: {existing} is a file; choose another place.")
    if not _accepts_folders(existing):
        raise ValueError(f"the output folder {out} cannot be written: no permission to write in {existing}.")
    return path


@contextmanager
def whole_folder(out: str | Path) -> Iterator[Path]:
    """A temporary folder to fill, which becomes `out` when the block ends; an exception leaves nothing behind.

    Its files are on the disk before it gets its name: what is there is whole, also after a power cut.

    The temporary folder is a hidden sibling of `out`, so that the final step is one rename. If `out` exists
    (empty) and its parent is not writable or another disk (a mount point), it is a hidden child instead, whose
    content is moved up at the end.
    """
    path = check_output_folder(out)
    inside = path.exists() and (path.is_mount() or not _accepts_folders(path.parent))
    created = [] if inside else _make_missing(path.parent)
    try:
        staging = Path(tempfile.mkdtemp(prefix=f".{path.name}.partial-", dir=path if inside else path.parent))
        try:
            staging.chmod(0o777 & ~_umask())  # mkdtemp makes it private; the result should be an ordinary folder
            yield staging
            sync_tree(staging)
            if inside:
                for item in sorted(staging.iterdir()):
                    item.rename(path / item.name)
                staging.rmdir()
            else:
                if path.exists():
                    path.rmdir()  # checked empty; refuses if somebody filled it meanwhile
                staging.rename(path)
            sync_names(path if inside else path.parent)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
    except BaseException:
        for folder in created:
            folder.rmdir()
        raise


def replace_item(new: Path, target: Path) -> None:
    """Move a file or folder over `target`, which may exist; a reader sees the old or the new one, never half."""
    if not target.is_dir():
        os.replace(new, target)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.old-", dir=target.parent))
    target.rename(aside / target.name)
    new.rename(target)
    shutil.rmtree(aside)


def _accepts_folders(folder: Path) -> bool:
    """Try it: permission bits say little about read-only disks or administrators."""
    try:
        os.rmdir(tempfile.mkdtemp(prefix=".gen3r-check-", dir=folder))
    except OSError:
        return False
    return True


def _make_missing(folder: Path) -> list[Path]:
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
