"""splats.spz: Gaussian splats, quantised and compressed to about a fifth of the .ply."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from gsply import GSData, write_spz
from numba import config

from gen3r.scene.export.gaussians_ply import training_values
from gen3r.scene.export.source import ExportSource
from gen3r.scene.gaussians import Gaussians

_VERSION = 3
"""The last one that is a plain gzip stream, which every reader knows."""
_FRACTIONAL_BITS = 12
"""Positions in steps of 1/4096, as other writers do."""
_POSITION_BITS = 23
"""Without the sign."""


def write(source: ExportSource, folder: Path) -> None:
    """Write the splats of `splats.ply`; axes x right, y up, z backward as the format demands, scene units."""
    write_splats(folder / "splats.spz", source.splats)


def write_splats(path: Path, splats: Gaussians) -> None:
    """Write splats given in OpenCV axes; half a turn about x leads to those of the format.

    Positions are rounded to 1/4096, more coarsely only if the scene reaches beyond 2048 units.
    """
    values = training_values(splats)
    means = values["means"] * np.array([1, -1, -1], dtype=np.float32)
    rotations = values["rotations"] * np.array([1, 1, -1, -1], dtype=np.float32)
    reach = max(1.0, float(np.abs(means).max(initial=0.0)))
    bits = min(_FRACTIONAL_BITS, _POSITION_BITS - math.floor(math.log2(reach)) - 1)
    if bits < 1:
        raise ValueError(f"spz holds positions up to 4 million units, got {reach:.3g}; scale the scene down.")
    # Not the TBB that other libraries may have brought into the process: numba warns if it is an old one.
    config.THREADING_LAYER_PRIORITY = ["omp", "workqueue", "tbb"]  # pyright: ignore[reportAttributeAccessIssue]
    data = GSData.from_arrays(
        means=means,
        scales=values["scales"],
        quats=rotations,
        opacities=values["opacities"][:, 0],
        sh0=values["sh0"],
        format="ply",
    )
    write_spz(path, data, version=_VERSION, fractional_bits=bits)
