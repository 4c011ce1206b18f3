"""``gen3r eval compare``: is one model, or one way to use it, better than another? Clip by clip."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from gen3r.cli.output_file import check_output_file, write_whole
from gen3r.cli.terminal import say, warn


@dataclass(frozen=True, kw_only=True)
class Compare:
    """Compare two results files, or two rows of one, clip by clip, and say which differences are more than chance."""

    files: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="A.json [B.json]")]
    """What gen3r eval wrote: two files of the same clips, or one."""
    rows: Annotated[tuple[str, str] | None, tyro.conf.arg(metavar="ROW ROW")] = None
    """Compare this row of the first file with this one of the last, such as gen1 twostage."""
    metrics: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME ...")] = ()
    """Compare only these, in this order; of rows, the names of their columns."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FILE.md")] = None
    """Write the table here too."""

    def run(self) -> None:
        """Print the table of differences.

        Raises:
            ValueError: for other than one or two files, files that share no clip or quantity, or unknown rows.
        """
        if len(self.files) not in (1, 2) or (len(self.files) == 1 and self.rows is None):
            raise ValueError(
                f"expected two files to compare, or one and --rows, got {len(self.files)} files"
                f"{'' if self.rows else ' and no rows'}."
            )
        if self.out is not None:
            check_output_file(self.out)

        from gen3r.eval.comparing import compare, markdown_comparison, numbers_of, row_quantities
        from gen3r.eval.report import read_results

        records = [read_results(path) for path in (self.files[0], self.files[-1])]
        rows = self.rows or (None, None)
        first, second = (numbers_of(record, row) for record, row in zip(records, rows, strict=True))
        differences = compare(first, second, row_quantities(records[0], first, rows[0]), self.metrics)
        table = markdown_comparison(differences, *self._labels())
        say(table.rstrip())
        alone = set(records[0]["clips"]) ^ set(records[1]["clips"])
        if alone:
            warn(f"{len(alone)} clips are in one of the files only, and are left out.")
        if self.out is not None:
            write_whole(self.out, table)

    def _labels(self) -> tuple[str, str]:
        """What to call the two: rows if they differ, else file names, else paths."""
        if self.rows is not None and len(self.files) == 1:
            return self.rows
        paths = self.files[0], self.files[-1]
        names = tuple(path.stem for path in paths)
        if names[0] == names[1]:
            names = tuple(f"{path.parent.name}/{path.stem}" for path in paths)
        if self.rows is not None:
            names = tuple(f"{name}: {row}" for name, row in zip(names, self.rows, strict=True))
        return names[0], names[1]
