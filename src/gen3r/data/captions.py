"""Words for clips, without any network: cleaning of prefixes, captions from labels, captions of mirrored clips."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

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
    """Captions of a clip from what its dataset says of it. Nothing is said that the labels do not say.

    "category", "environment", "scene" or "place", the first that is there, is what is seen; "environment", "scene",
    "place", "weather" and "time of day" are added. Labels of other names are left out.

    Args:
        labels: in plain words, by name, see ``ClipRecord.labels``.

    Returns:
        Two wordings, or none where nothing is known.
    """
    known = {name: " ".join(value.replace("_", " ").split()) for name, value in labels.items()}
    known = {name: value for name, value in known.items() if value and value.lower() not in _UNKNOWN}
    subject = next((_with_article(known.pop(name)) for name in _SUBJECTS if name in known), None)
    details = [say(known[name]) for name, say in _DETAILS.items() if name in known]
    if subject is None and not details:
        return ()
    whole = " ".join([subject or "a place", *details])
    return f"{whole[0].upper()}{whole[1:]}.", f"A view of {whole}, seen by a moving camera."


_SUBJECTS = ("category", "environment", "scene", "place")
_UNKNOWN = {"unknown", "none", "n/a", "other"}
_HOURS: Mapping[str, str] = {
    "morning": "in the morning",
    "afternoon": "in the afternoon",
    "evening": "in the evening",
    "day": "by day",
    "daytime": "in the daytime",
}


def _with_article(words: str) -> str:
    """Names, which start with a capital, and words that have one already get no article."""
    if words[0].isupper() or re.match(r"(a|an|the|one|two|three|several|many|some)\b", words):
        return words
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _inside(words: str) -> str:
    return f"in {_with_article(words)}"


_DETAILS: Mapping[str, Callable[[str], str]] = {
    "environment": _inside,
    "scene": _inside,
    "place": _inside,
    "weather": lambda words: f"in {words} weather",
    "time of day": lambda words: _HOURS.get(words.lower(), f"at {words}"),
}


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
