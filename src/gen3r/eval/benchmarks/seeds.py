"""Which seeds a benchmark may use: train < 800,000,000 <= validation < 900,000,000 <= held-out."""

HELD_OUT_START = 900_000_000
"""First seed that neither training nor validation ever sees."""


def benchmark_seeds(start: int, count: int, *, allow_any_split: bool = False) -> range:
    """``count`` seeds from ``start``.

    Raises:
        ValueError: for no clip at all, negative seeds, or seeds of another split unless that is allowed.
    """
    if count < 1 or start < 0:
        raise ValueError(f"expected at least one clip and a seed of at least 0, got count {count} and seed {start}.")
    if start < HELD_OUT_START and not allow_any_split:
        raise ValueError(
            f"held-out seeds start at {HELD_OUT_START}, got {start}: training may have seen that clip; "
            "choose another start, or pass --allow-any-split to measure on it knowingly."
        )
    return range(start, start + count)
