import os
import sys
from pathlib import Path

import pytest

from gen3r.scene.export.output_folder import whole_folder
from gen3r.whole_file import whole_file


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was brought to the disk or renamed, in order."""
    seen: list[str] = []
    fsync, replace, rename = os.fsync, os.replace, Path.rename

    def synced(descriptor: int) -> None:
        seen.append("sync " + Path(os.readlink(f"/proc/self/fd/{descriptor}")).name.partition(".partial")[0])
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", lambda old, new: (seen.append("rename"), replace(old, new)))
    monkeypatch.setattr(Path, "rename", lambda old, new: (seen.append("rename"), rename(old, new))[1])
    return seen


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for names")
def test_what_has_its_name_is_on_the_disk(tmp_path: Path, steps: list[str]) -> None:
    with whole_file(tmp_path / "file") as temporary:
        temporary.write_text("a")
    assert steps[0].startswith("sync .file")
    assert steps[1:] == ["rename", f"sync {tmp_path.name}"]
    steps.clear()
    with whole_folder(tmp_path / "folder") as staging:
        (staging / "frames").mkdir()
        for name in ("frames/0", "frames/1", "record"):
            (staging / name).write_text("a")
        (staging / "link").symlink_to("nowhere")
    assert sorted(steps[:3]) == ["sync 0", "sync 1", "sync record"]
    assert steps[3:] == ["sync frames", "sync .folder", "rename", f"sync {tmp_path.name}"]


def test_a_file_is_replaced_whole_or_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    for text in ("one", "two"):
        with whole_file(path) as temporary:
            temporary.write_text(text)
            assert path.exists() == (text == "two")
        assert path.read_text() == text
    with pytest.raises(UnicodeEncodeError), whole_file(path) as temporary:
        temporary.write_text("half ü", encoding="ascii")
    assert path.read_text() == "two"
    assert list(tmp_path.iterdir()) == [path]
