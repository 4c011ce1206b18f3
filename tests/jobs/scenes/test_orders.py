import json
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import write_photo
from gen3r.jobs.scenes.orders import SceneOrder, read_orders


def written(folder: Path, *lines: dict[str, Any] | str) -> Path:
    path = folder / "prompts.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n")
    return path


def test_lines_and_defaults(tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png", seed=0)
    path = written(
        tmp_path,
        {"id": "one", "prompt": "a ball", "images": ["a.png"], "at": [2], "seed": 7, "size": "112x126", "frames": 9},
        "",
        {"prompt": "a box", "trajectory": "dolly_in", "guidance": 2},
    )
    one, two = read_orders(path, SceneOrder(frames=5, steps=3, trajectory="orbit_left"))
    assert (one.id, one.prompt, one.at, one.seed, one.size, one.frames) == ("one", "a ball", (2,), 7, (112, 126), 9)
    assert one.images == (str(tmp_path.resolve() / "a.png"),)
    assert (one.steps, one.trajectory) == (3, "orbit_left")
    assert (two.frames, two.trajectory, two.guidance, two.id) == (5, "dolly_in", 2.0, two.content)
    assert SceneOrder.from_json(json.loads(json.dumps(one.to_json()))) == one


def test_names_and_seeds_follow_from_the_content_alone(tmp_path: Path) -> None:
    lines = [{"prompt": "a ball"}, {"prompt": "a box"}, {"prompt": "a ball", "seed": 1}]
    first = read_orders(written(tmp_path, *lines))
    again = read_orders(written(tmp_path, *lines[::-1]))
    assert {order.id: order for order in first} == {order.id: order for order in again}
    assert len({order.seed for order in first}) == len({order.content for order in first}) == 3
    other = read_orders(tmp_path / "prompts.jsonl", seed=1)
    assert [a.seed == b.seed for a, b in zip(again, other, strict=True)] == [True, False, False]  # the first is given


def test_what_is_in_a_picture_counts_and_not_its_name(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_photo(tmp_path / f"{name}.png", seed=seed)
    a, b, c = read_orders(written(tmp_path, *({"id": x, "images": [f"{x}.png"]} for x in "abc")))
    assert a.content == b.content != c.content


def test_the_same_request_twice_has_two_names(tmp_path: Path) -> None:
    first, second = read_orders(written(tmp_path, {"prompt": "a ball"}, {"prompt": "a ball"}))
    assert (first.content, first.seed) == (second.content, second.seed)
    assert second.id == f"{first.id}-line2"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "not valid JSON"),
        ("[1]", "expected a JSON object, got list"),
        ({}, "neither prompt nor images"),
        ({"promt": "a"}, "unknown field 'promt'; did you mean prompt?"),
        ({"content": "a"}, "unknown field 'content'"),
        ({"prompt": 1}, "prompt must be a text of whole characters, got 1"),
        ({"prompt": "a", "id": "../a"}, "id must be a name"),
        ({"prompt": "a", "id": "good"}, "the id 'good' is that of line 1"),
        ({"images": ["none.png"]}, "there is nothing at"),
        ({"images": "a.png"}, "images must be a list of paths"),
        ({"images": ["prompts.jsonl"]}, "prompts.jsonl"),
        ({"images": ["."]}, "holds no picture"),
        ({"images": ["\ud800.png"]}, "images must be a list of paths"),
        ({"prompt": "a \ud800"}, "prompt must be a text of whole characters"),
        ({"prompt": "a", "at": [0]}, "at has 1 frames for 0 images"),
        ({"prompt": "a", "frames": 8}, "frames must be a whole number 4k+1, got 8"),
        ({"prompt": "a", "frames": True}, "frames must be"),
        ({"prompt": "a", "seed": -1}, "seed must be a whole number from 0"),
        ({"prompt": "a", "size": [1, 2]}, "size must be HEIGHTxWIDTH"),
        ({"prompt": "a", "guidance": float("inf")}, "guidance must be a finite number"),
        ({"prompt": "a", "trajectory": "orbit_rihgt"}, "did you mean orbit_right?"),
        ({"prompt": "a", "trajectory": "dolly_in", "cameras": "prompts.jsonl"}, "exclude each other"),
        ({"prompt": "a", "camera_scale": 1.0}, "camera_scale goes with cameras"),
    ],
)
def test_a_wrong_line_is_told_with_its_number(tmp_path: Path, line: dict[str, Any] | str, told: str) -> None:
    path = written(tmp_path, {"id": "good", "prompt": "a"}, "", line)
    with pytest.raises(ValueError, match="line 3: ") as error:
        read_orders(path)
    assert told in str(error.value)


def test_all_wrong_lines_are_told_up_to_a_few(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"and 2 more.*line 1: .*line 5: "):
        read_orders(written(tmp_path, *({"prompt": n} for n in range(7))))
    with pytest.raises(ValueError, match="is empty"):
        read_orders(written(tmp_path, ""))
    with pytest.raises(ValueError, match="none at"):
        read_orders(tmp_path / "no.jsonl")
