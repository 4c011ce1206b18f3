"""``gen3r eval table``: a results file as a Markdown table."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from gen3r.cli.output_file import write_whole
from gen3r.cli.terminal import say


@dataclass(frozen=True, kw_only=True)
class Table:
    """Print a results file as a Markdown table."""

    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE.json")]
    """What gen3r eval synthetic wrote."""
    metrics: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME ...")] = ()
    """Show only these, in this order."""
    into: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="FILE.md ...")] = ()
    """Put the table into these documents, between the lines <!-- table: FILE.json --> and <!-- /table -->."""

    def run(self) -> None:
        """Print the table, or put it into documents.

        Raises:
            ValueError: if the file is no results file or lacks a metric, or a document has no place for the table.
        """
        from gen3r.eval.report import fill_tables, markdown_table, read_results

        table = markdown_table(read_results(self.file), self.metrics or None)
        if not self.into:
            say(table.rstrip())
            return
        filled = {path: fill_tables(read_text(path), self.file.as_posix(), table) for path in self.into}
        for path, text in filled.items():
            write_whole(path, text)
            say(f"Table of {self.file} in {path}")


def read_text(path: Path) -> str:
    """A text file of the user's; ValueError if there is none."""
    if not path.is_file():
        raise ValueError(f"expected a Markdown file, but there is none at {path}; check the path.")
    return path.read_text(encoding="utf-8")
