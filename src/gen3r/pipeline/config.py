"""What a trained model needs to be sampled as it was trained."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from gen3r.conditioning.condition import ConditioningConfig
from gen3r.latents.codecs import DEFAULT_CODEC, CodecName
from gen3r.latents.codecs.registry import check_control
from gen3r.pipeline.few_steps import FewSteps

FORMAT_VERSION = 1
SceneCameras = Literal["predicted", "requested"]


@dataclass(frozen=True, kw_only=True)
class PipelineConfig:
    """``pipeline.json`` of a model folder."""

    name: str
    """Name of the model, for provenance."""
    revision: str = "unreleased"
    """Which training of that name, for provenance."""
    format_version: int = FORMAT_VERSION
    """Version of the folder layout."""
    frames: int = 49
    """Clip length the weights were trained for (4k+1)."""
    height: int = 560
    """Image rows the weights were trained for."""
    width: int = 560
    """Image columns the weights were trained for."""
    steps: int = 50
    """Default denoising steps."""
    guidance: float = 5.0
    """Default text guidance; 1 turns it off and halves the cost."""
    negative_prompt: str = ""
    """Default prompt of the other guidance branch."""
    shift: float = 2.0
    """Shift of the flow-matching schedule: larger spends more steps on strong noise."""
    text_length: int = 512
    """Rows of text features."""
    fov_degrees: float = 60.0
    """Vertical field of view of named trajectories when there is no view to estimate it from."""
    far: float = 20.0
    """Depth beyond which a pixel counts as sky, in mean depths of the first view."""
    sky_confidence: float = 0.0
    """Confidence below which a pixel counts as sky. VGGT's confidences start at 1; 0 asks for none, as the released
    weights need it, which were not trained to doubt the sky."""
    max_travel: float | None = None
    """Farthest camera displacement known from training, in mean depths of the first view; longer paths of unknown unit
    and named trajectories are shortened to it. None = any."""
    scene_cameras: SceneCameras = "predicted"
    """Cameras of a generated scene whose request names some: those that VGGT's head reads in the generated geometry, or
    the requested ones, for weights whose camera head is worse than their obedience."""
    codec: CodecName = DEFAULT_CODEC
    """How geometry is coded in the joint latent."""
    few_steps: FewSteps | None = None
    """A second transformer that needs few steps, and when it is taken."""
    conditioning: ConditioningConfig = field(default_factory=ConditioningConfig)
    """How conditions were made in training."""

    def __post_init__(self) -> None:
        if self.format_version != FORMAT_VERSION:
            raise ValueError(
                f"this gen3r reads model folders of format {FORMAT_VERSION}, got {self.format_version}; "
                "upgrade gen3r or export the model again."
            )
        check_control(self.codec, self.conditioning.control_geometry)
        if self.steps < 1 or self.shift <= 0:
            raise ValueError(f"expected steps >= 1 and shift > 0, got steps={self.steps}, shift={self.shift}.")
