"""How much input is read at most, so that one bad file cannot exhaust the machine."""

from __future__ import annotations

MAX_PICTURE_PIXELS = 100_000_000
MAX_CLIP_PIXELS = 500_000_000


def check_picture_size(name: str, height: int, width: int) -> None:
    """Raise `ValueError` if a picture of this size [pixels] is empty or above 100 million pixels."""
    if height < 1 or width < 1:
        raise ValueError(f"{name} has zero size ({height}x{width}).")
    if height * width > MAX_PICTURE_PIXELS:
        raise ValueError(
            f"{name} has {height}x{width} = {height * width / 1e6:,.2f} million pixels, "
            f"at most {MAX_PICTURE_PIXELS // 10**6} million are read; make it smaller first."
        )


def evenly_spread(count: int, limit: int | None) -> list[int]:
    """At most `limit` indices out of 0..count-1, evenly spread, first and last included (first alone if limit is 1)."""
    if limit is None or limit >= count:
        return list(range(count))
    return [round(i * (count - 1) / max(1, limit - 1)) for i in range(limit)]
