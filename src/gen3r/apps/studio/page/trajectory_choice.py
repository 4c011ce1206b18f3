"""The list of camera paths to choose from, each with its drawing."""

from __future__ import annotations

from html import escape

from gen3r.apps.studio.page.camera_drawing import path_drawing, resting
from gen3r.cameras.trajectories import OFFICIAL_ALIASES, SHORT_ALIASES, TRAJECTORIES, trajectory

DRAWN = "drawn"
"""The choice of a path drawn on the map; no name of a trajectory."""
FREE = "free"
_FRAMES = 9
_AMOUNT = {"dolly": 0.6, "orbit": 1.6, "truck": 1.8, "pedestal": 1.8, "pan": 2.4, "tilt": 2.4}
"""How much of a path is drawn: small ones are exaggerated, and dollies end before the subject."""

_PENCIL = (
    '<svg class="camera-drawing" viewBox="0 0 120 92" aria-hidden="true">'
    '<path class="path" stroke="#21918c" d="M18 74C38 30 54 84 70 46S98 30 104 18" fill="none" stroke-dasharray="5 4"/>'
    '<circle cx="18" cy="74" r="5" fill="#472d7b"/><circle cx="64" cy="58" r="5" fill="#21918c"/>'
    '<circle cx="104" cy="18" r="5" fill="#aadc32"/></svg>'
)


def choices() -> dict[str, str]:
    """Name and words of every choice, the recommended first."""
    named = [
        name for name in TRAJECTORIES if name not in OFFICIAL_ALIASES and name not in SHORT_ALIASES and name != FREE
    ]
    return {name: name.replace("_", " ").capitalize() for name in named} | {FREE: "Model decides", DRAWN: "Draw a path"}


def choice_html(chosen: str) -> str:
    """Radio buttons with a drawing each."""
    cards = []
    for name, words in choices().items():
        checked = " checked" if name == chosen else ""
        cards.append(
            f'<label class="path-card"><input type="radio" name="trajectory" value="{escape(name)}"{checked}>'
            f"{_drawing(name)}<span>{escape(words)}</span></label>"
        )
    return f'<fieldset class="path-cards"><legend>Camera path</legend><div>{"".join(cards)}</div></fieldset>'


def _drawing(name: str) -> str:
    if name == DRAWN:
        return _PENCIL
    poses = resting() if name == FREE else trajectory(name, _FRAMES, amount=_AMOUNT.get(name.split("_")[0], 1.0))
    return path_drawing(poses, "")
