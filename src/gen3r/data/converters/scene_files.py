"""The files of one scene, be it a folder or the archive it was downloaded as."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

from gen3r.data.converters.pictures import PictureHeader, PictureSource
from gen3r.data.converters.side_files import read_bounded
from gen3r.scene.files import check_file, reading


@runtime_checkable
class SceneFiles(Protocol):
    """Files by their path below the scene, with forward slashes."""

    def below(self, folder: str) -> SceneFiles:
        """The same files seen from a folder among them ("." for the scene itself)."""
        ...

    def sizes(self) -> dict[str, int]:
        """Bytes of the files of this folder and of the folders directly in it, by path; sorted."""
        ...

    def read(self, name: str) -> bytes:
        """A file's content; `ValueError` if it cannot be read."""
        ...

    def picture(self, name: str) -> PictureSource:
        """A picture, to be read later."""
        ...

    def header(self, name: str) -> PictureHeader:
        """Its size; `ValueError` if it is damaged."""
        ...


@dataclass(frozen=True)
class FolderFiles:
    """A folder on disk."""

    root: Path

    def below(self, folder: str) -> FolderFiles:
        """As `SceneFiles`."""
        return FolderFiles(self.root / folder)

    def sizes(self) -> dict[str, int]:
        """As `SceneFiles`."""
        with reading(self.root):
            children = sorted(self.root.iterdir())
            files = [path for path in children if path.is_file()]
            files += [path for folder in children if folder.is_dir() for path in sorted(folder.iterdir())]
            return {path.relative_to(self.root).as_posix(): path.stat().st_size for path in files if path.is_file()}

    def read(self, name: str) -> bytes:
        """As `SceneFiles`."""
        check_file(self.root / name)
        with (self.root / name).open("rb") as file:
            return read_bounded(file, name, _LARGEST_MEMBER)

    def picture(self, name: str) -> PictureSource:
        """As `SceneFiles`."""
        return self.root / name

    def header(self, name: str) -> PictureHeader:
        """As `SceneFiles`."""
        return PictureHeader.read(self.root / name, name)


_LARGEST_MEMBER = 256 << 20
"""Bytes that are unpacked of one file."""
_DAMAGED = (
    zipfile.BadZipFile,
    OSError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OverflowError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
)
"""What zipfile raises for broken archives, and for encrypted or unknown kinds of members."""


@dataclass(frozen=True)
class ZipFiles:
    """A zip, or a folder in it; nothing is unpacked."""

    archive: Path
    """The file."""
    root: str = ""
    """With a slash at its end, if it is not empty."""

    def below(self, folder: str) -> ZipFiles:
        """As `SceneFiles`."""
        return self if folder == "." else ZipFiles(self.archive, f"{self.root}{folder}/")

    def sizes(self) -> dict[str, int]:
        """As `SceneFiles`, but of the whole tree."""
        with _opened(self.archive) as archive:
            members = sorted((item.filename, item.file_size) for item in archive.infolist() if not item.is_dir())
        return {name[len(self.root) :]: size for name, size in members if name.startswith(self.root)}

    def read(self, name: str) -> bytes:
        """As `SceneFiles`."""
        with _opened(self.archive) as archive, archive.open(self.root + name) as file:
            return read_bounded(cast(BufferedIOBase, file), name, _LARGEST_MEMBER)

    def picture(self, name: str) -> PictureSource:
        """As `SceneFiles`."""
        return lambda: self.read(name)

    def header(self, name: str) -> PictureHeader:
        """As `SceneFiles`; of the member only the beginning is unpacked."""
        with _opened(self.archive) as archive, archive.open(self.root + name) as file:
            return PictureHeader.read(cast(BufferedIOBase, file), name)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except _DAMAGED as error:
        raise ValueError(f"{path} is damaged or no plain zip ({error!s:.160}); get a fresh copy.") from error
