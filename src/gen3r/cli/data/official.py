"""``gen3r data official``: to and from the layout that the official Gen3R training code reads."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from gen3r.cli.data.running import Running, run_units
from gen3r.cli.terminal import say

Source = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SRC")]
Target = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DST")]


@dataclass(frozen=True, kw_only=True)
class To:
    """Write clips as the official code reads them: scene folders with transforms.json, and the lists.

    A second dataset goes into the same DST, whose joined lists then name both.
    """

    source: Source
    """Folder of clip folders or shards."""
    target: Target
    """Root of the official layout."""
    name: str | None = None
    """Folder name of the dataset, such as re10k; left out, the source that each clip names."""
    relative: bool = False
    """Write lists with paths relative to them. The official code needs absolute paths."""
    running: Running = field(default_factory=Running)
    """Where the work is done."""

    def run(self) -> None:
        """Write the scenes that are not there yet, then the lists.

        Raises:
            ValueError: for an unusable source or target.
        """
        from gen3r.data.official.writing import ToOfficial, ToOfficialConfig, finish_official, list_to_official

        config = ToOfficialConfig(
            source=self.source.resolve(), target=self.target.resolve(), name=self.name, relative=self.relative
        )
        settings = {"source": str(config.source), "target": str(config.target), "name": self.name}
        _run("Writing scenes", ToOfficial, settings, list_to_official(config), self.target, self.running)
        for split, count in finish_official(config).items():
            say(f"{count:6d} scenes in {self.target}/{split}_videos_dirs.txt and its companions")


@dataclass(frozen=True, kw_only=True)
class From:
    """Read the official layout: every scene becomes a clip folder DST/<dataset>/<scene>."""

    source: Source
    """Root with joined lists, the folder of one dataset, or a folder of scene folders."""
    target: Target
    """Folder for the datasets."""
    licence: str = "unknown"
    """SPDX identifier or name of the terms, which the layout does not say."""
    scale: Literal["metric", "unknown"] = "unknown"
    """Whether poses are in metres, which the layout does not say."""
    link: bool = False
    """Hard-link pictures where the disk allows, instead of copying them. What is behind a symlink is copied."""
    running: Running = field(default_factory=Running)
    """Where the work is done."""

    def run(self) -> None:
        """Convert the scenes that are not there yet.

        Raises:
            ValueError: for an unusable source or target, or if scenes could not be converted.
        """
        from gen3r.data.official.reading import FromOfficial, FromOfficialConfig, list_from_official

        config = FromOfficialConfig(
            source=self.source.resolve(),
            target=self.target.resolve(),
            licence=self.licence,
            scale_kind=self.scale,
            link=self.link,
        )
        settings = {
            "source": str(config.source),
            "target": str(config.target),
            "licence": config.licence,
            "scale_kind": config.scale_kind,
            "link": config.link,
        }
        _run("Reading scenes", FromOfficial, settings, list_from_official(config), self.target, self.running)
        say(f"Datasets in {self.target}")


@dataclass(frozen=True, kw_only=True)
class Official:
    """Write and read the layout of the official Gen3R training code."""

    direction: Annotated[To, tyro.conf.subcommand("to")] | Annotated[From, tyro.conf.subcommand("from")]

    def run(self) -> None:
        """Run the chosen direction."""
        self.direction.run()


def _run(
    label: str, unit: type, settings: dict[str, Any], items: list[dict[str, Any]], target: Path, running: Running
) -> None:
    if items:
        report = run_units(label, unit, settings, items, target, running)
        if report.failed:
            raise ValueError(f"{len(report.failed)} of {len(items)} scenes failed, see above; the others are done.")
