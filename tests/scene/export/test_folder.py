import os

import pytest
import torch

from gen3r.scene.export.folder import export_scene, write_scene_folder
from gen3r.scene.export.output_folder import check_output_folder, replace_item, whole_folder
from gen3r.scene.export.registry import STANDARD_FORMATS
from gen3r.scene.scene import Scene
from scene.rooms import room_scene


@pytest.fixture(scope="module")
def scene() -> Scene:
    return room_scene(2, 20, 26)


@pytest.fixture(scope="module")
def saved(scene, tmp_path_factory):
    return write_scene_folder(scene, tmp_path_factory.mktemp("out") / "scene", views=scene.rgb.movedim(-1, 1) / 255)


class TestCheck:
    def test_new_and_empty_folders_are_fine_and_left_alone(self, tmp_path):
        assert check_output_folder(tmp_path / "a" / "b") == tmp_path.resolve() / "a" / "b"
        check_output_folder(tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_not_empty(self, tmp_path):
        (tmp_path / "mine.txt").touch()
        with pytest.raises(ValueError, match="not empty"):
            check_output_folder(tmp_path)

    def test_a_file_or_below_one(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(ValueError, match="is a file"):
            check_output_folder(tmp_path / "file")
        with pytest.raises(ValueError, match=r"cannot be made: .*file is a file"):
            check_output_folder(tmp_path / "file" / "below" / "deep")

    @pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a file system nobody can write to")
    def test_not_writable(self):
        with pytest.raises(ValueError, match="cannot be written"):
            check_output_folder("/proc/gen3r/scene")


class TestWhole:
    def test_it_appears_at_the_end(self, tmp_path):
        with whole_folder(tmp_path / "deep" / "out") as folder:
            (folder / "a").touch()
            assert not (tmp_path / "deep" / "out").exists()
        assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]
        assert (tmp_path / "deep" / "out" / "a").exists()

    def test_an_empty_folder_is_filled(self, tmp_path):
        (tmp_path / "out").mkdir()
        with whole_folder(tmp_path / "out") as folder:
            (folder / "a").touch()
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]

    @pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
    @pytest.mark.parametrize("name", ["out", "deep/er/out"])
    def test_an_exception_leaves_nothing(self, tmp_path, kind, name):
        def fill():
            with whole_folder(tmp_path / name) as folder:
                (folder / "half").touch()
                raise kind

        with pytest.raises(kind):
            fill()
        assert list(tmp_path.iterdir()) == []

    def test_what_came_meanwhile_is_not_overwritten(self, tmp_path):
        (tmp_path / "out").mkdir()

        def fill():
            with whole_folder(tmp_path / "out"):
                (tmp_path / "out" / "theirs").touch()

        with pytest.raises(OSError, match="not empty"):
            fill()
        assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["out", "out/theirs"]

    def test_replacing_folders_and_files(self, tmp_path):
        for kind in ("new", "old"):
            (tmp_path / kind).mkdir()
            (tmp_path / kind / f"{kind}.txt").touch()
        replace_item(tmp_path / "new", tmp_path / "old")
        assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["old", "old/new.txt"]


class TestSceneFolder:
    def test_holds_every_format(self, saved):
        assert {path.name for path in saved.iterdir()} == {name for item in STANDARD_FORMATS for name in item.files}
        assert [path.name for path in saved.parent.iterdir()] == ["scene"]

    def test_files_are_as_readable_as_any_other(self, saved):
        modes = {path.stat().st_mode & 0o777 for path in saved.iterdir() if path.is_file()}
        assert len(modes) == 1

    def test_is_the_scene(self, scene, saved):
        assert torch.equal(Scene.load(saved).rgb, scene.rgb)

    def test_used_folder_is_refused_first(self, scene, saved):
        before = sorted(path.stat().st_mtime_ns for path in saved.iterdir())
        with pytest.raises(ValueError, match="not empty"):
            write_scene_folder(scene, saved)
        assert sorted(path.stat().st_mtime_ns for path in saved.iterdir()) == before

    def test_failure_half_way_leaves_nothing(self, scene, tmp_path, monkeypatch):
        def full_disk(*_args, **_options):
            raise OSError("no space left on device")

        monkeypatch.setattr("gen3r.scene.export.preview_png.preview", full_disk)
        with pytest.raises(OSError, match="no space"):
            write_scene_folder(scene, tmp_path / "out")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("frames", [(0, 2), (-1, 0), (0,)])
    def test_impossible_view_frames(self, scene, tmp_path, frames):
        with pytest.raises(ValueError, match="frame"):
            write_scene_folder(scene, tmp_path / "out", views=scene.rgb.movedim(-1, 1) / 255, view_frames=frames)
        assert list(tmp_path.iterdir()) == []


class TestExportScene:
    def test_elsewhere(self, saved, tmp_path):
        made = export_scene(saved, ["ply", "cameras.json"], tmp_path / "out")
        assert {path.name for path in made} == {"points.ply", "cameras.json"}
        assert all(path.read_bytes() == (saved / path.name).read_bytes() for path in made)

    def test_in_place_restores_what_is_gone_or_broken(self, scene, tmp_path):
        folder = write_scene_folder(scene, tmp_path / "scene")
        (folder / "points.ply").write_text("broken")
        (folder / "depth" / "frame00001.png").unlink()
        (folder / "preview.png").unlink()
        names = {path.name for path in export_scene(folder, ["ply", "depth", "preview"])}
        assert names == {"points.ply", "depth", "preview.png"}
        assert (folder / "points.ply").read_bytes().startswith(b"ply")
        assert (folder / "depth" / "frame00001.png").exists()
        assert {path.name for path in folder.iterdir()} == {n for i in STANDARD_FORMATS for n in i.files} - {"views"}

    def test_the_scene_folder_itself_is_no_new_folder(self, saved):
        with pytest.raises(ValueError, match="not empty"):
            export_scene(saved, ["ply"], saved)

    def test_unknown_format_writes_nothing(self, saved, tmp_path):
        with pytest.raises(ValueError, match="unknown export format"):
            export_scene(saved, ["obj"], tmp_path / "out")
        assert list(tmp_path.iterdir()) == []

    def test_not_a_scene(self, tmp_path):
        with pytest.raises(ValueError, match="no scene"):
            export_scene(tmp_path, ["ply"], tmp_path / "out")
        assert list(tmp_path.iterdir()) == []
