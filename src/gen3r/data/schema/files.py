"""Where the files of a clip lie: a folder, or anything else that knows its files by the same names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from gen3r.scene.files import reading
from gen3r.scene.images import list_folder


@runtime_checkable
class ClipFiles(Protocol):
    """The files of one clip, named as in a clip folder: "scene.json", "frames/frame00000.jpg"."""

    @property
    def place(self) -> str:
        """Where they lie, for messages."""
        ...

    def pictures(self, folder: str) -> tuple[str, ...]:
        """Names of the pictures in "frames", "depth" or "masks", in order; none if there is no such folder."""
        ...

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        ...

    def read(self, name: str) -> bytes:
        """A file whole.

        Raises:
            ValueError: if it is missing or cannot be read.
        """
        ...


@dataclass(frozen=True)
class FolderFiles:
    """A clip folder."""

    folder: Path
    """With scene.json in it."""

    @property
    def place(self) -> str:
        """The folder."""
        return str(self.folder)

    def pictures(self, folder: str) -> tuple[str, ...]:
        """Names of the pictures, in natural order."""
        inside = self.folder / folder
        return tuple(f"{folder}/{path.name}" for path in list_folder(inside)) if inside.is_dir() else ()

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return (self.folder / name).is_file()

    def read(self, name: str) -> bytes:
        """A file whole; `ValueError` if it is missing or cannot be read."""
        path = self.folder / name
        if not path.is_file():
            raise ValueError(f"{self.folder} lacks {name}.")
        with reading(path):
            return path.read_bytes()
