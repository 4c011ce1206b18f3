import json
from pathlib import Path

import pytest

from cli.conftest import write_photo
from gen3r.jobs.scenes.fitting import Sizes, check_fits
from gen3r.jobs.scenes.orders import SceneOrder
from gen3r.pipeline.config import PipelineConfig

SIZES = Sizes(config=PipelineConfig(name="small", frames=9, height=112, width=112), patch=14)


@pytest.mark.parametrize(
    ("order", "told"),
    [
        (SceneOrder(id="a", size=(100, 112)), "a: height must be a multiple of"),
        (SceneOrder(id="b", images=("x.png",), at=(9,)), "b: at names frame 9 of a clip with frames 0 to 8"),
        (SceneOrder(id="c", images=("x.png",), at=(5,), frames=5), "c: at names frame 5 of a clip with frames 0 to 4"),
        (SceneOrder(id="d", images=("x.png",) * 10), "d: 10 images for 9 frames"),
    ],
)
def test_what_a_model_cannot_make_is_told_by_name(order: SceneOrder, told: str) -> None:
    good = SceneOrder(id="good", prompt="a", images=("x.png",), at=(8,))
    check_fits([good], SIZES)
    with pytest.raises(ValueError, match="requests that this model cannot make") as error:
        check_fits([good, order], SIZES)
    assert told in str(error.value)
    assert "good" not in str(error.value)


def test_cameras_are_read_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "tum.txt"
    path.write_text("".join(f"{n} {n} 0 0 0 0 0 1\n" for n in range(5)))
    check_fits([SceneOrder(id="a", cameras=str(path), frames=5)], SIZES)
    with pytest.raises(ValueError, match="holds 5 cameras for 9 frames"):
        check_fits([SceneOrder(id="a", cameras=str(path))], SIZES)
    path.write_text(json.dumps({"no": "cameras"}))
    with pytest.raises(ValueError, match="cannot make"):
        check_fits([SceneOrder(id="a", cameras=str(path), frames=5)], SIZES)


def test_a_folder_of_pictures_stands_for_some_of_them(tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png", seed=0)
    check_fits([SceneOrder(id="a", images=(str(tmp_path),))], SIZES)
