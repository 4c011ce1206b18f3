"""Synthetic clips as clip folders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gen3r.data.clip import split_of
from gen3r.data.schema import write_clip
from gen3r.data.synthetic.generate import generate_clips
from gen3r.data.synthetic.render import sample_counts
from gen3r.data.synthetic.sheet import MOST_ROWS, contact_sheet, excerpt
from gen3r.scene.export.output_folder import check_output_folder

SOURCE = "gen3r synthetic scenes"
LICENCE = "CC0-1.0"
"""What the generator makes holds nobody else's material."""


@dataclass(frozen=True, kw_only=True)
class SynthConfig:
    """Which synthetic clips to write, and how."""

    out: Path
    """New folder; one clip folder per seed in it."""
    count: int = 8
    """Number of clips."""
    seed: int = 0
    """Seed of the first clip; the others follow. All must belong to one split."""
    frames: int = 17
    """Frames per clip."""
    height: int = 224
    """Image rows in pixels."""
    width: int = 224
    """Image columns in pixels."""
    samples: int = 4
    """Colour samples per pixel: 1, 2 or 4."""
    device: str = "cpu"
    """Where to render."""
    compiled: bool = False
    """Compile the renderer first: a minute or more, then several times faster. Pays from some dozens of clips on."""
    sheet: Path | None = None
    """A PNG to draw the first clips into."""

    def __post_init__(self) -> None:
        for name in ("count", "frames", "height", "width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if self.samples not in sample_counts():
            raise ValueError(f"samples must be one of {sample_counts()}, got {self.samples}.")
        first, last = split_of(self.seed), split_of(self.last_seed)
        if first != last:
            raise ValueError(
                f"seeds {self.seed}..{self.last_seed} reach from {first} into {last}; give each split its own folder."
            )

    @property
    def last_seed(self) -> int:
        """Seed of the last clip."""
        return self.seed + self.count - 1


def write_clips(config: SynthConfig, progress: Callable[[int, int], None] | None = None) -> list[Path]:
    """Write the clips and return their folders; ``progress`` is told (written, total).

    Every clip folder appears whole; stopping early leaves those that are finished, and no sheet.

    Raises:
        ValueError: before any work, if ``config.out`` is a file, not empty or not writable.
    """
    out = check_output_folder(config.out)
    folders: list[Path] = []
    excerpts = []
    for clip in generate_clips(
        range(config.seed, config.last_seed + 1),
        config.frames,
        config.height,
        config.width,
        device=config.device,
        samples=config.samples,
        compiled=config.compiled,
    ):
        folder = out / f"{clip.seed:09d}"
        write_clip(clip, folder, split=split_of(clip.seed), source=SOURCE, licence=LICENCE)
        folders.append(folder)
        if config.sheet is not None and len(excerpts) < MOST_ROWS:
            excerpts.append(excerpt(clip))
        if progress is not None:
            progress(len(folders), config.count)
    if config.sheet is not None:
        contact_sheet(excerpts, config.sheet)
    return folders
