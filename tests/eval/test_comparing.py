from typing import Any

import pytest

from gen3r.eval.comparing import compare, markdown_comparison, numbers_of, row_quantities

UP = {"meaning": "", "unit": "dB", "higher_is_better": True, "worst": 0.0}
DOWN = {"meaning": "", "unit": "", "higher_is_better": False, "worst": 1.0}
CLIPS = {
    f"clip{i}": {"one/psnr": 20.0 + i, "two/psnr": 22.0 + i, "one/cd": 0.2 + i, "two/cd": 0.1 + i / 2} for i in range(8)
}
RECORD: dict[str, Any] = {"clips": CLIPS, "quantities": {"psnr": UP, "cd": DOWN}}


def test_what_is_the_same_on_every_clip_is_a_clear_difference() -> None:
    one, two = numbers_of(RECORD, "one"), numbers_of(RECORD, "two")
    psnr, distance = compare(one, two, row_quantities(RECORD, one, "one"))
    assert (psnr.difference.mean, psnr.difference.low, psnr.difference.high) == (-2.0, -2.0, -2.0)
    assert psnr.verdict("one", "two") == "two better"
    assert psnr.change is None  # decibels have no ratio
    assert distance.verdict("one", "two") == "two better"  # smaller is better
    assert distance.change is not None
    assert distance.change.mean == pytest.approx(1.0)  # twice as far
    back = compare(two, one, row_quantities(RECORD, two, "two"), ["psnr"])[0]
    assert (back.difference.mean, back.verdict("two", "one")) == (2.0, "two better")
    table = markdown_comparison([psnr, distance], "one", "two").splitlines()
    assert table[2] == "| `psnr`, dB | 23.50 | 25.50 | -2.00 (-2.00 to -2.00) |  | 8 | two better |"


def test_noise_is_no_clear_difference_and_only_shared_clips_count() -> None:
    first = {"psnr": {f"clip{i}": float(i % 2) for i in range(9)}}
    second = {"psnr": {f"clip{i}": float((i + 1) % 2) for i in range(8)}}
    found = compare(first, second, {})[0]
    assert (found.difference.mean, found.difference.n, found.is_clear) == (0.0, 8, False)
    assert found.verdict("a", "b") == "no clear difference"
    with pytest.raises(ValueError, match="no clip has psnr in both"):
        compare(first, {"psnr": {"other": 1.0}}, {})
    with pytest.raises(ValueError, match="no speed in both; they share psnr"):
        compare(first, second, {}, ["speed"])


def test_rows_of_older_files_are_found_and_unknown_ones_named() -> None:
    older = {"clips": {"1": {"gen1_absrel": 0.25, "twostage_absrel": 0.5}}}
    assert numbers_of(older, "twostage") == {"absrel": {"1": 0.5}}
    with pytest.raises(ValueError, match="no row named gen; the file holds gen1, twostage"):
        numbers_of(older, "gen")
