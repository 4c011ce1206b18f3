"""``gen3r train``: one training stage of a preset."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
