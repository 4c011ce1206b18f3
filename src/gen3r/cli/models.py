"""``gen3r models``: which models there are, where they lie, and whether they are whole."""

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from gen3r.cli.assemble import Assemble
from gen3r.cli.download import announce_download
from gen3r.cli.terminal import say, working
from gen3r.hub.entries import MODELS
from gen3r.hub.registry import fetch_companions, fetch_model, present_models, refuse_revision, resolve_model
from gen3r.hub.sizes import in_gigabytes

if TYPE_CHECKING:
    from gen3r.hub.inventory import ModelState
    from gen3r.hub.verify import FileReport

Name = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
Json = Annotated[bool, tyro.conf.arg(name="json")]


@dataclass(frozen=True, kw_only=True)
class List:
    """Tell every model: whether it is here, its size and licence, and where it lies."""

    as_json: Json = False
    """Print JSON instead of a table."""

    def run(self) -> None:
        """Print a table, or JSON."""
        from gen3r.hub.inventory import inventory

        states = inventory()
        if self.as_json:
            say(json.dumps([state_record(state) for state in states], indent=2))
            return
        from rich.console import Console
        from rich.table import Table

        table = Table("model", "state", "size", "licence", "folder", box=None, pad_edge=False)
        for state in states:
            folder = str(state.folder) if state.folder is not None and state.bytes_on_disk else ""
            table.add_row(state.entry.name, state_words(state), size_words(state), state.entry.licence, folder)
        console = Console(file=sys.stdout)
        (console if console.is_terminal else Console(file=sys.stdout, width=400)).print(table)


@dataclass(frozen=True, kw_only=True)
class Show:
    """Tell all about one model: source, licence, parts with their sizes, and what is here of it."""

    name: Name
    """Name of a model, or repository id."""
    as_json: Json = False
    """Print JSON instead of lines."""

    def run(self) -> None:
        """Print what is known.

        Raises:
            ValueError: for an unknown name.
        """
        from gen3r.hub.inventory import state_of

        state = state_of(self.name)
        if self.as_json:
            say(json.dumps(state_record(state), indent=2))
            return
        entry = state.entry
        lines = {
            "model": entry.name,
            "": entry.summary,
            "state": state_words(state) + (f": {entry.unreleased}" if entry.unreleased is not None else ""),
            "licence": entry.licence,
            "repository": entry.repository,
            "commit": state.commit or ("the newest, at the first download" if entry.repository is not None else None),
            "size": size_words(state),
            "folder": state.folder,
            "use": entry.use,
        }
        if (trained := entry.preprocessing) is not None:
            lines["trained on"] = f"{trained.frames} frames of {trained.size[0]}x{trained.size[1]}"
        for label, value in lines.items():
            if value:
                say(f"{label:<12}{value}")
        for name, part in entry.parts.items():
            tensors = f", {part.manifest.parameters / 1e6:,.0f} M parameters" if part.manifest is not None else ""
            other = f", or from {part.companion}" if part.companion is not None else ""
            say(f"  {name:<20}about {in_gigabytes(part.approximate_bytes)}{tensors}{other}")


@dataclass(frozen=True, kw_only=True)
class Download:
    """Fetch a model from the hub, check every file, and tell where it lies.

    What is here already is not fetched again. Cache, mirror, token and offline mode are huggingface_hub's: HF_HOME,
    HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE.
    """

    name: Name
    """Name of a model, or repository id."""
    revision: Annotated[str | None, tyro.conf.arg(metavar="COMMIT|BRANCH|TAG")] = None
    """What to fetch instead of the pinned commit. It does not change what the name stands for."""

    def run(self) -> None:
        """Fetch and check.

        Raises:
            ValueError: for an unknown name, and for whatever is in the way of the download.
        """
        from gen3r.hub.inventory import entry_of

        entry = entry_of(self.name)
        if entry.name in present_models():
            refuse_revision(self.revision, present_models()[entry.name])
            say(f"{entry.name} travels inside the package, in {present_models()[entry.name]}")
            return
        folder = fetch_model(self.name, revision=self.revision, announce=announce_download)
        companions = fetch_companions(folder, entry.parts, announce=announce_download)
        say(f"{entry.name} is complete in {folder}")
        for part, path in companions.items():
            say(f"  its {part} is in {path}")
        if entry.name in MODELS and entry.whole:
            resolve_model(self.name, revision=self.revision, local_files_only=True)
            say(f"  gen3r generate PHOTO --model {entry.name} --out scene")


