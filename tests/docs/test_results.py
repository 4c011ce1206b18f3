"""The page of results says what the files hold."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from gen3r.eval.report import fill_tables, markdown_table, read_results

ROOT = Path(__file__).parents[2]
PAGES = ("docs/results.md", "docs/failures.md")


def numbers_page() -> ModuleType:
    spec = importlib.util.spec_from_file_location("numbers_table", ROOT / "docs/numbers_table.py")
    assert spec is not None
    assert spec.loader is not None
    page = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = page  # its dataclasses look themselves up there
    spec.loader.exec_module(page)
    return page


def test_the_numbers_are_those_of_the_files() -> None:
    text = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    assert numbers_page().filled(text) == text, "run: python docs/numbers_table.py"


@pytest.mark.parametrize("document", PAGES)
def test_measured_tables_are_the_results_files(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    names = re.findall(r"<!-- table: (benchmarks/results/.*\.json) -->", text)
    assert names
    for name in names:
        table = markdown_table(read_results(ROOT / name))
        assert fill_tables(text, name, table) == text, f"run: gen3r eval table {name} --into {document}"


def test_goals_are_judged_by_the_means_and_open_without_a_file() -> None:
    page = numbers_page()
    clips = {str(number): {"vae/psnr": psnr} for number, psnr in enumerate([27.0, 28.0] * 128)}
    records = {"t9": {"clips": clips, "model": {}, "machine": {}}}
    vae, depth = page.table(records).splitlines()[2:4]
    assert re.search(r"\| VAE PSNR \| 27 dB \| 30 \| 27\.50 dB \(.*\) \| yes \| `t9\.json`, 256 clips \|", vae)
    assert depth.endswith("| open | not measured: `gen3r eval tables t3` |")
    better = {"t9": records["t9"] | {"clips": {name: {"vae/psnr": 31.0} for name in list(clips)[:2]}}}
    assert "| aim, on fewer than 256 clips |" in page.table(better)
