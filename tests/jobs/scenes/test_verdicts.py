from dataclasses import asdict, replace
from typing import Any

import pytest
import torch

from gen3r.jobs.scenes.likeness import Fingerprints, fingerprint
from gen3r.jobs.scenes.quality import measure_quality
from gen3r.jobs.scenes.verdicts import Limits, judge
from scene.rooms import room_scene

GOOD = {"agreement": 0.9, "color_error": 0.02, "overlap": 0.9, "motion": 0.01, "valid": 1.0}


def record(name: str, *, fingerprint: list[str] | None = None, **quality: Any) -> dict[str, Any]:
    return {"id": name, "quality": GOOD | quality, "fingerprint": fingerprint}


@pytest.mark.parametrize(
    ("limits", "bad", "told"),
    [
        (Limits(min_agreement=0.8), {"agreement": 0.7}, "agreement 0.7, at least 0.8 asked for"),
        (Limits(max_color_error=0.05), {"color_error": 0.06}, "color_error 0.06, at most 0.05 asked for"),
        (Limits(min_motion=0.001), {"motion": 0.0}, "motion 0, at least 0.001 asked for"),
        (Limits(min_valid=0.5), {"valid": 0.4}, "valid 0.4, at least 0.5 asked for"),
    ],
)
def test_each_limit_looks_at_its_number(limits: Limits, bad: dict[str, float], told: str) -> None:
    judged = judge([record("good"), record("bad", **bad), record("unknown", **dict.fromkeys(bad))], limits)
    assert [judged[name].status for name in ("good", "bad", "unknown")] == ["accepted", "rejected", "rejected"]
    assert judged["bad"].reason == told
    number, _, asked = told.partition(", ")
    assert judged["unknown"].reason == f"{number.split()[0]} cannot be measured, {asked}"


def test_without_limits_all_are_accepted() -> None:
    assert judge([record("bad", agreement=0.0)], Limits())["bad"].status == "accepted"


def test_a_scene_without_any_depth_reaches_no_limit() -> None:
    empty = measure_quality(replace(room_scene(5, 24, 32), mask=torch.zeros(5, 24, 32, dtype=torch.bool)))
    row = record("empty", **asdict(empty))
    for limits in (Limits(min_agreement=0.0), Limits(max_color_error=1.0), Limits(min_motion=0.0)):
        assert judge([row], limits)["empty"].status == "rejected"


def test_of_those_that_look_the_same_the_first_good_one_stays() -> None:
    marks = [["00ff00ff00ff00ff"] * 5, ["00ff00ff00ff00fe"] * 5, ["00ff00ff00ff00ff"] * 4 + ["0000000000000000"]]
    rows = [
        record("bad", fingerprint=marks[0], agreement=0.0),
        record("first", fingerprint=marks[0]),
        record("near", fingerprint=marks[1]),
        record("ends otherwise", fingerprint=marks[2]),
    ]
    judged = judge(rows, Limits(min_agreement=0.5, duplicate_bits=1))
    assert [judged[row["id"]].status for row in rows] == ["rejected", "accepted", "duplicate", "accepted"]
    assert judged["near"].same_as == "first"
    assert judged["near"].reason == "looks like first: 1 of 64 bits differ"
    assert judge(rows[1:], Limits(duplicate_bits=0))["near"].status == "accepted"


def test_a_scene_without_fingerprint_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="the scene a was made without ImageHash"):
        judge([record("a")], Limits(duplicate_bits=2))


@pytest.mark.parametrize("wrong", [{"min_agreement": 1.1}, {"max_color_error": -0.1}, {"duplicate_bits": 64}])
def test_limits_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Limits(**wrong)


def test_pictures_that_differ_a_little_have_near_fingerprints() -> None:
    room = room_scene(9, 48, 64)
    noisy = (room.rgb.int() + torch.randint(-4, 5, room.rgb.shape, generator=torch.Generator().manual_seed(0))).clamp(
        0, 255
    )
    seen = Fingerprints()
    assert seen.nearest(fingerprint(room.rgb)) is None
    for n in range(20):  # grows beyond its first size
        seen.add(f"noise{n}", [f"{(n * 0x9E3779B97F4A7C15 + k) % 2**64:016x}" for k in range(5)])
    seen.add("room", fingerprint(room.rgb))
    assert seen.nearest(fingerprint(room.rgb)) == ("room", 0)
    name, bits = seen.nearest(fingerprint(noisy.to(torch.uint8))) or ("", 64)
    assert name == "room"
    assert bits <= 6
    upside_down = seen.nearest(fingerprint(room.rgb.flip(1)))
    assert upside_down is not None
    assert upside_down[1] > 12
    assert seen.nearest(fingerprint(room.rgb[:1])) is None  # as many frames as nobody else
