"""What a client may ask for, told before it waits."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gen3r.apps.studio.checks import check_request, with_model
from gen3r.apps.studio.errors import InvalidRequest
from gen3r.apps.studio.jobs import JobRequest, Upload, stored_request
from gen3r.apps.studio.limits import Limits

MODELS, TRAJECTORIES = ["tiny"], ["free", "orbit_right"]
IDS = [f"{index:032x}" for index in range(200)]
EYE4 = [[float(row == column) for column in range(4)] for row in range(4)]
LENS = [[100.0, 0.0, 50.0], [0.0, 100.0, 50.0], [0.0, 0.0, 1.0]]
PATH = {"height": 100, "width": 100, "extrinsics": [EYE4] * 5, "intrinsics": [LENS] * 5}


def check(request: JobRequest, folder: Path, videos: int = 0, limits: Limits | None = None, frames: int = 9) -> None:
    uploads = [
        Upload(
            id=identifier,
            kind="video" if index < videos else "image",
            name="a",
            width=1,
            height=1,
            frames=50 if index < videos else 1,
            seconds=0,
            bytes=1,
            created=0,
        )
        for index, identifier in enumerate(request.uploads)
    ]
    check_request(with_model(request, MODELS), uploads, limits or Limits(), frames, TRAJECTORIES, folder)


GOOD = [
    {"prompt": "a room"},
    {"uploads": IDS[:1]},
    {"uploads": IDS[:2], "at": [0, 4], "frames": 5, "trajectory": "orbit_right", "model": "tiny"},
    {"uploads": IDS[:1], "camera_path": PATH, "camera_scale": 2.0, "frames": 5, "scene_cameras": "requested"},
    {"kind": "reconstruct", "uploads": IDS[:3], "size": [112, 112]},
]


@pytest.mark.parametrize("fields", GOOD, ids=str)
def test_sound_requests_pass_and_leave_no_file(fields: dict[str, object], tmp_path: Path) -> None:
    request = JobRequest(**fields)
    check(request, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert stored_request(json.dumps(request.model_dump())) == request


def test_one_video_alone_passes(tmp_path: Path) -> None:
    check(JobRequest(uploads=IDS[:1], at=[0, 3, 5]), tmp_path, videos=1)
    with pytest.raises(InvalidRequest, match="only upload"):
        check(JobRequest(uploads=IDS[:2]), tmp_path, videos=1)


@pytest.mark.parametrize(
    ("fields", "videos", "pictures"),
    [
        ({"prompt": "a"}, 0, 9),
        ({"prompt": "a", "frames": 5}, 0, 5),
        ({"kind": "reconstruct", "uploads": IDS[:3]}, 0, 3),
        ({"kind": "reconstruct", "uploads": IDS[:1]}, 1, 9),
        ({"kind": "reconstruct", "uploads": IDS[:1], "frames": 60}, 1, 50),
    ],
    ids=str,
)
def test_pixels_of_all_frames_count_named_or_not(
    fields: dict[str, object], videos: int, pictures: int, tmp_path: Path
) -> None:
    request = JobRequest(**fields, size=[112, 112])
    check(request, tmp_path, videos, Limits(clip_pixels=pictures * 112 * 112))
    with pytest.raises(InvalidRequest, match="pixels"):
        check(request, tmp_path, videos, Limits(clip_pixels=pictures * 112 * 112 - 1))


def test_a_request_is_stored_with_its_model() -> None:
    assert with_model(JobRequest(prompt="a"), ["tiny", "other"]).model == "tiny"
    assert with_model(JobRequest(prompt="a", model="other"), ["tiny", "other"]).model == "other"
    for model in ("tiny", None):
        with pytest.raises(InvalidRequest, match="there is no model; the studio's operator has to download one"):
            with_model(JobRequest(prompt="a", model=model), [])


REFUSED = {
    "neither": {},
    "4k\\+1": {"prompt": "a", "frames": 6},
    "unknown model": {"prompt": "a", "model": "/etc/passwd"},
    "unknown trajectory": {"prompt": "a", "trajectory": "loop"},
    "frames: 401 is more": {"prompt": "a", "frames": 401},
    "steps: 1000 is more": {"prompt": "a", "steps": 1000},
    "uploads: 150 is more": {"uploads": IDS[:150]},
    "prompt: 3000 is more": {"prompt": "a" * 3000},
    "pixels": {"prompt": "a", "frames": 81, "size": [2000, 2000]},
    "frame twice": {"uploads": IDS[:2], "at": [1, 1]},
    "1 frames for 2 uploads": {"uploads": IDS[:2], "at": [1]},
    "names frame 9 of 5": {"uploads": IDS[:1], "at": [9], "frames": 5},
    "needs a camera_path": {"prompt": "a", "camera_scale": 1.0},
    "5 cameras for 9 frames": {"prompt": "a", "camera_path": PATH, "frames": 9},
    "fields of view": {"prompt": "a", "camera_path": PATH | {"intrinsics": [[[1e9, 0.0, 0.0], *LENS[1:]]] * 5}},
    "no upload to reconstruct": {"kind": "reconstruct"},
    "heeds no prompt": {"kind": "reconstruct", "uploads": IDS[:1], "prompt": "a"},
}


@pytest.mark.parametrize("problem", REFUSED)
def test_what_does_not_fit_is_refused_with_a_hint(problem: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=problem) as refusal:
        check(JobRequest(**REFUSED[problem]), tmp_path)
    assert refusal.value.hint
    assert str(tmp_path) not in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


MALFORMED = [
    {"frames": "5"},
    {"frames": 5.0},
    {"frames": True},
    {"seed": -1},
    {"seed": 2**63},
    {"guidance": float("nan")},
    {"prompt": "\ud800"},
    {"prompt": "a\0b"},
    {"prompt": None},
    {"uploads": ["../../etc/passwd"]},
    {"uploads": "a"},
    {"trajectory": "../x"},
    {"size": [112]},
    {"kind": "rm"},
    {"unknown": 1},
    {"camera_path": PATH | {"extrinsics": [[[float("inf")] * 4] * 4]}},
    {"camera_path": PATH | {"extrinsics": []}},
    {"camera_path": PATH | {"more": 1}},
]


@pytest.mark.parametrize("fields", MALFORMED, ids=lambda fields: ascii(fields)[:40])
def test_other_types_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        JobRequest(**fields)


@given(
    st.dictionaries(
        st.sampled_from([*JobRequest.model_fields, "other"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
            max_leaves=6,
        ),
        max_size=4,
    )
)
def test_anything_is_either_refused_or_stored_and_read_back_equal(fields: dict[str, object]) -> None:
    try:
        request = JobRequest(**fields)
    except ValidationError:
        return
    assert stored_request(json.dumps(request.model_dump(), allow_nan=False)) == request
