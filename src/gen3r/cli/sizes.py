"""The word after ``--size``."""

import re


def parse_size(text: str | None, option: str = "--size") -> tuple[int, int] | None:
    """``224x320`` as (height, width) in pixels; None stays None (the model's own size).

    Raises:
        ValueError: for anything that is not two positive whole numbers with an x between them.
    """
    if text is None:
        return None
    match = re.fullmatch(r"([1-9]\d{0,4})[xX×]([1-9]\d{0,4})", text.strip())
    if match is None:
        raise ValueError(f"{option} expects HEIGHTxWIDTH in pixels such as 224x224, got {text!r}.")
    return int(match[1]), int(match[2])
