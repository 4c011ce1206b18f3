"""Wrong global scale of the cameras: nobody tells a model in which unit a path is."""

from __future__ import annotations

import torch

from gen3r.cameras.cameras import Cameras
from gen3r.eval.robustness.perturbations.base import CameraPerturbation


def rescale_path(cameras: Cameras, factor: float, rng: torch.Generator) -> Cameras:
    """All translations times ``factor``; nothing is random."""
    return cameras.scaled(factor)


SCALE = CameraPerturbation(
    title="wrong scale of the path", unit="", strengths=(0.3, 0.5, 1.0, 2.0, 3.0), identity=1.0, change=rescale_path
)
