"""VBench runs where it is installed with its weights; the protocol is tested with a package of the same interface."""

from pathlib import Path

import pytest

from gen3r.eval.metrics.absent import Absent
from gen3r.eval.metrics.vbench import (
    CACHE_VARIABLE,
    PYTHON_VARIABLE,
    WEIGHTS,
    VideoOfImage,
    vbench_absence,
    vbench_scores,
)

SAME_INTERFACE = '''
import json, os, pathlib

class VBenchI2V:
    """Scores a video by the length of its prompt, and that of its picture's name."""

    def __init__(self, device, full_info_dir, output_path):
        self.output_path = output_path

    def evaluate(self, videos_path, name, dimension_list=None, local=False, **kwargs):
        assert local and os.environ["https_proxy"] and os.environ["HF_HUB_OFFLINE"]
        clips = json.loads(pathlib.Path(self.build_full_info_json(videos_path, name, dimension_list)).read_text())
        results = {}
        for dimension in dimension_list:
            of_video = [
                {"video_path": clip["video_list"][0], "video_results": float(len(clip["prompt_en"]))}
                for clip in clips
                if dimension in clip["dimension"] and clip["custom_image_path"].endswith(".png")
            ]
            results[dimension] = [0.0, of_video[::-1]]
        pathlib.Path(self.output_path, name + "_eval_results.json").write_text(json.dumps(results))
'''


@pytest.fixture
def clips(tmp_path: Path) -> list[VideoOfImage]:
    return [
        VideoOfImage(image=tmp_path / f"{prompt}.png", video=tmp_path / f"{prompt}.mp4", prompt=prompt)
        for prompt in ("a room", "a longer room", "hut")
    ]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package = tmp_path / "packages" / "vbench2_beta_i2v"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(SAME_INTERFACE)
    cache = tmp_path / "cache"
    cache.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    monkeypatch.setenv(CACHE_VARIABLE, str(cache))
    monkeypatch.delenv(PYTHON_VARIABLE, raising=False)
    return cache


def test_scores_come_back_in_the_order_of_the_clips(installed: Path, clips: list[VideoOfImage]) -> None:
    for file in WEIGHTS["background_consistency"]:
        (installed / file).parent.mkdir()
        (installed / file).touch()
    assert vbench_scores(clips, ["background_consistency"]) == {"background_consistency": [6.0, 13.0, 3.0]}


def test_missing_weights_are_named(installed: Path, clips: list[VideoOfImage]) -> None:
    absence = vbench_scores(clips, ["imaging_quality"])
    assert isinstance(absence, Absent)
    assert "musiq" in str(absence)
    assert str(installed) in str(absence)


def test_without_vbench_it_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PYTHON_VARIABLE, str(tmp_path / "python"))
    absence = str(vbench_absence())
    assert "has no module" in absence
    assert str(tmp_path) not in absence  # results files are read on other machines


def test_a_failure_of_vbench_is_told(
    installed: Path, clips: list[VideoOfImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    (installed.parent / "packages" / "vbench2_beta_i2v" / "__init__.py").write_text("raise OSError('no decoder')")
    (installed / "models").mkdir()
    with pytest.raises(RuntimeError, match="no decoder"):
        vbench_scores(clips, ["i2v_background"])


def test_unknown_dimensions_are_refused(clips: list[VideoOfImage]) -> None:
    with pytest.raises(ValueError, match="camera_motion"):
        vbench_scores(clips, ["camera_motion"])
