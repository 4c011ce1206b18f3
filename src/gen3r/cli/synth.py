"""``gen3r synth``: clips of generated scenes, with exact depth and cameras."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True, kw_only=True)
class Synth:
    """Generate clips of rooms and outdoor scenes with exact depth, cameras and captions."""

    out: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """New folder; one scene folder per clip in it."""

    def run(self) -> None:
        """Write."""
        raise NotImplementedError
