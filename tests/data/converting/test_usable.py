"""Which frames are used, and where a scene is cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen3r.data.converting.raw import RawCamera, UnusableScene
from gen3r.data.converting.usable import camera_problem, cut, notes_on


@given(count=st.integers(1, 200), most=st.integers(1, 60))
def test_parts_are_nearly_equal_and_hold_everything_in_order(count: int, most: int) -> None:
    items = list(range(count))
    parts = cut(items, most, 1)
    assert [item for part in parts for item in part] == items
    lengths = {len(part) for part in parts}
    assert max(lengths) <= most
    assert max(lengths) - min(lengths) <= 1
    assert len(parts) == -(-count // most)


def test_too_few_are_refused() -> None:
    assert cut([1, 2], 5, 2) == ([1, 2],)
    for few in ([1], []):
        with pytest.raises(UnusableScene, match=f"it has {len(few)} usable frames, at least 2 are wanted"):
            cut(few, 5, 2)


def test_notes_name_frames_once_per_reason_and_not_without_end() -> None:
    told = notes_on([(0, "torn"), (1, ""), (2, "torn"), *((index, "late") for index in range(10, 25))])
    assert told == (
        "left out frames 0, 2: torn",
        "left out frames 10, 11, 12, 13, 14, 15, 16, 17 and 7 more: late",
    )


@pytest.mark.parametrize("value", [1e300, -1e300, 1e200, 3.0])
def test_huge_numbers_are_no_camera(value: float) -> None:
    """Without a warning, and though products of such numbers are no numbers at all."""
    for row, column in ((0, 0), (1, 2), (0, 3)):
        pose = np.eye(4)
        pose[row, column] = value
        pose[1, 0] = -value if column == 0 else 0.0
        camera = RawCamera(intrinsics=np.eye(3), world_from_camera=pose, height=4, width=4)
        assert bool(camera_problem(camera)) == (column != 3 or abs(value) > 3)
