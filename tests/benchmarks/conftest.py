"""The benchmarks are scripts beside the package: they find their modules next to themselves."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
