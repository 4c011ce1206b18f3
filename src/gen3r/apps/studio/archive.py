"""Results in the formats a client asks for, as one zip. Formats are made in a process of their own.

``python -m gen3r.apps.studio.archive SCENE OUT FORMAT ...`` is that process: what it says on stdout is what was wrong.
"""

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
from gen3r.scene.export.registry import EXPORT_FORMATS, ExportFormat
from gen3r.whole_file import whole_file

logger = logging.getLogger("gen3r.studio")

ALL = "all"
EXPORT_SECONDS = 900
WAIT_SECONDS = 30
REFUSED = 2
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


def make_archive(scene: Path, formats: Sequence[ExportFormat], folder: Path) -> Path:
    """A zip in ``folder`` with the files of these formats; an existing one is used again.

    Files that the scene folder holds already are taken from there.

    Args:
        scene: scene folder.
        formats: what to put into it.
        folder: where archives of this scene are kept, made if it is not there.

    Raises:
        InvalidRequest: if the scene cannot be written in one of the formats.
        QueueFull: if others are being made.
    """
    folder.mkdir(exist_ok=True)
    target = folder / f"{'+'.join(item.name for item in formats)}.zip"
    if target.exists():
        return target
    with _one_at_a_time():
        other = [item for item in formats if not item.standard]
        with tempfile.TemporaryDirectory(prefix=".export-", dir=folder) as temporary:
            made = Path(temporary) / "made"
            if other:
                _export(scene, made, [item.name for item in other])
            found = {scene: [item for item in formats if item.standard], made: other}
            members = {
                file.relative_to(place).as_posix(): file for place in found for file in _files(place, found[place])
            }
            with whole_file(target) as partial, zipfile.ZipFile(partial, "w", compresslevel=1) as archive:
                for name, file in sorted(members.items()):
                    stored = file.suffix in _COMPRESSED
                    archive.write(file, name, zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED)
    return target


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    if not _exporting.acquire(timeout=WAIT_SECONDS):
        raise QueueFull("other results are being packed", "try again later", retry_after=10)
    try:
        yield
    finally:
        _exporting.release()


def _files(folder: Path, formats: Iterable[ExportFormat]) -> list[Path]:
    found = [folder / name for item in formats for name in item.files]
    nested = [file for path in found if path.is_dir() for file in path.rglob("*") if file.is_file()]
    return [*(path for path in found if path.is_file()), *nested]


def _export(scene: Path, out: Path, names: Sequence[str]) -> None:
    command = [sys.executable, "-m", "gen3r.apps.studio.archive", str(scene), str(out), *names]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=EXPORT_SECONDS, check=False
    )
    if done.returncode == REFUSED:
        raise InvalidRequest(done.stdout.strip().replace(str(scene), "the scene"), "choose other formats")
    if done.returncode != 0:
        logger.error("export of %s as %s failed: %s", scene, ", ".join(names), done.stderr)
        raise RuntimeError(f"export as {', '.join(names)} failed")


def main(arguments: Sequence[str]) -> int:
    """Write the formats ``arguments[2:]`` of the scene folder ``arguments[0]`` into ``arguments[1]``."""
    from gen3r.scene.export.folder import export_scene

    try:
        export_scene(arguments[0], arguments[2:], arguments[1])
    except ValueError as error:
        sys.stdout.write(str(error))
        return REFUSED
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
