"""What a vision-language model is asked."""

from __future__ import annotations

PREAMBLE = (
    "These pictures are frames of one video of a place, in order. The camera moves, the place does not change. "
    "Do not mention pictures, frames or a video, and do not guess what cannot be seen. "
    "Answer in English with the description alone, as one line of plain text."
)
"""Goes before every instruction."""

INSTRUCTIONS = (
    "Describe the place in one sentence of 10 to 20 words.",
    "Describe the place in two or three sentences: what is there, where it stands, materials, colours and light.",
    "Describe in two sentences what is seen first and what comes into view as the camera moves, and how it moves.",
)
"""One for every prompt of a clip; more prompts than these start over, with sampled answers."""

INSTRUCTION_TEXT = "\n".join([PREAMBLE, *(f"{number}. {text}" for number, text in enumerate(INSTRUCTIONS, start=1))])
"""All of it, as docs/captions.md prints it."""


def question(prompt: int) -> str:
    """What the model is asked for prompt number ``prompt``."""
    return f"{PREAMBLE}\n{INSTRUCTIONS[prompt % len(INSTRUCTIONS)]}"
