"""Model cards: hand-written words with generated facts, tables of results and curves between them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open

from gen3r.eval.card_runs import TrainingRun, runs_table
from gen3r.eval.report import markdown_table
from gen3r.hub.files import read_json_object
from gen3r.hub.layout import PIPELINE_FILE

PLACE = re.compile(r"\{\{ *([a-z]+) *\}\}")
"""Where something generated goes in a template."""
TEMPLATE = """\
# `{{name}}`, revision {{revision}}

A model of the Gen3R classes for clips of {{shape}}.

{{networks}}

{{curves}}

## Training

{{runs}}

## Measured

{{measured}}
"""
"""A card without hand-written words."""


@dataclass(frozen=True, kw_only=True)
class CardSources:
    """What a card is made from."""

    model: Path
    """Model folder."""
    results: Mapping[str, Mapping[str, Any]]
    """File as it is to be called -> results record."""
    runs: Sequence[TrainingRun]
    """Training runs, in order; may be empty."""
    curves: str | None
    """File of the curves, as the card is to link it; None: there are none."""


def render_card(sources: CardSources, template: str = TEMPLATE) -> str:
    """The card as Markdown: the template with ``{{name}}``, ``{{revision}}``, ``{{shape}}``, ``{{sampling}}``,
    ``{{networks}}``, ``{{runs}}``, ``{{curves}}`` and ``{{measured}}`` filled in.

    Numbers of results are written by the same function that writes the tables of ``gen3r eval``.

    Raises:
        ValueError: for an unknown place in the template, results of another model, or no model folder.
    """
    settings = read_json_object(sources.model / PIPELINE_FILE)
    for name, record in sources.results.items():
        told = tuple(str(record.get("model", {}).get(key)) for key in ("name", "revision"))
        own = (str(settings["name"]), str(settings["revision"]))
        if told != own:
            raise ValueError(
                f"{name} was measured on {told[0]}, revision {told[1]}, but {sources.model} holds {own[0]}, revision "
                f"{own[1]}; measure it first."
            )
    parts = {
        "name": settings["name"],
        "revision": settings["revision"],
        "shape": f"{settings['frames']} frames of {settings['height']}x{settings['width']} pixels",
        "sampling": f"{settings['steps']} steps, guidance {settings['guidance']:g}",
        "networks": networks_table(sources.model).rstrip(),
        "runs": runs_table(sources.runs).rstrip() if sources.runs else "",
        "curves": f"![Validation curves]({sources.curves})" if sources.curves else "",
        "measured": "\n\n".join(measured(name, record) for name, record in sources.results.items()),
    }
    unknown = {match[1] for match in PLACE.finditer(template)} - parts.keys()
    if unknown:
        raise ValueError(
            f"the template has no such places: {', '.join(sorted(unknown))}; there are {', '.join(parts)}."
        )
    text = PLACE.sub(lambda match: str(parts[match[1]]), template)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def measured(name: str, record: Mapping[str, Any]) -> str:
    """The table of a results file, and how it came about."""
    machine = record.get("machine", {})
    device = machine.get("gpu") or f"{machine.get('cores', '?')} cores of {machine.get('processor', 'a processor')}"
    settings = record.get("settings", {})
    details = [
        f"{len(record['clips'])} clips",
        *(f"{word} {settings[word]}" for word in ("steps", "guidance") if settings.get(word) is not None),
        device,
        f"torch {machine.get('torch', '?')}",
        f"commit {record.get('commit') or 'not known'}",
    ]
    title = record.get("title", "Summary")
    lines = [f"### {title}", "", markdown_table(record).rstrip(), "", f"`{name}`: {', '.join(details)}."]
    if record.get("command"):
        lines += ["", f"`{record['command']}`"]
    return "\n".join(lines)


def networks_table(model: Path) -> str:
    """Parameters and size of every network of a model folder, as Markdown."""
    lines = ["| network | parameters | file size |", "|---|---:|---:|"]
    for folder in sorted(path for path in model.iterdir() if path.is_dir()):
        files = sorted(folder.glob("*.safetensors"))
        if files:
            count, size = sum(map(_parameters, files)), sum(file.stat().st_size for file in files)
            lines.append(f"| {folder.name} | {count / 1e6:.1f} M | {size / 1e6:.1f} MB |")
    return "\n".join(lines) + "\n"


def _parameters(file: Path) -> int:
    with safe_open(str(file), "pt") as stored:
        return sum(math.prod(stored.get_slice(name).get_shape()) for name in stored.keys())  # noqa: SIM118
