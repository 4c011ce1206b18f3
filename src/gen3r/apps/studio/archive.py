"""Results in the formats a client asks for, as one zip. Formats are made in a process of their own (`exporting`)."""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gen3r.apps.studio.errors import InvalidRequest, QueueFull
from gen3r.apps.studio.exporting import REFUSED
from gen3r.scene.export.registry import EXPORT_FORMATS, ExportFormat
from gen3r.whole_file import whole_file

logger = logging.getLogger("gen3r.studio")

ALL = "all"
EXPORT_SECONDS = 900
WAIT_SECONDS = 30
KEPT = 2
"""Zips that a scene keeps, the newest ones."""
UNFINISHED = ".export-"
"""How folders begin that are gone once an archive is made."""
_COMPRESSED = (".png", ".mp4", ".zip", ".spz", ".jpg")
_exporting = threading.Lock()
"""One export at a time: some need much memory."""


def is_here(item: ExportFormat) -> bool:
    """Whether the libraries of a format are installed."""
    return item.extra is None or not item.extra.missing


def chosen_formats(names: Sequence[str]) -> tuple[ExportFormat, ...]:
    """Formats by name, in the registry's order; "all" means those whose libraries are installed.

    Raises:
        InvalidRequest: for no name, an unknown one, or one whose libraries are not here.
    """
    known = {item.name: item for item in EXPORT_FORMATS}
    unknown = [name for name in names if name not in known and name != ALL]
    if unknown or not names:
        raise InvalidRequest("unknown format" if unknown else "no format named", f"choose among {', '.join(known)}")
    if ALL in names:
        return tuple(item for item in EXPORT_FORMATS if is_here(item))
    for name in names:
        item = known[name]
        if item.extra is not None and item.extra.missing:
            raise InvalidRequest(f"the format {name} is not available here", f"the operator needs {item.extra.remedy}")
    return tuple(item for item in EXPORT_FORMATS if item.name in names)


def make_archive(scene: Path, formats: Sequence[ExportFormat], folder: Path, *, lenient: bool = False) -> Path:
    """A zip in ``folder`` with the files of these formats; an existing one is used again.

    Files that the scene folder holds already are taken from there.

    Args:
        scene: scene folder.
        formats: what to put into it.
        folder: where archives of this scene are kept, made if it is not there.
        lenient: leave out formats that cannot hold the scene, and say so in a text file of the zip.

    Raises:
        InvalidRequest: if the scene cannot be written in one of the formats.
        QueueFull: if others are being made.
    """
    folder.mkdir(exist_ok=True)
    target = folder / f"{'+'.join(item.name for item in formats)}.zip"
    if target.exists():
        return target
    with _one_at_a_time():
        if target.exists():  # somebody else asked for the same
            return target
        other = [item for item in formats if not item.standard]
        with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=folder, ignore_cleanup_errors=True) as temporary:
            made = Path(temporary) / "made"
            if other:
                _export(scene, made, [item.name for item in other], lenient)
            members = {
                file.relative_to(place).as_posix(): file
                for place, names in (
                    (scene, [name for item in formats if item.standard for name in item.files]),
                    (made, [path.name for path in made.glob("*")]),
                )
                for file in _files(place, names)
            }
            with whole_file(target) as partial, zipfile.ZipFile(partial, "w", compresslevel=1) as archive:
                for name, file in sorted(members.items()):
                    stored = file.suffix in _COMPRESSED
                    archive.write(file, name, zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED)
        others = [file for file in folder.glob("*.zip") if file != target]
        for old in sorted(others, key=lambda file: file.stat().st_mtime_ns)[: 1 - KEPT]:
            old.unlink()
    return target


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    if not _exporting.acquire(timeout=WAIT_SECONDS):
        raise QueueFull("other results are being packed", "try again later", retry_after=10)
    try:
        yield
    finally:
        _exporting.release()


def _files(folder: Path, names: Iterable[str]) -> list[Path]:
    found = [folder / name for name in names]
    nested = [file for path in found if path.is_dir() for file in path.rglob("*") if file.is_file()]
    return [*(path for path in found if path.is_file()), *nested]


def _export(scene: Path, out: Path, names: Sequence[str], lenient: bool) -> None:
    words = [str(scene), str(out), *(["--lenient"] if lenient else []), *names]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "gen3r.apps.studio.exporting", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=EXPORT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InvalidRequest("these formats take too long to make", "choose fewer of them") from error
    if done.returncode == REFUSED:
        raise InvalidRequest(done.stdout.strip().rstrip(".").replace(str(scene), "the scene"), "choose other formats")
    if done.returncode != 0:
        logger.error("export of %s as %s failed: %s", scene, ", ".join(names), done.stderr)
        raise RuntimeError(f"export as {', '.join(names)} failed")
