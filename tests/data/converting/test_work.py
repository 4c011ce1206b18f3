"""What there is to do, and doing it in processes that know nothing but plain values."""

import json
import pickle
from pathlib import Path

import pytest

from data.converters.fixture import check_converted, make_scene, snapshot
from data.converters.raw_re10k import write_clip
from gen3r.data.converting.settings import ConvertSettings
from gen3r.data.converting.work import ConvertJob, ConvertUnit, items_of, list_items, make_plan

SCENE = make_scene(frames=4, width=64, height=36)
CLIPS = {"00000000000000a0": "train", "00000000000000a1": "test", "00000000000000a2": "train"}


@pytest.fixture
def job(tmp_path: Path) -> ConvertJob:
    for clip, split in CLIPS.items():
        write_clip(tmp_path / "raw", SCENE, split=split, clip=clip)
    return ConvertJob(dataset="re10k", source=str(tmp_path / "raw"), destination=str(tmp_path / "clips"))


def changed(job: ConvertJob, **settings: object) -> ConvertJob:
    return ConvertJob.from_json(job.to_json() | {"settings": ConvertSettings(**settings).to_json()})  # type: ignore[arg-type]


def test_units_travel_as_plain_values_and_leave_nothing_to_do(job: ConvertJob) -> None:
    raw = snapshot(Path(job.source))
    settings = json.loads(json.dumps(job.to_json()))
    items = json.loads(json.dumps(list_items(settings)))
    assert [item["key"] for item in items] == sorted(CLIPS)
    unit = pickle.loads(pickle.dumps(ConvertUnit(settings)))
    results = [unit(item) for item in items]
    assert json.loads(json.dumps(results)) == results
    for item, result in zip(items, results, strict=True):
        assert result["clips"] == [item["key"]]
        check_converted(Path(job.destination) / item["key"], SCENE, scale_free=True)
    assert list_items(settings) == []
    clips = snapshot(Path(job.destination))
    assert [unit(item) for item in items] == results
    assert snapshot(Path(job.destination)) == clips
    assert snapshot(Path(job.source)) == raw


def test_plans_count_and_choose_without_writing(job: ConvertJob) -> None:
    plan = make_plan(job)
    assert (plan.splits, plan.frames) == ({"held-out": 1, "train": 2}, 12)
    pictures = sum(path.stat().st_size for path in Path(job.source).rglob("*.png"))
    assert plan.size == pytest.approx(pictures, rel=0.2)
    assert [found.name for found in make_plan(job, splits=("held-out",)).todo] == ["00000000000000a1"]
    assert [found.name for found in make_plan(job, limit=1).todo] == ["00000000000000a0"]
    assert not Path(job.destination).exists()
    ConvertUnit(job.to_json())(items_of(plan)[0])
    again = make_plan(job, limit=1)
    assert (len(again.todo), [found.name for found in again.there]) == (0, ["00000000000000a0"])


def test_scenes_of_one_name_are_told(job: ConvertJob, tmp_path: Path) -> None:
    from data.converters.raw_synthetic import write_pack

    for name in ("a", "b"):
        write_pack(tmp_path / "packs" / f"{name}.safetensors", SCENE)
    packs = ConvertJob(dataset="synthetic", source=str(tmp_path / "packs"), destination=job.destination)
    plan = make_plan(packs)
    assert len(plan.todo) == 1
    assert plan.problems[0].reason == "its scene has the name 000000007, which a.safetensors#0 has already"


def test_prompts_of_unknown_scenes_are_told(job: ConvertJob, tmp_path: Path) -> None:
    (tmp_path / "words.json").write_text('{"00000000000000a0": "A hall.", "nobody": "A room."}')
    told = changed(job, captions=str(tmp_path / "words.json"))
    plan = make_plan(told)
    assert [problem.reason for problem in plan.problems] == ["there is no scene nobody"]
    ConvertUnit(told.to_json())(items_of(plan)[0])
    assert (Path(job.destination) / "00000000000000a0/captions.txt").read_text() == "A hall.\n"


def test_what_cannot_work_is_refused_at_once(job: ConvertJob, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="lies in the source"):
        make_plan(ConvertJob(dataset="re10k", source=job.source, destination=f"{job.source}/clips"))
    with pytest.raises(ValueError, match=r"there is no .*none; give the folder"):
        make_plan(ConvertJob(dataset="re10k", source=str(tmp_path / "none"), destination=job.destination))
    with pytest.raises(ValueError, match="re10k has no use for --cameras"):
        make_plan(changed(job, cameras=("left",)))
    ConvertUnit(job.to_json())(items_of(make_plan(job))[0])
    other = ConvertJob(dataset="acid", source=job.source, destination=job.destination)
    with pytest.raises(ValueError, match=r"holds clips of re10k.*give each dataset its own folder"):
        make_plan(other)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"max_side": 8}, "at least 16 pixels, got 8"),
        ({"min_frames": 9, "max_frames": 8}, "min_frames <= max_frames, got 9 and 8"),
        ({"square_windows": 0}, "square_windows must be at least 1"),
        ({"rate": 0.0}, "rate must be a positive number"),
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConvertSettings(**wrong)
