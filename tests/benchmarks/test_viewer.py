"""The benchmark's scene is what the viewer is told to show, and the document shows what was measured."""

import json
from pathlib import Path

import pytest

pytest.importorskip("viser", reason="viser is missing; pip install 'gen3r[viewer]'")

import viewer

from gen3r.eval.report import fill_tables

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks/results/viewer_cpu.json"


def test_all_points_arrive(tmp_path: Path) -> None:
    scene = viewer.make_scene(2, 56)
    scene.save(tmp_path / "scene")
    moments = viewer.with_client(tmp_path / "scene", int(scene.mask.sum()) * viewer.BYTES_PER_POINT)
    assert 0 < moments["address"] < moments["client"]


def test_the_document_shows_what_was_measured() -> None:
    text = (ROOT / "docs/viewer.md").read_text()
    shown = viewer.table(json.loads(RESULTS.read_text()))
    assert fill_tables(text, RESULTS.relative_to(ROOT).as_posix(), shown) == text
