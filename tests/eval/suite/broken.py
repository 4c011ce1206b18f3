"""A table that cannot be measured."""

from dataclasses import dataclass

from eval.suite.simple import SimpleTable


@dataclass(frozen=True, kw_only=True)
class BrokenTable(SimpleTable):
    name: str = "broken"

    def measure(self, *arguments: object) -> None:
        raise RuntimeError("out of order")


BENCHMARK = BrokenTable()
