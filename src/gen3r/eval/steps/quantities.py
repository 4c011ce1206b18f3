"""What is measured after every number of steps."""

from types import MappingProxyType

from gen3r.eval.benchmarks.quantities import Quantity
from gen3r.eval.metrics.depth import ABSREL_CEILING


def _higher(meaning: str, unit: str = "", worst: float = 0.0) -> Quantity:
    return Quantity(meaning=meaning, unit=unit, higher_is_better=True, worst=worst)


COLUMNS = MappingProxyType(
    {
        "last_psnr": _higher("1 view with cameras: the last frame against the true one", "dB"),
        "mean_psnr": _higher("mean of the generated frames against the true ones", "dB"),
        "ssim": _higher("structural similarity of the generated frames to the true ones"),
        "sharpness": _higher("mean image gradient of the generated frames, as a multiple of that of the true ones"),
        "absrel": Quantity(
            meaning="generated depth against the true one, scale aligned",
            unit="",
            higher_is_better=False,
            worst=ABSREL_CEILING,
        ),
        "auc30": _higher("generated against requested cameras, area under recall up to 30 degrees"),
        "agreement": _higher("share of the pixels that two frames see whose depths agree within 5 %; needs no truth"),
        "warp_psnr": _higher("a frame against another one warped onto it by the scene's own depth and cameras", "dB"),
        "same_noise_psnr": _higher("frames against those of the reference from the same noise", "dB"),
        "seconds": Quantity(meaning="time per clip", unit="s", higher_is_better=False, worst=None),
    }
)
"""By their names in the results file."""
HEADINGS = MappingProxyType(
    {
        "last_psnr": "last PSNR",
        "mean_psnr": "mean PSNR",
        "ssim": "SSIM",
        "sharpness": "sharpness",
        "absrel": "depth AbsRel",
        "auc30": "AUC@30",
        "agreement": "agreement",
        "warp_psnr": "warp PSNR",
        "same_noise_psnr": "same noise PSNR",
        "seconds": "seconds",
    }
)
"""Over the columns of the table and the panels of the curves."""
JUDGED = ("last_psnr", "mean_psnr", "absrel", "auc30", "agreement")
"""What has to stay within a share of the reference's, each of them."""


def row_of(subject: str, steps: int) -> str:
    """Key of a row; a quantity's name is this and the column's."""
    return f"{subject}@{steps}/"
