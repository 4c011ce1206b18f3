"""``gen3r convert``: a model folder in the official layout, or an official one in ours."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from gen3r.cli.download import announce_download
from gen3r.cli.terminal import progress_bar, say

_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def parse_bytes(text: str, option: str = "--shard-size") -> int:
    """``5GB``, ``300MB`` or ``1GiB`` in bytes.

    Raises:
        ValueError: for anything that is not a positive number with such a unit.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]+)", text.strip(), re.IGNORECASE)
    unit = None if match is None else _UNITS.get(match[2].upper())
    size = 0 if match is None or unit is None else int(float(match[1]) * unit)
    if size <= 0:
        raise ValueError(f"{option} expects a size such as 5GB or 300MB, got {text!r}.")
    return size


@dataclass(frozen=True, kw_only=True)
class Convert:
    """Write a model in the other layout: the official one to ours, ours for the official code to run."""

    source: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="SRC")]
    """Model folder in either layout, or a model's name."""
    target: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DST")]
    """New folder. Run the same command again after an interruption: it goes on where it was."""
    to: Annotated[Literal["official", "gen3r"] | None, tyro.conf.arg(metavar="LAYOUT")] = None
    """Layout to write, official or gen3r. Left out: the one that the source is not in."""
    shard_size: Annotated[str, tyro.conf.arg(metavar="SIZE")] = "5GB"
    """Largest file of weights."""
    dtype: Literal["float32", "float16", "bfloat16"] | None = None
    """Type of the weights in the files. Left out, they are copied bit by bit."""

    def run(self) -> None:
        """Convert, with a bar, and name the new folder.

        Raises:
            ValueError: for a source that is no model, is damaged or does not exist in the other layout, and for a
                target that exists or does not fit on its disk; before anything is written.
        """
        shard_bytes = parse_bytes(self.shard_size)
        if self.target.exists():
            raise ValueError(f"expected a new folder to write to, got {self.target}, which exists; choose another one.")
        import torch

        from gen3r.hub.conversion import ConversionOptions, convert_folder
        from gen3r.hub.registry import resolve_model
        from gen3r.pipeline.config import PipelineConfig

        source = resolve_model(self.source, announce=announce_download)
        options = ConversionOptions(
            shard_bytes=shard_bytes, dtype=None if self.dtype is None else getattr(torch, self.dtype)
        )
        with progress_bar("bytes") as advance:
            folder = convert_folder(source, self.target, PipelineConfig, to=self.to, options=options, progress=advance)
        say(str(folder))
