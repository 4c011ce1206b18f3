"""Libraries that only some tasks need: which extra brings them, and what to say when they are not here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec


@dataclass(frozen=True, kw_only=True)
class Extra:
    """A group of optional libraries, installed with ``pip install 'gen3r[name]'``."""

    name: str
    """As in pyproject.toml."""
    modules: tuple[str, ...]
    """Top-level modules that the task imports."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Modules that are not installed. Nothing is imported."""
        return tuple(module for module in self.modules if find_spec(module) is None)

    @property
    def remedy(self) -> str:
        """The command that installs it."""
        return f"pip install 'gen3r[{self.name}]'"

    def require(self, task: str) -> None:
        """Check that the libraries are here.

        Args:
            task: what needs them, the subject of the message, such as "the format usd".

        Raises:
            ValueError: naming the missing modules and the command that brings them.
        """
        if self.missing:
            raise ValueError(f"{task} needs {_listed(self.missing)}, not installed here; run: {self.remedy}")


MESH = Extra(name="mesh", modules=("open3d",))
PYCOLMAP = Extra(name="exports", modules=("pycolmap",))


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
