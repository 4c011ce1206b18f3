"""The benchmark of the official choices runs, and the document shows what it measured."""

import json
from pathlib import Path

import numerics
import pytest

from gen3r.eval.report import fill_tables

ROOT = Path(__file__).parents[2]
RESULTS = "benchmarks/results/numerics.json"


@pytest.mark.slow
def test_every_choice_is_measured_beside_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, document = tmp_path / "numerics.json", tmp_path / "document.md"
    monkeypatch.setattr("sys.argv", ["numerics.py", "--clips", "1", "--steps", "2", "--out", str(out)])
    numerics.main()
    record = json.loads(out.read_text())
    rows = record["rows"]
    assert rows.keys() == numerics.CHOICES.keys()
    assert rows["default"]["frames_rms"] == rows["default"]["depth_change"] == 0
    for changed in ("sample_control", "crop_intrinsics", "bfloat16 networks", "official"):
        assert rows[changed]["frames_rms"] > 0
    assert rows["default"]["first_camera_off"] < rows["rebase_scene"]["first_camera_off"]
    assert record["image_pixels"]["official"] == 0 < record["image_pixels"]["antialiased"]
    document.write_text(f"<!-- table: {out.as_posix()} -->\n<!-- /table -->\n")
    monkeypatch.setattr("sys.argv", ["numerics.py", "--out", str(out), "--table", str(document)])
    numerics.main()
    assert numerics.table(record) in document.read_text()


def test_the_document_shows_the_results() -> None:
    text = (ROOT / "docs" / "parity.md").read_text()
    assert f"<!-- table: {RESULTS} -->" in text
    assert fill_tables(text, RESULTS, numerics.table(json.loads((ROOT / RESULTS).read_text()))) == text
