"""Writes the table of formats into docs/exports.md, from the registry.

python docs/exports_table.py
"""

from pathlib import Path

from gen3r.eval.report import fill_tables
from gen3r.scene.export.registry import EXPORT_FORMATS, ExportFormat
from gen3r.whole_file import whole_file

DOCUMENT = Path(__file__).parent / "exports.md"
MARKER = "docs/exports_table.py"
COLUMNS = ("format", "files", "what is in it", "conventions", "opens in", "needs")


def table() -> str:
    """Every format, in the order of the registry."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    return "\n".join([*lines, *map(row, EXPORT_FORMATS)]) + "\n"


def row(item: ExportFormat) -> str:
    """One format."""
    files = ", ".join(f"`{name}`" for name in item.files)
    needs = "" if item.extra is None else f"`{item.extra.name}`"
    return f"| `{item.name}` | {files} | {item.summary} | {item.conventions} | {item.opens_in} | {needs} |"


def filled(text: str) -> str:
    """The document with the table of today."""
    return fill_tables(text, MARKER, table())


if __name__ == "__main__":
    with whole_file(DOCUMENT) as temporary:
        temporary.write_text(filled(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
