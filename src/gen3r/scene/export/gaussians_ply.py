"""splats.ply: Gaussian splats as the training code of 3D Gaussian Splatting writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float32
from plyfile import PlyData, PlyElement

from gen3r.scene.export.source import ExportSource
from gen3r.scene.gaussians import Gaussians

_SH_CONSTANT = 0.28209479177387814
"""The spherical harmonic of degree 0, 1 / (2 sqrt(pi))."""

COLUMNS: dict[str, tuple[str, ...]] = {
    "means": ("x", "y", "z"),
    "normals": ("nx", "ny", "nz"),
    "sh0": ("f_dc_0", "f_dc_1", "f_dc_2"),
    "opacities": ("opacity",),
    "scales": ("scale_0", "scale_1", "scale_2"),
    "rotations": ("rot_0", "rot_1", "rot_2", "rot_3"),
}
"""The properties of a splat in file order, all float32."""


def write(source: ExportSource, folder: Path) -> None:
    """Write one vertex per splat, spherical harmonics of degree 0; world in OpenCV axes, scene units."""
    splats = source.splats
    names = [name for group in COLUMNS.values() for name in group]
    vertices = np.zeros(len(splats), dtype=[(name, "<f4") for name in names])  # normals stay 0, as in every such file
    for group, values in training_values(splats).items():
        for name, column in zip(COLUMNS[group], values.T, strict=True):
            vertices[name] = column
    element = PlyElement.describe(vertices, "vertex")
    PlyData([element], text=False, byte_order="<").write(str(folder / "splats.ply"))


def training_values(splats: Gaussians) -> dict[str, Float32[np.ndarray, "N _"]]:
    """The numbers that training optimises, by group of `COLUMNS` without the normals.

    sh0 = (colour - 0.5) / Y_00, opacities are logits, scales natural logarithms, rotations (w, x, y, z).
    """
    return {
        "means": splats.means.numpy(),
        "sh0": ((splats.colors - 0.5) / _SH_CONSTANT).numpy(),
        "opacities": splats.opacities.logit()[:, None].numpy(),
        "scales": splats.scales.log().numpy(),
        "rotations": splats.rotations.numpy(),
    }
