from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gen3r.data.schema import clip_folders, read_clip, read_record
from gen3r.data.synthetic import SynthConfig, generate_clip, write_clips
from gen3r.data.synthetic.sheet import MOST_ROWS, contact_sheet

SMALL = SynthConfig(out=Path("unused"), count=2, seed=900_000_000, frames=2, height=16, width=24, samples=1)


def test_clips_become_folders_and_a_sheet(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    config = replace(SMALL, out=tmp_path / "clips", sheet=tmp_path / "sheet.png")
    folders = write_clips(config, lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]
    assert clip_folders(config.out) == folders
    record = read_record(folders[1])
    assert (record.split, record.seed, record.scale_kind) == ("held-out", 900_000_001, "metric")
    clip = generate_clip(900_000_001, 2, 16, 24, samples=1)
    again = read_clip(folders[1])
    assert torch.equal(again.rgb, clip.rgb)
    assert torch.equal(again.cameras.extrinsics, clip.cameras.extrinsics)
    assert again.caption == clip.caption
    torch.testing.assert_close(again.depth, clip.depth, rtol=0, atol=record.depth_scale)
    with Image.open(tmp_path / "sheet.png") as picture:
        page = np.asarray(picture)
    assert page.shape[1] > 1000
    assert page.std() > 10
    assert sorted(item.name for item in tmp_path.iterdir()) == ["clips", "sheet.png"]


def test_a_folder_in_use_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(ValueError, match="not empty"):
        write_clips(replace(SMALL, out=tmp_path, count=10_000), lambda done, total: pytest.fail("it worked"))
    assert [item.name for item in tmp_path.iterdir()] == ["mine.txt"]


def test_stopping_early_keeps_whole_clips_only(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise Stop

    with pytest.raises(Stop):
        write_clips(replace(SMALL, out=tmp_path / "clips", sheet=tmp_path / "sheet.png"), stop)
    assert [item.name for item in tmp_path.iterdir()] == ["clips"]
    (folder,) = (tmp_path / "clips").iterdir()
    assert read_clip(folder).seed == SMALL.seed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 0}, "count must be at least 1"),
        ({"frames": 0}, "frames must be at least 1"),
        ({"samples": 3}, "samples must be one of .1, 2, 4.*got 3"),
        ({"seed": -1}, "0 or more"),
        ({"seed": 799_999_999}, "from train into validation"),
    ],
)
def test_impossible_configs_are_refused(change: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **change)


def test_a_sheet_needs_clips_and_has_an_end(tmp_path: Path) -> None:
    clip = generate_clip(0, 1, 8, 8, samples=1)
    for clips in ([], [clip] * (MOST_ROWS + 1)):
        with pytest.raises(ValueError, match=f"1 to {MOST_ROWS} clips"):
            contact_sheet(clips, tmp_path / "sheet.png")
    contact_sheet([clip], tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.height < 1000
