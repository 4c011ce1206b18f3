"""Answers of a model to captions: what is cut off, and what is not taken at all."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from gen3r.data.captions import MAX_CHARACTERS

FEWEST_WORDS = 4
"""Shorter answers describe nothing."""
_REFUSAL = re.compile(r"\b(i'?m sorry|i am sorry|i can(?:no|')t|i am unable|i'm unable|as an ai)\b", re.IGNORECASE)
_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_LOOP_WORDS, _LOOP_TIMES = 4, 3


def tidied(answer: str) -> str:
    """One line of plain text: no thoughts, no markdown, no quotes around it, nothing after the last whole sentence.

    A sentence that the length limit cut off is dropped where a whole one stands before it.
    """
    text = " ".join(_THOUGHT.sub(" ", answer).replace("**", "").split())
    text = re.sub(r"^(?:[-*#]\s*|\d+\.\s+|(?:description|caption)\s*:\s*)", "", text, flags=re.IGNORECASE).strip()
    if len(text) > 1 and text[0] in "\"'“" and text[-1] in "\"'”":
        text = text[1:-1].strip()
    end = max(text.rfind(mark) for mark in ".!?")
    return text[: end + 1] if 0 < end < len(text) - 1 else text


def problem_of(caption: str) -> str | None:
    """Why a tidied answer is no caption, or None if it is one."""
    words = re.findall(r"\w+", caption.lower())
    if not caption:
        return "empty"
    if len(words) < FEWEST_WORDS:
        return f"fewer than {FEWEST_WORDS} words: {caption!r}"
    if len(caption) > MAX_CHARACTERS:
        return f"longer than {MAX_CHARACTERS} characters"
    if any(char == "\ufffd" or unicodedata.category(char) in ("Cc", "Cn", "Co") for char in caption):
        return "broken characters"
    if _REFUSAL.search(caption):
        return f"a refusal: {caption[:60]!r}"
    if _most_repeated(words) >= _LOOP_TIMES or len(set(words)) < FEWEST_WORDS:
        return "the same words over and over"
    return None


def _most_repeated(words: list[str]) -> int:
    runs = Counter(tuple(words[start : start + _LOOP_WORDS]) for start in range(len(words) - _LOOP_WORDS + 1))
    return max(runs.values(), default=0)
