"""Stage 3: how a student that needs few steps is taught."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from gen3r.presets.loop import LoopConfig

DistillMethod = Literal["progressive", "perflow", "reflow", "consistency", "phased"]


def distill_loop() -> LoopConfig:
    """A schedule that two CPU cores go through in minutes for ``tiny``."""
    return LoopConfig(
        steps=600,
        batch_size=4,
        lr=1e-4,
        final_lr=0.1,
        warmup=30,
        ema_decay=0.99,
        precision="bf16",
        threads=1,
        checkpoint_every=100,
        validate_every=100,
        validation_batches=1,
        sample_every=0,
    )


@dataclass(frozen=True, kw_only=True)
class DistillStage:
    """Stage 3, a student of the diffusion transformer; sizes, conditions and data are those of stage 2.

    Raises:
        ValueError: on construction, for numbers that teach nothing.
    """

    loop: LoopConfig = field(default_factory=distill_loop)
    """Schedule. ``progressive``, ``perflow`` and ``reflow`` make ``steps`` lessons of every clip, so that their batches
    are that many times as large for the student."""
    method: DistillMethod = "progressive"
    """How it is taught, see ``train.objectives.distill_lessons.METHODS``."""
    steps: int = 4
    """Steps the student is to go."""
    substeps: int = 7
    """Steps of the teacher in place of one of the student."""
    guidance: float = 1.0
    """Text guidance of the teacher, which the student has without asking twice (Meng et al. 2022); 1 is off."""
    target_decay: float = 0.95
    """Decay of the average of the student that ``consistency`` and ``phased`` compare with; 0: the student itself."""
    lora: int | None = None
    """Train low-rank updates of this rank on the teacher's weights instead of all of them (LCM-LoRA: Luo et al. 2023,
    arXiv 2311.05556)."""

    def __post_init__(self) -> None:
        if self.steps < 1 or self.substeps < 1:
            raise ValueError(f"expected at least one step and substep, got {self.steps} and {self.substeps}.")
        if not 0 <= self.target_decay < 1:
            raise ValueError(f"expected target_decay in [0, 1), got {self.target_decay}.")
