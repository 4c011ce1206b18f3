"""What ``gen3r eval`` measures: names, units, and what a failed clip scores."""

from dataclasses import dataclass, replace
from types import MappingProxyType

from gen3r.eval.metrics.depth import ABSREL_CEILING
from gen3r.eval.metrics.pose import WORST_DEG
from gen3r.scene.cleaning import CLEANING_LEVELS


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One number per clip."""

    meaning: str
    """What is compared with what."""
    unit: str
    """Unit of the number, empty if it has none."""
    higher_is_better: bool
    """Direction."""
    worst: float | None
    """Score of a clip whose result is missing or not finite; None where only results are timed."""


def _psnr(meaning: str) -> Quantity:
    return Quantity(meaning=meaning, unit="dB", higher_is_better=True, worst=0.0)


def _absrel(meaning: str) -> Quantity:
    return Quantity(meaning=meaning, unit="", higher_is_better=False, worst=ABSREL_CEILING)


def _share(meaning: str) -> Quantity:
    return Quantity(meaning=meaning, unit="", higher_is_better=True, worst=0.0)


def _angle(meaning: str) -> Quantity:
    return Quantity(meaning=meaning, unit="deg", higher_is_better=False, worst=WORST_DEG)


QUANTITIES = MappingProxyType(
    {
        "vae_psnr": _psnr("video encoded and decoded again, mean of all frames"),
        "avgpool8_psnr": _psnr("baseline: every 8x8 block replaced by its mean"),
        "vggt_absrel": _absrel("VGGT's depth from all true frames"),
        "vggt_delta1": _share("pixels of VGGT's depth within a factor of 1.25"),
        "meanmap_absrel": _absrel("baseline: the mean depth map of training clips"),
        "vggt_rot_auc5": _share("VGGT's rotations, area under recall up to 5 degrees"),
        "vggt_rot_median_deg": _angle("VGGT's rotations, median error of a clip"),
        "identity_rot_auc5": _share("baseline: a camera that never turns"),
        "identity_rot_median_deg": _angle("baseline: a camera that never turns"),
        "adapter_absrel": _absrel("depth after VGGT's tokens went through the geometry latent"),
        "adapter_rot_median_deg": _angle("rotations after VGGT's tokens went through the geometry latent"),
        "gen1_last_psnr": _psnr("1 view: the last generated frame"),
        "copy_last_psnr": _psnr("baseline: the first frame in place of the last"),
        "warp_last_psnr": _psnr("bound: the first frame warped to the last by true depth"),
        "gen1_mean_psnr": _psnr("1 view: mean of the generated frames (all but the first)"),
        "gen1_between_psnr": _psnr("1 view: mean of the frames that 2 views have to generate"),
        "gen2_mean_psnr": _psnr("2 views: mean of the generated frames (all but first and last)"),
        "gen1_absrel": _absrel("1 view: generated depth"),
        "gen2_absrel": _absrel("2 views: generated depth"),
        "twostage_absrel": _absrel("baseline: 1 view, VGGT's depth of the generated frames"),
        "camera_auc30": _share("1 view: generated against requested cameras, area under recall up to 30 degrees"),
        "seconds_per_clip": Quantity(
            meaning="1 view to scene, time per clip", unit="s", higher_is_better=False, worst=None
        ),
    }
)
"""Every quantity of ``gen3r eval synthetic`` by its name in the results file, in the order of the tables."""

FLOATING = 0.1
"""Points farther than this from every true one, in mean depths of the first view, float."""
_WORST_DISTANCE = 100.0


def _percent(meaning: str, worst: float, *, higher_is_better: bool = False) -> Quantity:
    return Quantity(meaning=meaning, unit="%", higher_is_better=higher_is_better, worst=worst)


CLEANING_COLUMNS = MappingProxyType(
    {
        "kept": _percent("share of the pixels that survive", 0.0, higher_is_better=True),
        "accuracy": _percent("mean distance of a point to the true surface, of the mean depth", _WORST_DISTANCE),
        "change": _percent("accuracy minus that of all pixels, clip by clip; below 0 is better", _WORST_DISTANCE),
        "floating": _percent("share of points farther than a tenth of the mean depth from the true surface", 100.0),
        "completeness": _percent("mean distance of the true surface to a point, of the mean depth", _WORST_DISTANCE),
    }
)
"""What is measured of every scene at every cleaning level."""
CLEANED = MappingProxyType({"vggt": "reconstructed from all true frames", "gen1": "generated from the first frame"})
"""The scenes that are cleaned."""


def cleaning_name(subject: str, level: str, column: str) -> str:
    """Name of a quantity of the cleaning benchmark."""
    return f"{subject}_{level}_{column}"


CLEANING_QUANTITIES = MappingProxyType(
    {
        cleaning_name(subject, level, column): replace(quantity, meaning=f"{what}, {level}: {quantity.meaning}")
        for subject, what in CLEANED.items()
        for level in CLEANING_LEVELS
        for column, quantity in CLEANING_COLUMNS.items()
    }
)
"""Every quantity of ``gen3r eval cleaning``."""
ALL_QUANTITIES = MappingProxyType({**QUANTITIES, **CLEANING_QUANTITIES})
"""Every quantity of every benchmark."""
