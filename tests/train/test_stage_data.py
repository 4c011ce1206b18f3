"""What a stage reads: splits are kept apart, mixtures weigh, packs and datasets are told apart."""

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gen3r.data.mixture import MixtureEntry
from gen3r.presets import load_preset
from gen3r.train.opening import MixtureGroups, NoSuchSplitError, are_packs, open_scenes
from gen3r.train.sources import GeneratedClips, PackedClips
from gen3r.train.stage_data import StageData
from gen3r.train.stored import MixedClips, StoredClips
from train.tiny_dataset import write_dataset
from train.tiny_run import write_pack


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder / "both", 2, source="waymo")
    write_dataset(folder / "both", 1, split="validation", source="waymo", first=2)
    write_dataset(folder / "mine", 3, source="garden", depth=False)
    write_dataset(folder / "benchmark", 1, split="held-out", source="dl3dv")
    return folder


def reading(stage: str = "adapter", **changes: Any) -> StageData:
    preset = load_preset("tiny")
    return StageData(preset=preset, stage=stage, seed=0, encoders=dict, **({"limit": None} | changes))


def test_only_the_split_is_read(data: Path) -> None:
    (scenes,), (weight,) = open_scenes([data / "both"], "train")
    assert (len(scenes), weight) == (2, 0.5)
    assert {record.split for record in scenes.records} == {"train"}
    with pytest.raises(NoSuchSplitError, match=r"expected train clips in .*benchmark, found only 1 held-out"):
        open_scenes([data / "both", data / "benchmark"], "train")


def test_a_limit_is_for_all_datasets_together(data: Path) -> None:
    scenes, weights = open_scenes([data / "mine", data / "both"], "train", limit=4)
    assert [len(part) for part in scenes] == [3, 1]
    assert weights == (1.0, 0.5)
    assert [len(part) for part in open_scenes([data / "mine", data / "both"], "train", limit=2)[0]] == [2]


def test_mixture_files_weigh(data: Path) -> None:
    file = data / "mixture.toml"
    file.write_text('[[datasets]]\npath = "both"\n\n[[datasets]]\npath = "mine"\nweight = 4.5\n')
    source = reading().training([file])
    assert isinstance(source, MixedClips)
    drawn = Counter(source.name(position).split("/")[0] for position in range(4000))
    assert drawn["garden"] / 4000 == pytest.approx(0.9, abs=0.02)


def test_a_source_is_one_dataset_wherever_it_lies(data: Path, tmp_path: Path) -> None:
    """What pictures and encoded clips are drawn by (`MixtureGroups`): two folders of one source count once."""
    write_dataset(tmp_path / "more", 1, source="waymo", first=5)
    write_dataset(tmp_path / "more", 1, source="garden", first=6)
    scenes, weights = open_scenes([data / "both", tmp_path / "more", data / "mine"], "train")
    assert [{record.source for record in group.records} for group in scenes] == [{"waymo"}, {"garden"}]
    assert [len(group) for group in scenes] == [3, 4]
    assert weights == (0.5, 1.0)
    assert [group[place].record for group in scenes for place in range(len(group))] == [
        record for group in scenes for record in group.records
    ]


def test_a_weight_of_a_folder_is_for_all_of_it(data: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path / "mixed", 2, source="waymo")
    write_dataset(tmp_path / "mixed", 2, source="garden", first=2)
    file = tmp_path / "mixture.json"
    datasets = [{"path": "mixed", "weight": 3}, {"path": str(data / "mine")}]
    file.write_text(json.dumps({"datasets": datasets}))
    scenes, weights = open_scenes([file], "train")
    assert ([len(group) for group in scenes], weights) == ([4, 3], (3.0, 1.0))
    groups = MixtureGroups([MixtureEntry(path=tmp_path, weight=3.0), MixtureEntry(path=data)])
    for number, (entry, source) in enumerate([(0, "waymo"), (0, "garden"), (1, "acid"), (1, "mvimgnet"), (1, "acid")]):
        groups.add(entry, source, number)
    assert (groups.members, groups.weights) == ([[0, 1], [2, 4], [3]], (3.0, 1.0, 0.25))


def test_validation_falls_back_to_the_validation_clips_of_the_data(data: Path) -> None:
    held = reading().validation((), [data / "both"])
    assert isinstance(held, StoredClips)
    assert [held.name(item) for item in range(len(held))] == ["waymo/clip02"]
    assert held.has_depth
    assert reading().validation((), [data / "mine"]) is None
    with pytest.raises(NoSuchSplitError, match="expected validation clips"):
        reading().validation([data / "mine"], [data / "both"])
    assert isinstance(reading().validation((), ()), GeneratedClips)


def test_depth_is_read_only_where_a_stage_needs_it(data: Path) -> None:
    assert not reading("adapter").training([data / "both"]).has_depth  # type: ignore[union-attr]
    assert reading("vggt").training([data / "both"]).has_depth  # type: ignore[union-attr]
    assert not reading("vggt").training([data / "mine"]).has_depth  # type: ignore[union-attr]


def test_strides_are_official_for_diffusion_alone(data: Path) -> None:
    preset = dataclasses.replace(load_preset("tiny"), official_strides=True)
    official = {}
    for stage in ("adapter", "diffusion"):
        source = dataclasses.replace(reading(stage), preset=preset).training([data / "both"])
        assert isinstance(source, MixedClips | StoredClips)
        official[stage] = source.form.sampler.official
    assert official == {"adapter": False, "diffusion": True}


def test_packs_and_datasets_do_not_mix(data: Path, tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "pack.safetensors")
    assert isinstance(reading().training([pack]), PackedClips)
    with pytest.raises(ValueError, match="got both"):
        are_packs([pack, data / "mine"])
    with pytest.raises(ValueError, match="which does not exist"):
        reading().training([data / "nothing"])
