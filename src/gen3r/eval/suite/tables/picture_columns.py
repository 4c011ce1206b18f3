"""How near predicted frames come to the true ones."""

from __future__ import annotations

from gen3r.eval.benchmarks.scores import Scores, mean_psnr
from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.metrics.lpips import lpips_absence, lpips_or_none
from gen3r.eval.metrics.ssim import ssim
from gen3r.eval.suite.tables.columns import Columns, decibels, error, share
from gen3r.eval.suite.tables.prediction import Prediction

WORST_LPIPS = 1.0
"""About what unrelated pictures score."""


def pictures(judged: slice) -> tuple[Columns, Columns]:
    """PSNR and SSIM, and LPIPS, of the ``judged`` frames: means over them."""

    def likeness(prediction: Prediction, truth: Truth) -> Scores:
        chosen = range(truth.frames)[judged]
        structure = ssim(prediction.video[judged], truth.video[judged])
        return {"psnr": mean_psnr(prediction.video, truth, chosen), "ssim": structure.mean().item()}

    def distance(prediction: Prediction, truth: Truth) -> Scores:
        distances = lpips_or_none(prediction.video[judged], truth.video[judged])
        assert distances is not None, "LPIPS is measured where nothing is absent"
        return {"lpips": distances.mean().item()}

    return (
        Columns(
            title="frames",
            quantities={"psnr": decibels("predicted frames, mean"), "ssim": share("predicted frames, mean")},
            score=likeness,
        ),
        Columns(
            title="LPIPS",
            quantities={"lpips": error("predicted frames, mean; AlexNet", WORST_LPIPS)},
            score=distance,
            absence=lpips_absence,
        ),
    )


ALL, AFTER_FIRST, INNER = slice(None), slice(1, None), slice(1, -1)
"""Frames that a prediction had to find: of no views, of the first one, of the first and the last."""


def _between(prediction: Prediction, truth: Truth) -> Scores:
    return {"between_psnr": mean_psnr(prediction.video, truth, range(truth.frames)[INNER])}


BETWEEN = Columns(
    title="frames between the first and the last",
    quantities={"between_psnr": decibels("frames between the first and the last, mean")},
    score=_between,
)


def _last(prediction: Prediction, truth: Truth) -> Scores:
    return {"last_psnr": mean_psnr(prediction.video, truth, [truth.frames - 1])}


LAST = Columns(title="last frame", quantities={"last_psnr": decibels("the last frame")}, score=_last)
