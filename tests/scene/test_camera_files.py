import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gen3r.scene.camera_files import CONVENTION, OFFICIAL_SIZE, read_cameras, write_cameras
from scene.rooms import room_cameras


@pytest.fixture
def record():
    cameras = room_cameras(3, 24, 32)
    return {
        "convention": CONVENTION,
        "height": 24,
        "width": 32,
        "extrinsics": cameras.extrinsics.tolist(),
        "intrinsics": cameras.intrinsics.tolist(),
    }


def write(tmp_path, content):
    path = tmp_path / "cameras.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_round_trip_is_exact(tmp_path):
    cameras = room_cameras(4, 24, 32)
    write_cameras(tmp_path / "cameras.json", cameras)
    again = read_cameras(tmp_path / "cameras.json")
    assert torch.equal(again.extrinsics, cameras.extrinsics)
    assert torch.equal(again.intrinsics, cameras.intrinsics)
    assert (again.height, again.width) == (24, 32)


def test_official_files_need_the_size(tmp_path, record):
    path = write(tmp_path, {key: record[key] for key in ("extrinsics", "intrinsics")})
    with pytest.raises(ValueError, match="560x560"):
        read_cameras(path)
    assert read_cameras(path, size=OFFICIAL_SIZE).height == 560


def test_a_stated_size_wins(tmp_path, record):
    assert read_cameras(write(tmp_path, record), size=(560, 560)).width == 32


def test_no_permission(forbidden):
    with pytest.raises(ValueError, match=r"no permission to read .*cameras\.json"):
        read_cameras(forbidden / "cameras.json")


def edited(record, key, frame, row, column, value):
    record[key][frame][row][column] = value
    return record


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda r: r | {"convention": "opengl"}, "unknown convention 'opengl'"),
        (lambda r: r | {"extrinsics": r["extrinsics"][:2]}, "2 extrinsics but 3 intrinsics"),
        (lambda r: r | {"extrinsics": []}, "at least one"),
        (lambda r: r | {"extrinsics": r["intrinsics"]}, "4x4"),
        (lambda r: r | {"intrinsics": r["intrinsics"][0]}, r"got shape \[3, 3\]"),
        (lambda r: r | {"intrinsics": [[1.0], [1.0, 2.0]]}, "something else"),
        (lambda r: r | {"extrinsics": "identity"}, "something else"),
        (lambda r: r | {"extrinsics": None}, "something else"),
        (lambda r: {k: v for k, v in r.items() if k != "intrinsics"}, "key is missing"),
        (lambda r: r | {"height": 0}, "height must be a whole number"),
        (lambda r: r | {"width": 32.5}, "width must be a whole number"),
        (lambda r: r | {"width": 10_000_000}, "24x10000000 = 240.00 million pixels"),
        (lambda r: edited(r, "intrinsics", 1, 0, 0, 1e-9), "horizontal one of frame 1 is 180"),
        (lambda r: edited(r, "intrinsics", 2, 1, 1, 1e9), "vertical one of frame 2 is"),
        (lambda r: {k: v for k, v in r.items() if k != "width"}, "width must be"),
        (lambda r: edited(r, "extrinsics", 1, 0, 3, float("nan")), r"frames \[1\] hold NaN"),
        (lambda r: edited(r, "intrinsics", 2, 0, 0, float("inf")), r"frames \[2\] hold NaN"),
        (lambda r: edited(r, "extrinsics", 1, 0, 0, 1e300), "extrinsics"),
        (lambda r: edited(r, "extrinsics", 1, 0, 0, 3.0), "rotation"),
        (lambda r: edited(r, "extrinsics", 0, 0, 0, -1.0), "rotation"),
        (lambda r: edited(r, "intrinsics", 1, 0, 0, -5.0), "focal"),
        (lambda r: [r], "JSON object"),
        (lambda r: "{", "not valid JSON"),
        (lambda r: "[" * 100_000, "not valid JSON"),
    ],
)
def test_unusable_files_are_refused_by_name(tmp_path, record, edit, message):
    path = write(tmp_path, edit(record))
    with pytest.raises(ValueError, match=message) as caught:
        read_cameras(path)
    assert "cameras.json" in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        read_cameras(tmp_path / "cameras.json")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(extrinsics=json_values, intrinsics=json_values)
def test_arbitrary_json_is_refused_with_a_value_error(tmp_path_factory, extrinsics, intrinsics):
    path = write(tmp_path_factory.mktemp("any"), {"extrinsics": extrinsics, "intrinsics": intrinsics})
    with pytest.raises(ValueError, match=r"cameras\.json"):
        read_cameras(path, size=(8, 8))
