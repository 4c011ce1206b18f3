"""A folder of pages about the worst clips of a model."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.gallery.making import Measured, Recipe, generate
from gen3r.eval.gallery.pages import Heading, index_picture, index_text, sheet, thumbnail
from gen3r.eval.gallery.pictures import Pair, Picture
from gen3r.eval.gallery.ranking import Ranking
from gen3r.pipeline import Gen3RPipeline

SHEETS = "sheets"
"""Folder of the pages about single clips."""
QUALITY = 88
FORMAT = "gen3r-gallery"
VERSION = 1


def heading_of(recipe: Recipe, pipeline: Gen3RPipeline, clips: int, commit: str) -> Heading:
    """What all pages say."""
    settings = recipe.generation
    return Heading(
        model=f"{pipeline.config.name} (revision {pipeline.config.revision})",
        clips=clips,
        settings=f"{settings.steps} steps, guidance {settings.guidance:g}",
        commit=commit,
    )


def write_gallery(
    folder: Path,
    lists: Sequence[Ranking],
    measured: Measured,
    recipe: Recipe,
    pipeline: Gen3RPipeline,
    truth_of: Callable[[str], Truth],
    heading: Heading,
    circumstances: Mapping[str, Any],
    advance: Callable[[int, int], None] | None = None,
) -> None:
    """Make the scenes of the worst clips once more and draw everything.

    Args:
        folder: to fill; exists and is empty.
        lists: what ``rankings`` gives.
        measured: what ``measure_all`` gives.
        recipe: how scenes are made.
        pipeline: the model.
        truth_of: what ``Recipe.truths`` gives.
        heading: of the pages.
        circumstances: noted in ``gallery.json``.
        advance: called with (pages drawn, pages in all).
    """
    (folder / SHEETS).mkdir()
    names = list(dict.fromkeys(clip for ranking in lists for clip in ranking.worst))
    files = {name: f"{SHEETS}/{file_name(name)}.jpg" for name in names}
    thumbnails: dict[tuple[str, str], Picture] = {}
    for done, name in enumerate(names, start=1):
        truth = truth_of(name)
        pair = Pair(truth=truth, prediction=generate(pipeline, truth, recipe.generation))
        own = [ranking for ranking in lists if name in ranking.worst]
        sheet(name, pair, own, heading).save(folder / files[name], quality=QUALITY)
        thumbnails |= {(ranking.criterion.key, name): thumbnail(ranking.criterion.key, pair) for ranking in own}
        if advance is not None:
            advance(done, len(names))
    index_picture(lists, thumbnails, heading).save(folder / "index.png")
    text = index_text(lists, files, measured.failures, heading)
    (folder / "README.md").write_text(text, encoding="utf-8")
    record = {
        "format": FORMAT,
        "version": VERSION,
        **circumstances,
        "lists": [ranking.record() for ranking in lists],
        "properties": {
            clip: {key: value if value == value else None for key, value in own.items()}
            for clip, own in measured.properties.items()
        },
        "scores": measured.scores,
        "failures": measured.failures,
    }
    content = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "gallery.json").write_text(content + "\n", encoding="utf-8")


def file_name(clip: str) -> str:
    """The name of a clip as that of a file."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", clip)
