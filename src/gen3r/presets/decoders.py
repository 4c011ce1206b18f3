"""Stage 4: how decoders are trained on what the transformer makes."""

from __future__ import annotations

from dataclasses import dataclass, field

from gen3r.presets.loop import LoopConfig


def decoders_loop() -> LoopConfig:
    """A schedule that two CPU cores go through in less than an hour for ``tiny``."""
    return LoopConfig(
        steps=1000,
        batch_size=4,
        lr=4e-4,
        warmup=30,
        ema_decay=0.99,
        precision="bf16",
        threads=1,
        checkpoint_every=100,
        validate_every=200,
        validation_batches=1,
        sample_every=200,
    )


@dataclass(frozen=True, kw_only=True)
class DecodersStage:
    """Stage 4, the decoders of the video VAE and of the geometry adapter; clips and conditions are those of stage 2.

    Raises:
        ValueError: on construction, for numbers that teach nothing.
    """

    loop: LoopConfig = field(default_factory=decoders_loop)
    """Schedule."""
    steps: int = 4
    """Steps from noise to latents."""
    clean: float = 0.3
    """Share of the clips that are decoded from the latents of their own frames."""
    dense_frames: int = 3
    """Frames of each clip whose depth and points are compared; cameras are of all."""

    def __post_init__(self) -> None:
        if self.steps < 1 or self.dense_frames < 1:
            raise ValueError(
                f"expected steps and dense_frames of at least 1, got {self.steps} and {self.dense_frames}."
            )
        if not 0 <= self.clean < 1:
            raise ValueError(f"expected a share clean in [0, 1), got {self.clean}.")
