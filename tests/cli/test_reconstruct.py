from pathlib import Path

from cli.conftest import SIDE, write_photo
from cli.running import Runner
from gen3r.scene.scene import Scene


def test_pictures_and_a_folder_of_them_give_the_same_scene(tmp_path: Path, gen3r: Runner, model: Path) -> None:
    (tmp_path / "frames").mkdir()
    pictures = [
        write_photo(tmp_path / "frames" / f"{index}.png", seed=index, width=120 + 10 * index) for index in (2, 10)
    ]
    for name, inputs in {"pictures": pictures, "folder": [tmp_path / "frames"]}.items():
        outcome = gen3r("reconstruct", *inputs, "--model", model, "--device", "cpu", "--out", tmp_path / name)
        assert (outcome.code, outcome.stderr) == (0, "")
        assert f"2 frames of {SIDE}x{SIDE}" in outcome.stdout
        assert (tmp_path / name / "preview.png").is_file()
    one, other = Scene.load(tmp_path / "pictures"), Scene.load(tmp_path / "folder")
    assert (one.rgb == other.rgb).all()
    assert (one.depth == other.depth).all()
    assert not (one.rgb[0] == one.rgb[1]).all()
