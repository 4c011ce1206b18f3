import pytest

from gen3r.data.clip import FIRST_HELD_OUT_SEED
from gen3r.eval.benchmarks.seeds import HELD_OUT_START, benchmark_seeds


def test_the_rule_is_the_generators_own() -> None:
    assert HELD_OUT_START == FIRST_HELD_OUT_SEED


def test_held_out_seeds_are_taken_in_order() -> None:
    assert list(benchmark_seeds(HELD_OUT_START, 3)) == [HELD_OUT_START, HELD_OUT_START + 1, HELD_OUT_START + 2]


def test_seeds_of_other_splits_need_to_be_asked_for() -> None:
    for start in (0, 800_000_000, HELD_OUT_START - 1):
        with pytest.raises(ValueError, match="held-out seeds start at 900000000"):
            benchmark_seeds(start, 2)
        assert benchmark_seeds(start, 2, allow_any_split=True)[0] == start


@pytest.mark.parametrize(("start", "count"), [(HELD_OUT_START, 0), (-1, 4)])
def test_no_clips_and_negative_seeds_are_refused(start: int, count: int) -> None:
    with pytest.raises(ValueError, match="at least one clip"):
        benchmark_seeds(start, count, allow_any_split=True)
