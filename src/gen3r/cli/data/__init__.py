"""``gen3r data``: datasets of clips, from the raw files to what training reads. One file per task."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from gen3r.cli.data.caption import Caption
from gen3r.cli.data.check import Check
from gen3r.cli.data.convert import Convert
from gen3r.cli.data.encode import Encode
from gen3r.cli.data.official import Official
from gen3r.cli.data.pack import Pack, Unpack
from gen3r.cli.data.show import Show

Task = (
    Annotated[Convert, tyro.conf.subcommand("convert")]
    | Annotated[Show, tyro.conf.subcommand("show")]
    | Annotated[Check, tyro.conf.subcommand("check")]
    | Annotated[Pack, tyro.conf.subcommand("pack")]
    | Annotated[Unpack, tyro.conf.subcommand("unpack")]
    | Annotated[Official, tyro.conf.subcommand("official")]
    | Annotated[Caption, tyro.conf.subcommand("caption")]
    | Annotated[Encode, tyro.conf.subcommand("encode")]
)


@dataclass(frozen=True, kw_only=True)
class Data:
    """Make, look at, check and pack datasets for training."""

    task: Task

    def run(self) -> None:
        """Run the chosen task."""
        self.task.run()
