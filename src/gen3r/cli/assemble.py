"""``gen3r models assemble``: trained networks as one model folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from gen3r.cli.terminal import say, working


@dataclass(frozen=True, kw_only=True)
class Assemble:
    """Put the networks of finished runs together as a model folder, which every command takes as --model."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN ...")]
    """Runs, model folders, or names of downloaded models; the first that has a network provides it."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder of the model; an older model folder there is replaced."""
    preset: Literal["tiny", "small", "full", "lora", "micro"]
    """The preset that the networks were trained with."""
    name: str | None = None
    """What the model is called in the scenes it makes. Left out, like the preset."""
    revision: str = "1"
    """Which training this is, told in the scenes it makes."""
    steps: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Denoising steps where nobody says otherwise. Left out, the preset's."""
    max_travel: Annotated[float | None, tyro.conf.arg(metavar="DEPTHS")] = None
    """Farthest camera displacement in the training clips, in mean depths of the first view; farther paths are warned
    of."""

    def run(self) -> None:
        """Read the networks and write the folder.

        Raises:
            ValueError: naming the network that no run has, or that is not the one whose latents the transformer was
                trained on.
        """
        from gen3r.train.release import ReleaseConfig, release

        config = ReleaseConfig(
            runs=self.runs,
            preset=self.preset,
            out=self.out,
            name=self.name,
            revision=self.revision,
            steps=self.steps,
            max_travel=self.max_travel,
        )
        with working("Assembling the model"):
            release(config)
        say(f"Model in {self.out}; use it with gen3r generate --model {self.out}")
