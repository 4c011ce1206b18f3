"""A golden that nobody looks at proves nothing."""

import ast
from pathlib import Path

from parity._goldens import kinds


def test_every_kind_of_golden_is_walked_by_some_test() -> None:
    walked = set()
    for module in Path(__file__).parent.glob("test_*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "goldens":
                walked |= {argument.value for argument in node.args if isinstance(argument, ast.Constant)}
    assert kinds() <= walked
