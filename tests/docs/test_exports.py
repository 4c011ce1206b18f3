"""The page of exports says what the code does."""

import importlib.util
import re
from pathlib import Path

from gen3r.eval.report import fill_tables, markdown_table, read_results
from gen3r.scene.cleaning import CLEANING_LEVELS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/exports.md").read_text(encoding="utf-8")


def test_the_table_of_formats_is_the_registry() -> None:
    spec = importlib.util.spec_from_file_location("exports_table", ROOT / "docs/exports_table.py")
    assert spec is not None
    assert spec.loader is not None
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    assert page.filled(TEXT) == TEXT, "run: python docs/exports_table.py"


def test_the_measured_table_is_the_results_file() -> None:
    name = "benchmarks/results/cleaning.json"
    table = markdown_table(read_results(ROOT / name))
    assert fill_tables(TEXT, name, table) == TEXT, f"run: gen3r eval table {name} --into docs/exports.md"


def test_the_levels_are_those_of_the_code_and_of_the_measurement() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \| ([\d.-]+) \| (\w+) \| ([\d.-]+) \|$", TEXT, re.MULTILINE)
    told = {name: tuple(numbers) for name, *numbers in rows}
    assert told == {
        name: (
            f"{level.confidence_quantile:g}",
            "-" if level.disagreement is None else f"{level.disagreement:g}",
            "goes" if level.confirmed else "stays",
            "-" if level.depth_edge is None else f"{level.depth_edge:g}",
        )
        for name, level in CLEANING_LEVELS.items()
    }
    measured = read_results(ROOT / "benchmarks/results/cleaning.json")["settings"]["levels"]
    assert measured == {name: vars(level) for name, level in CLEANING_LEVELS.items()}
