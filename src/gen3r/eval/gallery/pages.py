"""The pages: one sheet per clip, and an index as Markdown and as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from gen3r.eval.gallery.causes import CAUSES, EXTREME, clear_from
from gen3r.eval.gallery.pictures import FULL_DIFFERENCE, Pair, Picture, beside
from gen3r.eval.gallery.properties import PROPERTIES
from gen3r.eval.gallery.ranking import Ranking
from gen3r.scene.colormap import inferno
from gen3r.scene.export.sheet import Legend, Sheet
from gen3r.scene.limits import evenly_spread

SHOWN = 6
"""Frames of a clip on its sheet."""
ACROSS = 4
"""Clips beside each other on the index."""


@dataclass(frozen=True, kw_only=True)
class Heading:
    """What all pages say about the run."""

    model: str
    """Name and revision."""
    clips: int
    """Number of clips that were ranked."""
    settings: str
    """How scenes were generated."""
    commit: str
    """Of the code that drew the pages."""


def sheet(name: str, pair: Pair, lists: Sequence[Ranking], heading: Heading) -> Image.Image:
    """Everything about one clip on a page.

    Args:
        name: of the clip.
        pair: the clip and its scene.
        lists: the rankings that have it among the worst.
        heading: of the gallery.
    """
    page, truth = Sheet(), pair.truth
    lines = [f'"{truth.caption}"', f"{heading.model}, {heading.settings}"]
    for ranking in lists:
        criterion = ranking.criterion
        place, number = ranking.worst.index(name) + 1, criterion.written(ranking.numbers[name])
        lines.append(f"{criterion.title}: {number}, number {place} of {heading.clips}, counted from the worst")
        lines.append(f"      {ranking.verdicts[name].text()}")
    page.title(f"Clip {name}", lines)
    shown = evenly_spread(truth.frames, SHOWN)
    labels = [f"frame {i}{', given' if i == 0 else ''}" for i in shown]
    blank, columns = [""] * len(shown), max(3, len(shown))
    differences = Legend(colors=inferno(np.linspace(0, 1, 64)), low="0", high=f"{FULL_DIFFERENCE} or more")
    page.section("True frames")
    page.tiles([pair.true_frame(i) for i in shown], labels, columns)
    page.section("Generated frames", "from the first one, its caption and the true cameras")
    page.tiles([pair.frame(i) for i in shown], blank, columns)
    page.section("Difference of the frames", "mean over the colours, of values from 0 to 1", differences)
    page.tiles([pair.difference(i) for i in shown], blank, columns)
    if truth.has_depth:
        near, far = (f"{value:.2g}" for value in pair.depth_range)
        legend = Legend(colors=inferno(np.linspace(1, 0.06, 64)), low=near, high=far)
        page.section("True depth", "in mean depths of the first view; grey: no surface nearer than 20", legend)
        page.tiles([pair.true_depth_picture(i) for i in shown], blank, columns)
    page.section("Generated depth", f"times {pair.scale:.2f}, which brings the clip to the true scale")
    page.tiles([pair.depth_picture(i) for i in shown], blank, columns)
    if truth.has_depth:
        page.section("Difference of the depths", "relative to the true one", differences)
        page.tiles([pair.depth_difference(i) for i in shown], blank, columns)
    clouds = pair.clouds()
    page.section("Points from the side", "all of them, nothing cleaned; far background left out")
    words = ["true", "generated, seen with the cameras it predicts"]
    page.tiles(clouds, words[-len(clouds) :], 2)
    return page.picture()


def thumbnail(key: str, pair: Pair) -> Picture:
    """Two pictures beside each other that show what a criterion (by key) is about."""
    last = pair.truth.frames - 1
    if key == "depth":
        frame = pair.worst_depth_frame()
        return beside(pair.true_depth_picture(frame), pair.depth_picture(frame))
    if key == "consistency":
        return beside(pair.frame(last), pair.first_carried_to(last))
    return beside(pair.true_frame(last), pair.frame(last))


EXPLAINED = {
    "depth": "left: true depth of the frame that is farthest off; right: generated depth, at the true scale",
    "consistency": "left: the last generated frame; right: the first one carried there by generated depth and cameras",
    "psnr": "left: the true last frame; right: the generated one",
}
"""What the thumbnails of each criterion show."""


def index_picture(
    lists: Sequence[Ranking], thumbnails: Mapping[tuple[str, str], Picture], heading: Heading
) -> Image.Image:
    """All lists on one page. ``thumbnails`` are by criterion and clip."""
    page = Sheet()
    page.title(
        f"Where {heading.model} fails worst",
        [f"The worst of {heading.clips} held-out clips by each criterion; {heading.settings}"],
    )
    for ranking in lists:
        criterion = ranking.criterion
        page.section(criterion.title.capitalize(), EXPLAINED[criterion.key])
        for start in range(0, len(ranking.worst), ACROSS):
            row = ranking.worst[start : start + ACROSS]
            labels = [f"{criterion.written(ranking.numbers[clip])}, {ranking.verdicts[clip].name()}" for clip in row]
            page.tiles([thumbnails[criterion.key, clip] for clip in row], labels, ACROSS)
    return page.picture()


def index_text(
    lists: Sequence[Ranking], sheets: Mapping[str, str], failures: Mapping[str, str], heading: Heading
) -> str:
    """The index as Markdown. ``sheets`` is name of a clip -> file."""
    lines = [
        f"# Where {heading.model} fails worst",
        "",
        f"{heading.clips} held-out clips, each generated from its first frame, its caption and its true cameras; "
        f"{heading.settings}; commit {heading.commit}. Clips link to their pages.",
        "",
        "![The worst clips](index.png)",
        "",
        f"A *cause* is a property that is more extreme than in {100 * EXTREME:.0f} % of the clips and goes with the "
        f"error over all of them (Spearman's rank correlation, at least {clear_from(heading.clips):.2g}); of several, "
        "the most extreme one. "
        "It is a correlation: what the clip has in common with other bad ones, not a proof.",
        "",
    ]
    for ranking in lists:
        lines += _list_lines(ranking, sheets)
    lines += ["## What goes with the error", "", *_correlation_lines(lists), ""]
    if failures:
        lines += ["## No scene", "", *(f"- {clip}: {why}" for clip, why in failures.items()), ""]
    return "\n".join(lines)


def _list_lines(ranking: Ranking, sheets: Mapping[str, str]) -> list[str]:
    criterion = ranking.criterion
    told = "from the results files" if ranking.recorded else "measured for this page; the results files lack it"
    mean = sum(ranking.numbers.values()) / len(ranking.numbers)
    lines = [
        f"## {criterion.title.capitalize()}",
        "",
        f"{criterion.quantity.meaning.capitalize()}; mean over the clips {criterion.written(mean)}. Numbers {told}.",
    ]
    if ranking.recorded:
        lines.append(f"Measured again, no clip differed by more than {100 * ranking.change:.2g} % of its number.")
    lines += ["", "| clip | | cause |", "|---|---:|---|"]
    for clip in ranking.worst:
        number, says = criterion.written(ranking.numbers[clip]), ranking.verdicts[clip].text()
        lines.append(f"| [{clip}]({sheets[clip]}) | {number} | {says} |")
    return [*lines, ""]


def _correlation_lines(lists: Sequence[Ranking]) -> list[str]:
    lines = [
        "Rank correlation (Spearman) of each property with the error, over all clips; positive: more of it is worse.",
        "",
        "| property | " + " | ".join(ranking.criterion.title for ranking in lists) + " | named |",
        "|---|" + "---:|" * len(lists) + "---|",
    ]
    for key, item in PROPERTIES.items():
        words = ", ".join(f"{cause.name} ({'high' if cause.high else 'low'})" for cause in CAUSES if cause.prop == key)
        cells = ["" if ranking.going[key] != ranking.going[key] else f"{ranking.going[key]:+.2f}" for ranking in lists]
        lines.append(f"| {item.meaning} | " + " | ".join(cells) + f" | {words} |")
    return lines
