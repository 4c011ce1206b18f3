"""HTML, styles and scripts of the page, as files."""

from pathlib import Path


def asset(name: str) -> str:
    """The text of one of them."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
