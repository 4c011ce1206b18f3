"""All perturbations by name."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

from gen3r.eval.robustness.perturbations.base import CameraPerturbation, Perturbation, ViewPerturbation
from gen3r.eval.robustness.perturbations.blur import DEFOCUS, SHAKE
from gen3r.eval.robustness.perturbations.extrinsics import ROTATION, TRANSLATION
from gen3r.eval.robustness.perturbations.intrinsics import FOCAL, PRINCIPAL_POINT
from gen3r.eval.robustness.perturbations.jpeg import JPEG
from gen3r.eval.robustness.perturbations.scale import SCALE
from gen3r.eval.robustness.perturbations.sensor import LOW_LIGHT, SENSOR_NOISE

CAMERA_PERTURBATIONS: MappingProxyType[str, CameraPerturbation] = MappingProxyType(
    {
        "focal": FOCAL,
        "principal-point": PRINCIPAL_POINT,
        "rotation": ROTATION,
        "translation": TRANSLATION,
        "scale": SCALE,
    }
)
"""What is done to the cameras that are asked for."""
VIEW_PERTURBATIONS: MappingProxyType[str, ViewPerturbation] = MappingProxyType(
    {"noise": SENSOR_NOISE, "low-light": LOW_LIGHT, "jpeg": JPEG, "defocus": DEFOCUS, "motion-blur": SHAKE}
)
"""What is done to the pictures that are given."""
PERTURBATIONS: MappingProxyType[str, Perturbation] = MappingProxyType({**CAMERA_PERTURBATIONS, **VIEW_PERTURBATIONS})
"""All of them, in the order of the tables."""


def chosen_perturbations(names: Sequence[str]) -> dict[str, Perturbation]:
    """The perturbations of these names, in the order of the tables; all of them for none.

    Raises:
        ValueError: for an unknown name, listing the known ones.
    """
    unknown = [name for name in names if name not in PERTURBATIONS]
    if unknown:
        raise ValueError(f"unknown perturbation {unknown[0]!r}; choose among {', '.join(PERTURBATIONS)}.")
    return {name: perturbation for name, perturbation in PERTURBATIONS.items() if not names or name in names}
