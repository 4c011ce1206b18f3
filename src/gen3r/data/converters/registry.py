"""Every converter by name. A converter is imported when it is used, not before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

from gen3r.data.converting.raw import Converter
from gen3r.extras import Extra
from gen3r.mistakes import did_you_mean


@dataclass(frozen=True, kw_only=True)
class ConverterEntry:
    """What is known of a converter without importing it."""

    name: str
    """On the command line, and the ``source`` of its clips."""
    module: str
    """Where it is; holds the constant ``CONVERTER``."""
    summary: str
    """What the dataset is, in one line."""
    download: str
    """Where a user gets it, in one line. Nothing here downloads it."""
    terms: str
    """Its licence, and where that is written."""
    extra: Extra | None = None
    """Optional libraries it needs."""


_ENTRIES: tuple[ConverterEntry, ...] = ()

CONVERTERS: Mapping[str, ConverterEntry] = {entry.name: entry for entry in _ENTRIES}
"""By name, in the order they are listed to users."""


def load_converter(name: str) -> Converter:
    """Import one converter.

    Raises:
        ValueError: for an unknown name, telling the nearest known one; and if a library it needs is not installed.
    """
    entry = CONVERTERS.get(name)
    if entry is None:
        raise ValueError(
            f"unknown dataset {name!r}; known are {', '.join(CONVERTERS)}.{did_you_mean(name, CONVERTERS)}"
        )
    if entry.extra is not None:
        entry.extra.require(f"converting {name}")
    return import_module(entry.module).CONVERTER
