"""Paths drawn on the map: what is previewed is what is made, and nothing else gets in."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gen3r.apps.studio.page.actions import path_preview
from gen3r.apps.studio.page.drawn_path import LOOKS, MOST_KEYS, DrawnPath
from gen3r.cameras.trajectories import TRAJECTORIES, trajectory
from gen3r.scene.camera_files import read_cameras

number = st.floats(0.1, 0.7).map(lambda value: round(value, 2))
keys_of_paths = st.lists(st.tuples(number, number, number).map(list), min_size=1, max_size=4)


@given(keys_of_paths, st.sampled_from(["subject", "ahead"]))
def test_a_path_begins_at_the_photo_and_goes_through_its_keys(keys: list[list[float]], look: str) -> None:
    poses = DrawnPath.from_page({"keys": keys, "look": look}).poses(len(keys) * 8 + 1)
    assert torch.equal(poses[0], torch.eye(4, dtype=torch.float64))
    wanted = torch.tensor([[right, -up, ahead] for right, up, ahead in keys], dtype=torch.float64)
    torch.testing.assert_close(poses[8::8, :3, 3], wanted)
    if look == "subject":
        sight = torch.nn.functional.normalize(torch.tensor([0.0, 0.0, 1.0]).double() - wanted, dim=-1)
        torch.testing.assert_close(poses[8::8, :3, 2], sight)


@given(keys_of_paths, st.integers(2, 9))
def test_the_record_holds_the_cameras_of_the_map(
    tmp_path_factory: pytest.TempPathFactory, keys: list[list[float]], frames: int
) -> None:
    value = {"keys": keys, "look": "subject", "frames": frames}
    file = tmp_path_factory.mktemp("path") / "cameras.json"
    file.write_text(json.dumps(DrawnPath.from_page(value).record(frames)))
    cameras = read_cameras(file)
    shown = json.loads(path_preview(value))["cameras"]
    poses = cameras.world_from_camera
    made = torch.cat([poses[:, [0, 2], 3], poses[:, [0, 2], 2]], dim=-1)
    torch.testing.assert_close(made, torch.tensor(shown), atol=1e-4, rtol=0)
    assert [math.degrees(angle) for angle in cameras.fov[0]] == pytest.approx([60.0, 60.0], abs=1e-3)


def test_looking_along_the_path() -> None:
    keys = [[0.0, 0.0, 0.5], [0.5, 0.0, 0.5], [1.0, 0.0, 0.5]]
    poses = DrawnPath.from_page({"keys": keys, "look": "along"}).poses(4)
    torch.testing.assert_close(poses[2:, :3, 2], torch.tensor([[1.0, 0.0, 0.0]]).double().expand(2, 3))


@pytest.mark.parametrize(
    "value",
    [
        [],
        "keys",
        {"keys": "0,0,1"},
        {"keys": [[0.1, 0.2]]},
        {"keys": [[0.1, 0.2, "3"]]},
        {"keys": [[0.1, 0.2, True]]},
        {"keys": [[0.1, 0.2, math.nan]]},
        {"keys": [[0.1, 0.2, 1e9]]},
        {"keys": [[0.1, 0.2, 0.3]] * (MOST_KEYS + 1)},
        {"keys": [], "look": "away"},
        {"keys": [], "look": ["subject"]},
    ],
)
def test_other_values_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"expected .*; \w+|at most"):
        DrawnPath.from_page(value)


@pytest.mark.parametrize("value", [None, {}, {"keys": [[0.0, 0.0, 1.0]]}, {"keys": [[0.0, 0.8, 1.0]]}, 7])
def test_the_map_is_told_what_is_wrong(value: Any) -> None:
    answer = json.loads(path_preview(value))
    assert answer["cameras"] == []
    assert answer["problem"]


def test_the_page_offers_every_look(tmp_path: Path) -> None:
    from gen3r.apps.studio.page.assets import asset

    html = asset("path_map.html")
    assert all(f'<option value="{name}">{words}</option>' in html for name, words in LOOKS.items())


def test_every_trajectory_can_be_chosen_by_one_name() -> None:
    from gen3r.apps.studio.page.trajectory_choice import DRAWN, choice_html, choices

    names = [name for name in choices() if name != DRAWN]
    paths = {tuple(trajectory(name, 3).flatten().tolist()) for name in TRAJECTORIES}
    assert {tuple(trajectory(name, 3).flatten().tolist()) for name in names} == paths
    assert len(names) == len(paths)
    assert choice_html("spiral").count(" checked>") == 1
