"""``gen3r train``: one training stage of a preset."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train one network of a preset on generated clips."""

    stage: Annotated[Literal["vggt", "vae", "adapter", "diffusion"], tyro.conf.Positional]
    """What to train. vggt and vae stand alone; adapter needs both; diffusion needs all three."""
    out: Annotated[Path, tyro.conf.arg(metavar="RUN")]
    """Folder of the run: log, sample pictures, checkpoints."""
    preset: Literal["tiny", "small"] = "small"
    """Sizes and schedule: tiny trains on a CPU, small on one GPU."""
    resume: bool = False
    """Go on from the newest checkpoint in the run's folder."""

    def run(self) -> None:
        """Train."""
        raise NotImplementedError
