"""``gen3r synth``: clips of generated scenes, with exact depth and cameras."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from gen3r.cli.output_file import check_output_file
from gen3r.cli.seeds import check_seed
from gen3r.cli.sizes import parse_size
from gen3r.cli.terminal import Advance, progress_bar, say
from gen3r.scene.export.output_folder import check_output_folder


@dataclass(frozen=True, kw_only=True)
class Synth:
    """Generate clips of rooms and outdoor scenes with exact depth, cameras and captions.

    The split is a rule of the seed: below 800000000 clips are for training, below 900000000 for validation, from there
    on held out for measuring.
    """

    out: Annotated[Path, tyro.conf.arg(metavar="DIR|FILE")]
    """New folder with one folder per clip in it; with --pack, a new file."""
    count: int = 8
    """Number of clips."""
    seed: int = 0
    """Seed of the first clip; the others follow."""
    frames: int = 17
    """Frames per clip."""
    size: Annotated[str, tyro.conf.arg(metavar="HxW")] = "224x224"
    """Height and width in pixels."""
    samples: Literal[1, 2, 4] = 4
    """Colour samples per pixel; more is smoother and slower."""
    pack: bool = False
    """Write one packed file, which gen3r train --data and gen3r eval synthetic --pack read."""
    sheet: Annotated[Path | None, tyro.conf.arg(metavar="FILE.png")] = None
    """Also draw a contact sheet of the first clips (not with --pack)."""
    compiled: bool = False
    """Compile the renderer first: a minute or more, then several times faster."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:1; auto takes a GPU if there is one."""

    def run(self) -> None:
        """Generate and write.

        Raises:
            ValueError: for seeds of two splits, or unusable outputs; nothing has been written then.
        """
        size = parse_size(self.size) or (0, 0)
        if self.count < 1 or self.frames < 1:
            raise ValueError(
                f"expected at least one clip of one frame, got --count {self.count} and --frames {self.frames}."
            )
        check_seed(self.seed, count=self.count)
        self.check_outputs()
        with progress_bar("Generating clips") as advance:
            if self.pack:
                self.write_pack(size, advance)
            else:
                self.write_folders(size, advance)
        say(f"{self.count} clips of {self.frames} frames of {size[0]}x{size[1]} in {self.out}")
        if self.sheet is not None:
            say(f"Look first at {self.sheet}")

    def check_outputs(self) -> None:
        """Raise ValueError for an output that cannot be written; touches nothing."""
        if self.sheet is not None:
            if self.pack:
                raise ValueError("--sheet and --pack exclude each other; draw the sheet from clip folders.")
            check_output_file(self.sheet, "--sheet")
        if not self.pack:
            check_output_folder(self.out)
        elif self.out.exists():
            raise ValueError(f"--out expects a new file with --pack, but {self.out} exists; name another one.")
        else:
            check_output_file(self.out)

    def write_folders(self, size: tuple[int, int], advance: Advance) -> None:
        """One clip folder per seed, and the sheet."""
        from gen3r.cli.device import resolve_device
        from gen3r.data.synthetic.writer import SynthConfig, write_clips

        config = SynthConfig(
            out=self.out,
            count=self.count,
            seed=self.seed,
            frames=self.frames,
            height=size[0],
            width=size[1],
            samples=self.samples,
            device=str(resolve_device(self.device)),
            compiled=self.compiled,
            sheet=self.sheet,
        )
        write_clips(config, advance)

    def write_pack(self, size: tuple[int, int], advance: Advance) -> None:
        """All clips in one file."""
        from gen3r.cli.device import resolve_device
        from gen3r.data.synthetic.bulk import BulkConfig, generate_pack

        config = BulkConfig(
            out=self.out,
            start_seed=self.seed,
            count=self.count,
            frames=self.frames,
            height=size[0],
            width=size[1],
            samples=self.samples,
            device=str(resolve_device(self.device)),
            compiled=self.compiled,
        )
        generate_pack(config, advance)
