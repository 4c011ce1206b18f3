"""Words for clips, without any network: cleaning of prefixes, captions from labels, captions of mirrored clips."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch

MAX_CHARACTERS = 1000
"""Captions above this length become empty, as in the official training."""

_PREFIX = re.compile(
    r"^\s*(?:(?:the|this)\s+(?:image|video|picture|photo|photograph|scene|clip|frame|footage|sequence)s?\s+"
    r"(?:shows?|depicts?|displays?|features?|captures?|presents?|portrays?|contains?|showcases?|is\s+of)|"
    r"(?:in\s+)?(?:the|this)\s+(?:image|video|picture|photo|scene),?\s+there\s+is|we\s+see|there\s+is|it\s+shows)\s+"
    r"(?P<article>an?)\s+(?=\S)",
    re.IGNORECASE,
)


def clean_prefix(
    caption: str,
    rng: torch.Generator,
    *,
    rate: float = 0.8,
    bare: float = 0.75,
    max_characters: int = MAX_CHARACTERS,
) -> str:
    """Take the talk of pictures from the start of a caption, as the official training does with its captions.

    "The image shows a red house." becomes "A red house." or "It is a red house."; captions that start otherwise stay
    as they are. Two numbers are drawn for every caption, whatever it says, so that streams stay in step.

    Args:
        caption: one line.
        rng: of this caption.
        rate: how often a prefix is rewritten at all.
        bare: how often, of these, nothing but the article is left.
        max_characters: longer captions become empty.
    """
    rewritten, short = torch.rand(2, generator=rng, device=rng.device).tolist()
    if len(caption) > max_characters:
        return ""
    match = _PREFIX.match(caption)
    if match is None or rewritten >= rate:
        return caption
    article = match["article"].lower()
    start = article.capitalize() if short < bare else f"It is {article}"
    return f"{start} {caption[match.end() :]}"


def captions_from_labels(labels: Mapping[str, str]) -> tuple[str, ...]:
    """Captions of a clip from what its dataset says of it: nothing is said that the labels do not say.

    Labels of the names in ``_TEMPLATES`` become phrases in that order; others are named as they are.

    Args:
        labels: in plain words, by name, see ``ClipRecord.labels``.

    Returns:
        Two wordings, or one empty caption where nothing is known.
    """
    known = {name: " ".join(value.replace("_", " ").split()) for name, value in labels.items()}
    known = {name: value for name, value in known.items() if value and value.lower() not in _UNKNOWN}
    if not known:
        return ("",)
    subject = next((known.pop(name) for name in _SUBJECTS if name in known), None)
    details = [_TEMPLATES.get(name, f"{name.replace('_', ' ')}: {{}}").format(value) for name, value in known.items()]
    first = f"A video of {_with_article(subject)}" if subject else "A video of a scene"
    second = _with_article(subject) if subject else "a scene"
    tail = "".join(f", {detail}" for detail in details)
    return f"{first}{tail}.", f"{second[0].upper()}{second[1:]}{tail}, seen by a moving camera."


_SUBJECTS = ("caption_subject", "category", "object", "class", "environment", "scene", "place")
"""Labels that say what is seen, the first one that is there."""
_TEMPLATES: Mapping[str, str] = {
    "category": "with {}",
    "environment": "in {}",
    "scene": "in {}",
    "place": "in {}",
    "weather": "in {} weather",
    "time_of_day": "at {}",
    "season": "in {}",
    "location": "in {}",
    "indoor_outdoor": "{}",
    "motion": "the camera {}",
}
_UNKNOWN = {"unknown", "none", "n/a", "other"}


def _with_article(words: str) -> str:
    if re.match(r"(a|an|the|one|two|three|several|many|some)\b", words, re.IGNORECASE):
        return words
    return f"{'an' if words[0].lower() in 'aeiou' else 'a'} {words}"


def swap_sides(caption: str) -> str:
    """The caption of the mirrored clip: left for right and the other way round."""
    swapped = {"left": "right", "right": "left", "clockwise": "counterclockwise", "counterclockwise": "clockwise"}
    pattern = rf"\b({'|'.join(swapped)})(?=\b|ward)"
    return re.sub(pattern, lambda match: _cased(swapped[match[0].lower()], match[0]), caption, flags=re.IGNORECASE)


def _cased(word: str, like: str) -> str:
    return word.capitalize() if like[0].isupper() else word


def one_line_each(captions: Sequence[str]) -> tuple[str, ...]:
    """Captions as captions.txt holds them: white space runs become single spaces, no caption twice, none lost."""
    return tuple(dict.fromkeys(" ".join(caption.split()) for caption in captions))
