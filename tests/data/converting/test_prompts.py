"""Files of prompts by scene."""

from pathlib import Path

import pytest

from gen3r.data.converting.prompts import read_prompts


def test_both_forms_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"x": ["A red, round apple.", "Fruit."], "y": "A cup."}')
    (tmp_path / "a.csv").write_text('scene,caption\nx,"A red, round apple."\ny,A cup.\nx,Fruit.\nz,\n')
    expected = {"x": ("A red, round apple.", "Fruit."), "y": ("A cup.",)}
    assert read_prompts(tmp_path / "a.json") == read_prompts(tmp_path / "a.csv") == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "scene,caption", "not valid JSON"),
        ("a.json", "[1]", "must be an object of scenes, got list"),
        ("a.json", '{"x": [1]}', "must give x a text or a list of texts"),
        ("a.csv", "name;prompt\n", "header with scene and caption, got name;prompt"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        read_prompts(tmp_path / name)
    with pytest.raises(ValueError, match="cannot be read"):
        read_prompts(tmp_path / "none.json")
