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
_STEPS_PER_WIDTH = 4
"""Steps of the positions in the width of the usual splat, at least."""
_POSITION_BITS = 23
"""Without the sign."""
_LEAST_SCALE = math.exp(-10)
"""Scales are bytes, sixteenths of a natural logarithm from -10; smaller ones become this."""


def write(source: ExportSource, folder: Path) -> None:
    """Write the splats of `splats.ply`; axes x right, y up, z backward as the format demands, scene units."""
    write_splats(folder / "splats.spz", source.splats)


def write_splats(path: Path, splats: Gaussians) -> None:
    """Write splats given in OpenCV axes; half a turn about x leads to those of the format.

    Positions are rounded to 1/4096; more finely if that is more than a quarter of the usual splat's width, more
    coarsely if the scene reaches beyond what 24 bits then hold, 2048 units at 1/4096. Flat splats may come out thicker.

    Raises:
        ValueError: if the scene is too large for its positions, or most of its splats too small for its scales.
    """
    width = float(splats.scales.median(dim=-1).values.median()) if len(splats) else 1.0
    if width < _LEAST_SCALE:
        raise ValueError(
            f"spz holds splats no smaller than {_LEAST_SCALE:.2g} units, got {width:.2g} for half of them; scale the "
            "scene up, or use the format 3dgs, which has no such limit."
        )
    values = training_values(splats)
    means = values["means"] * np.array([1, -1, -1], dtype=np.float32)
    rotations = values["rotations"] * np.array([1, 1, -1, -1], dtype=np.float32)
    reach = max(1.0, float(np.abs(means).max(initial=0.0)))
    needed = max(_FRACTIONAL_BITS, math.ceil(math.log2(_STEPS_PER_WIDTH / width)))
    bits = min(needed, _POSITION_BITS - math.floor(math.log2(reach)) - 1)
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
