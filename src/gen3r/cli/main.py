"""The ``gen3r`` command line. Imports here stay light: ``--help`` answers before any network library is loaded."""

import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Annotated

import tyro

from gen3r.cli.convert import Convert
from gen3r.cli.data import Data
from gen3r.cli.doctor import Doctor
from gen3r.cli.errors import report_user_errors
from gen3r.cli.evaluation import Eval
from gen3r.cli.export import Export
from gen3r.cli.generate import Generate
from gen3r.cli.import_scene import Import
from gen3r.cli.models import Models
from gen3r.cli.reconstruct import Reconstruct
from gen3r.cli.studio import StudioCommand
from gen3r.cli.synth import Synth
from gen3r.cli.terminal import say, telling_log
from gen3r.cli.train import Train
from gen3r.cli.view import View

Command = (
    Annotated[Generate, tyro.conf.subcommand("generate")]
    | Annotated[Reconstruct, tyro.conf.subcommand("reconstruct")]
    | Annotated[Synth, tyro.conf.subcommand("synth")]
    | Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[Eval, tyro.conf.subcommand("eval")]
    | Annotated[Export, tyro.conf.subcommand("export")]
    | Annotated[Import, tyro.conf.subcommand("import")]
    | Annotated[View, tyro.conf.subcommand("view")]
    | Annotated[StudioCommand, tyro.conf.subcommand("studio")]
    | Annotated[Convert, tyro.conf.subcommand("convert")]
    | Annotated[Data, tyro.conf.subcommand("data")]
    | Annotated[Models, tyro.conf.subcommand("models")]
    | Annotated[Doctor, tyro.conf.subcommand("doctor")]
)

MARKERS = (tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes, tyro.conf.FlagCreatePairsOff)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 done, 1 a defect (with its traceback), 2 something the user can mend (one line)."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words == ["--version"]:
        say(f"gen3r {metadata.version('gen3r')}")
        raise SystemExit(0)
    command = tyro.cli(
        Command,
        prog="gen3r",
        description="From photos, videos or words to 3D scenes: video, depth, cameras and a point cloud.",
        args=words,
        config=MARKERS,
    )
    with telling_log():
        code = report_user_errors(command.run)
    raise SystemExit(code)
