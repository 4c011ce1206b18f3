"""Which seeds may be trained on."""

import pytest

from gen3r.data.clip import split_of


@pytest.mark.parametrize(
    ("seed", "split"),
    [
        (0, "train"),
        (799_999_999, "train"),
        (800_000_000, "validation"),
        (899_999_999, "validation"),
        (900_000_000, "held-out"),
        (10**12, "held-out"),
    ],
)
def test_split_follows_from_the_seed(seed: int, split: str) -> None:
    assert split_of(seed) == split


def test_negative_seeds_are_refused() -> None:
    with pytest.raises(ValueError, match="0 or more, got -1"):
        split_of(-1)
