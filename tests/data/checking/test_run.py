"""The report of a check has a place before the check begins."""

from pathlib import Path

import pytest

from gen3r.data.checking.run import report_inside


def test_the_report_lies_in_the_dataset(tmp_path: Path) -> None:
    assert report_inside(tmp_path) == tmp_path / "check.json"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder where nobody can write")
def test_a_dataset_that_cannot_be_written_needs_a_report_elsewhere() -> None:
    with pytest.raises(ValueError, match=r"--report FILE\.json"):
        report_inside(Path("/proc/self"))
