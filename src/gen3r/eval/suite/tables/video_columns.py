"""How good a video looks on its own, by VBench-I2V, where it is installed with its weights."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from PIL import Image

from gen3r.eval.benchmarks.quantities import Quantity
from gen3r.eval.benchmarks.scores import Scores
from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.metrics.absent import Absent
from gen3r.eval.metrics.vbench import WEIGHTS, VideoOfImage, vbench_absence, vbench_scores
from gen3r.eval.suite.tables.columns import Columns
from gen3r.eval.suite.tables.prediction import Prediction
from gen3r.pipeline.decode import eight_bit
from gen3r.scene.export.video import write_h264


@cache
def _absence() -> Absent | None:
    return vbench_absence()


def _vbench(prediction: Prediction, truth: Truth) -> Scores:
    frames = eight_bit(prediction.video[None].cpu())[0].numpy()
    first = eight_bit(truth.video[None, :1].cpu())[0, 0].numpy()
    with tempfile.TemporaryDirectory() as name:
        clip = VideoOfImage(image=Path(name) / "first.png", video=Path(name) / "clip.mp4", prompt=truth.caption)
        Image.fromarray(first).save(clip.image)
        write_h264(clip.video, frames)
        found = vbench_scores([clip], device=truth.video.device.type)
    if isinstance(found, Absent):
        raise ValueError(str(found))
    return {f"vbench_{dimension}": scores[0] for dimension, scores in found.items()}


VBENCH = Columns(
    title="VBench-I2V",
    quantities={
        f"vbench_{dimension}": Quantity(
            meaning=f"VBench-I2V's {dimension.replace('_', ' ')}", unit="", higher_is_better=True, worst=0.0
        )
        for dimension in WEIGHTS
    },
    score=_vbench,
    absence=_absence,
)
"""VBench starts anew for every clip and row, which takes longer than anything else here."""
