"""Sizes of a VGGT. The defaults are those of the released 1.19 B parameter model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class VGGTConfig:
    """Architecture of a VGGT; a small model is a smaller config."""

    patch_size: int = 14
    """Side of an image patch in pixels; image sizes must be multiples of it."""
    image_size: int = 518
    """Image side the position table is made for; other sizes interpolate it."""
    embed_dim: int = 1024
    """Token width C. The kept tokens are 2C wide: frame half, then global half."""
    patch_embed: Literal["dino", "conv"] = "dino"
    """How patches become tokens: a DINOv2 transformer, or one strided convolution with learned positions."""
    dino_depth: int = 24
    """Transformer blocks of the DINOv2 patch embedding (unused with "conv")."""
    dino_heads: int = 16
    """Attention heads of the DINOv2 patch embedding (unused with "conv")."""
    dino_layer_scale: float = 1.0
    """Initial LayerScale of the DINOv2 patch embedding."""
    depth: int = 24
    """Rounds of alternating attention; each is one frame block and one global block."""
    heads: int = 16
    """Attention heads of the alternating blocks."""
    mlp_ratio: float = 4.0
    """Hidden width of every MLP over its input width."""
    register_tokens: int = 4
    """Register tokens per frame, beside the one camera token."""
    layer_scale: float = 0.01
    """Initial LayerScale of the alternating blocks and of the camera trunk."""
    rope_base: float = 100.0
    """Base of the rotary position frequencies."""
    kept_layers: tuple[int, ...] = (4, 11, 17, 23)
    """The four rounds whose tokens the heads read, in increasing order."""
    camera_depth: int = 4
    """Transformer blocks of the camera head."""
    camera_heads: int = 16
    """Attention heads of the camera head."""
    camera_iterations: int = 4
    """Refinement iterations of the camera head."""
    initial_pose: tuple[float, ...] = ()
    """Pose encoding (9 numbers) that the first iteration corrects. Empty: it predicts from nothing, as released."""
    dense_features: int = 256
    """Width of the fusion stages of the depth and point heads."""
    dense_channels: tuple[int, ...] = (256, 512, 1024, 1024)
    """Width of each kept layer after its projection in the dense heads."""
    dense_hidden: int = 32
    """Width of the last hidden map of the dense heads."""
    head_downsample: int = 1
    """The dense heads work at 1/this of the released resolution and upsample their raw output at the end."""

    def __post_init__(self) -> None:
        self._check_divides("patch_size", self.patch_size, "image_size", self.image_size)
        self._check_divides("4 * heads (rotary positions)", 4 * self.heads, "embed_dim", self.embed_dim)
        self._check_divides("camera_heads", self.camera_heads, "2 * embed_dim", self.token_dim)
        if self.patch_embed == "dino":
            self._check_divides("dino_heads", self.dino_heads, "embed_dim", self.embed_dim)
        kept = self.kept_layers
        if len(kept) != 4 or list(kept) != sorted(set(kept)) or kept[0] < 0 or kept[-1] >= self.depth:
            raise ValueError(f"kept_layers must be four increasing rounds in 0..{self.depth - 1}, got {kept}.")
        if len(self.dense_channels) != 4 or any(c % 4 for c in (*self.dense_channels, self.dense_features // 2)):
            raise ValueError(
                "dense_channels must be four multiples of 4 and dense_features a multiple of 8, "
                f"got {self.dense_channels} and {self.dense_features}."
            )
        if len(self.initial_pose) not in (0, 9):
            raise ValueError(f"initial_pose must be empty or 9 numbers, got {len(self.initial_pose)}.")
        if self.head_downsample < 1:
            raise ValueError(f"head_downsample must be at least 1, got {self.head_downsample}.")

    @staticmethod
    def _check_divides(divisor_name: str, divisor: int, name: str, value: int) -> None:
        if value % divisor:
            raise ValueError(f"{name} must be a multiple of {divisor_name}, got {value} and {divisor}.")

    @property
    def token_dim(self) -> int:
        """Width of the kept tokens, D = 2C."""
        return 2 * self.embed_dim

    @property
    def special_tokens(self) -> int:
        """Tokens before the patches of each frame: the camera token and the registers."""
        return 1 + self.register_tokens

    def token_grid(self, height: int, width: int) -> tuple[int, int]:
        """Token rows and columns of an image of this size; ValueError when it is off the patch grid."""
        patch = self.patch_size
        if height % patch or width % patch or height < patch or width < patch:
            low = (max(height // patch, 1) * patch, max(width // patch, 1) * patch)
            raise ValueError(
                f"image size must be a multiple of the patch {patch}, got {height}x{width}; use {low[0]}x{low[1]}."
            )
        return height // patch, width // patch