@dataclass(frozen=True, kw_only=True)
class Verify:
    """Compare every file of a model with the hash it was published with; works without a network.

    Files that are damaged are deleted, and the next download fetches them again. Of a folder that was not downloaded,
    whether its safetensors files are whole.
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME|DIR")]
    """Name of a model, repository id, or model folder."""
    as_json: Json = False
    """Print JSON instead of lines."""

    def run(self) -> None:
        """Print one line per file.

        Raises:
            ValueError: if there is nothing to verify, or something is wrong with it.
        """
        from gen3r.hub.inventory import verify_model

        with working("Reading the files"):
            reports = verify_model(self.name)
        wrong = [report for report in reports if report.problem is not None]
        if self.as_json:
            say(json.dumps([report_record(report) for report in reports], indent=2))
        else:
            for report in reports:
                size = in_gigabytes(report.size) if report.size is not None else ""
                say(f"{report.problem or 'good':<6} {size:>9}  {report.name}")
        if wrong:
            again = any(not report.as_published for report in wrong)
            mend = f"gen3r models download {self.name} fetches them again" if again else "name another --revision"
            raise ValueError(f"{len(wrong)} of {len(reports)} files of {self.name} are not as they should be; {mend}.")
        if not self.as_json:
            say(f"All {len(reports)} files of {self.name} are good.")


@dataclass(frozen=True, kw_only=True)
class Remove:
    """Delete a downloaded model, every revision of it; others, such as one it builds on, stay."""

    name: Name
    """Name of a model, or repository id."""

    def run(self) -> None:
        """Delete and tell the bytes freed.

        Raises:
            ValueError: if it was not downloaded.
        """
        from gen3r.hub.inventory import entry_of, remove_model, state_of

        freed = remove_model(self.name)
        say(f"Removed {self.name}: {in_gigabytes(freed)} freed")
        for companion in {part.companion for part in entry_of(self.name).parts.values() if part.companion is not None}:
            kept = state_of(companion).bytes_on_disk
            if kept:
                say(f"{companion} stays ({in_gigabytes(kept)}): gen3r models remove {companion}")


@dataclass(frozen=True, kw_only=True)
class Models:
    """List, download, check, remove and assemble models."""

    task: (
        Annotated[List, tyro.conf.subcommand("list")]
        | Annotated[Show, tyro.conf.subcommand("show")]
        | Annotated[Download, tyro.conf.subcommand("download")]
        | Annotated[Verify, tyro.conf.subcommand("verify")]
        | Annotated[Remove, tyro.conf.subcommand("remove")]
        | Annotated[Assemble, tyro.conf.subcommand("assemble")]
    )

    def run(self) -> None:
        """Run the chosen task."""
        self.task.run()


def state_words(state: "ModelState") -> str:
    """The state of a model in a few words."""
    return f"{state.status}, needs {', '.join(state.lacking)}" if state.lacking else state.status


def size_words(state: "ModelState") -> str:
    """What a model takes on disk, or about what its download will be."""
    if state.bytes_on_disk:
        return in_gigabytes(state.bytes_on_disk)
    return f"about {in_gigabytes(state.entry.approximate_bytes)}" if state.entry.approximate_bytes else ""


def state_record(state: "ModelState") -> dict[str, Any]:
    """A model and its state for JSON."""
    entry = state.entry
    return {
        "name": entry.name,
        "summary": entry.summary,
        "state": state.status,
        "lacking": list(state.lacking),
        "licence": entry.licence,
        "use": entry.use,
        "layout": entry.layout,
        "repository": entry.repository,
        "pinned_revision": entry.revision,
        "commit": state.commit,
        "folder": str(state.folder) if state.folder is not None else None,
        "bytes_on_disk": state.bytes_on_disk,
        "approximate_download_bytes": entry.approximate_bytes,
        "parts": {name: {"approximate_bytes": part.approximate_bytes} for name, part in entry.parts.items()},
    }


def report_record(report: "FileReport") -> dict[str, Any]:
    """What was found out about a file, for JSON."""
    return {"file": report.name, "bytes": report.size, "hashed": report.hashed, "problem": report.problem}
