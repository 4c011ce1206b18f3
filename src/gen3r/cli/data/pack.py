"""``gen3r data pack`` and ``unpack``: clip folders into tar shards, and back."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from gen3r.cli.data.running import Running, run_units
from gen3r.cli.terminal import say

Split = Literal["train", "validation", "held-out"]


@dataclass(frozen=True, kw_only=True)
class Pack:
    """Pack clip folders into WebDataset tar shards with an index, one set per split.

    Stopped half way, the same command goes on; shards appear whole.
    """

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SRC")]
    """Folder of clip folders."""
    target: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DST")]
    """Folder for the shards."""
    shard_size: float = 1000.0
    """Megabytes of a shard at most; a larger clip has one for itself."""
    splits: tuple[Split, ...] = ("train", "validation", "held-out")
    """Which to pack."""
    leave_out: Annotated[Path | None, tyro.conf.arg(metavar="FILE.txt")] = None
    """Names of clips not to pack, one a line, as gen3r data check --list writes them."""
    running: Running = field(default_factory=Running)
    """Where the work is done."""

    def run(self) -> None:
        """Pack what is not packed yet.

        Raises:
            ValueError: for an unusable source or target, or if clips could not be packed.
        """
        from gen3r.data.shards.packing import PackConfig, PackShard, finish_packing, plan_packing

        config = PackConfig(
            source=self.source,
            target=self.target,
            shard_bytes=round(self.shard_size * 1e6),
            splits=self.splits,
            leave_out=self.left_out(),
        )
        items = plan_packing(config)
        settings = {"source": str(self.source.resolve()), "target": str(self.target.resolve())}
        if items:
            run_units("Packing", PackShard, settings, items, self.target, self.running)
        for index in finish_packing(config):
            say(f"Packed: {index}")

    def left_out(self) -> frozenset[str]:
        """The names in the file.

        Raises:
            ValueError: if there is no such file.
        """
        if self.leave_out is None:
            return frozenset()
        if not self.leave_out.is_file():
            raise ValueError(f"there is no file {self.leave_out}; gen3r data check --list writes one.")
        return frozenset(self.leave_out.read_text(encoding="utf-8").split())


@dataclass(frozen=True, kw_only=True)
class Unpack:
    """Make clip folders of shards again.

    Stopped half way, the same command goes on; clips appear whole.
    """

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SRC")]
    """Folder of shards."""
    target: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DST")]
    """Folder for the clip folders."""
    running: Running = field(default_factory=Running)
    """Where the work is done."""

    def run(self) -> None:
        """Unpack what is not there yet.

        Raises:
            ValueError: for an unusable source, or if clips could not be unpacked.
        """
        from gen3r.data.shards.unpacking import UnpackClip, list_unpacking

        items = list_unpacking(self.source, self.target)
        settings = {"source": str(self.source.resolve()), "target": str(self.target.resolve())}
        if items:
            report = run_units("Unpacking", UnpackClip, settings, items, self.target, self.running)
            if report.failed:
                raise ValueError(f"{len(report.failed)} clips could not be unpacked; see above.")
        say(f"Clip folders in {self.target}")
