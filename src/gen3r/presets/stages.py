"""What each training stage is given: network sizes, loss weights, data shape, and the loop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from gen3r.conditioning.condition import ConditioningConfig, DropRates
from gen3r.conditioning.views import ViewCurriculum, ViewSampler
from gen3r.latents.codecs import DEFAULT_CODEC, CodecName
from gen3r.latents.codecs.registry import CODECS, check_control
from gen3r.models.adapter.config import AdapterConfig
from gen3r.models.transformer.config import TransformerConfig
from gen3r.models.vae.config import VAEConfig
from gen3r.models.vggt.config import VGGTConfig
from gen3r.presets.condition_noise import CLEAN, ConditionNoise
from gen3r.presets.decoders import DecodersStage
from gen3r.presets.distill import DistillStage
from gen3r.presets.loop import LoopConfig
from gen3r.presets.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class VAELossConfig:
    """Weights of the VAE's terms."""

    l1: float = 0.5
    """Mean absolute error."""
    rms: float = 1.0
    """Root mean squared error per clip."""
    gradient: float = 0.25
    """Difference of image gradients."""
    multiscale: float = 0.25
    """Absolute error of averaged images."""
    kl: float = 4e-3
    """KL to N(0, 1), mean per latent dimension."""


@dataclass(frozen=True, kw_only=True)
class VGGTLossConfig:
    """Weights of VGGT's terms."""

    camera: float = 5.0
    """Camera loss (paper: 5)."""
    depth: float = 1.0
    """Depth with confidence."""
    depth_gradient: float = 1.0
    """Neighbour differences of depth."""
    points: float = 1.0
    """Points with confidence."""
    sky: float = 0.1
    """Confidence where there is no surface."""
    alpha: float = 0.2
    """Reward of confidence."""
    far: float = 20.0
    """Surfaces beyond this many mean depths of the first view are not compared."""
    attention: float = 1.0
    """Pairs of views: global attention looks at the same place in the other view."""
    attention_rounds: tuple[int, ...] = (1, 2)
    """Positions in ``kept_layers`` of the global blocks that learn it."""
    attention_heads: int = 2
    """Heads of each that do; the others are free."""
    flow: float = 20.0
    """Pairs of views: where a token's place is in the other view, told by a head that is only there for training."""


@dataclass(frozen=True, kw_only=True)
class VAEStage:
    """Stage 0b, the video VAE."""

    network: VAEConfig
    """Sizes."""
    loop: LoopConfig
    """Schedule."""
    loss: VAELossConfig = VAELossConfig()
    """Loss weights."""
    crop: int | None = 64
    """Side of the training crops, a multiple of 8; None takes whole frames."""
    fit_clips: int = 192
    """Training clips the linear path is fitted on."""


@dataclass(frozen=True, kw_only=True)
class VGGTStage:
    """Stage 0a, VGGT."""

    network: VGGTConfig
    """Sizes."""
    loop: LoopConfig
    """Schedule; ``batch_size`` counts images here."""
    loss: VGGTLossConfig = VGGTLossConfig()
    """Loss weights."""
    pairs: float = 0.0
    """Share of the run in which all clips are pairs of views, the cheapest way to learn motion; then more come."""
    dense_share: float = 1.0
    """Share of every batch whose depth and points are compared: the dense heads cost most of a small model's step."""

    def __post_init__(self) -> None:
        if not (0 <= self.pairs < 1 and 0 < self.dense_share <= 1):
            raise ValueError(
                f"expected a share of pairs from 0 to below 1 and a dense share above 0 to 1, got {self.pairs} and "
                f"{self.dense_share}."
            )

    condition_noise: ConditionNoise = CLEAN
    """How often pictures are spoiled (``views``); never, unless asked. VGGT is told no cameras."""


@dataclass(frozen=True, kw_only=True)
class TextConfig:
    """A small umT5-class text encoder and its tokenizer, trained with the transformer on the captions at hand."""

    vocabulary: int = 1024
    """Entries of the byte-level BPE vocabulary (256 bytes and special tokens included): any text can be written."""
    length: int = 64
    """Rows of text features."""
    width: int = 128
    """Model width."""
    layers: int = 2
    """Encoder layers."""
    heads: int = 4
    """Attention heads."""
    ffn: int = 256
    """Hidden width of the gated feed-forward layers."""


@dataclass(frozen=True, kw_only=True)
class LoRAConfig:
    """Low-rank updates of a frozen transformer (Hu et al. 2021), the only weights that are trained.

    Raises:
        ValueError: on construction, for a rank below 1, or nothing to update.
    """

    rank: int = 32
    """Rank of every update."""
    alpha: float = 32.0
    """Updates count alpha / rank times."""
    attention: bool = True
    """Update the projections of self- and cross-attention."""
    ffn: bool = False
    """Update the feed-forward layers too: more than twice as many weights."""
    dropout: float = 0.0
    """Dropout in front of the updates."""
    half: bool = True
    """Keep the frozen weights in bfloat16. Updates stay float32."""

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ValueError(f"expected a rank of at least 1, got {self.rank}.")
        if not (self.attention or self.ffn):
            raise ValueError("expected attention or ffn layers to update, got neither.")


@dataclass(frozen=True, kw_only=True)
class NoiseConfig:
    """Which noise levels diffusion trains on. The official training switches all of these on."""

    table: bool = False
    """Draw one of the schedule's 1000 levels instead of any level in between."""
    stratified: bool = False
    """Every process draws in its own interval of the levels, so that together they cover all of them."""
    bfloat16: bool = False
    """Round the level to bfloat16 before mixing; the transformer is told the exact one."""


@dataclass(frozen=True, kw_only=True)
class DiffusionStage:
    """Stage 2, joint flow matching."""

    network: TransformerConfig
    """Sizes."""
    text: TextConfig | None
    """Text encoder, trained with the transformer; None: a pretrained one, whose features are read with the latents."""
    loop: LoopConfig
    """Schedule."""
    conditioning: ConditioningConfig = field(default_factory=lambda: ConditioningConfig(rays_at_latent_size=True))
    """How conditions are made, in training and sampling alike."""
    views: ViewSampler = field(
        default_factory=lambda: ViewSampler(first=0.4, ends=0.25, everything=0.1, anything=0.2, nothing=0.05)
    )
    """Which frames are given."""
    view_curriculum: ViewCurriculum | None = None
    """Which frames are given before that; None: ``views`` throughout."""
    drops: DropRates = field(default_factory=DropRates)
    """How often text and cameras are withheld."""
    subsets: int = 2
    """Random choices of views encoded per clip, beside first, ends, all and none."""
    mirrored: bool = True
    """Encode every clip mirrored as well: twice the clips for twice the time."""
    encoding_seed: int | None = None
    """Seed of the views drawn while encoding, for runs that share encoded clips; None: the seed of the run."""
    shift: float = 2.0
    """Shift of the time schedule: larger trains more on strong noise."""
    noise: NoiseConfig = NoiseConfig()
    """How noise levels are drawn."""
    condition_noise: ConditionNoise = CLEAN
    """How often the transformer is told something wrong; never, unless asked."""
    outlier: float | None = None
    """Velocity errors above this count as 0, but still in the mean (official: 50); None: every error counts."""
    geometry_weight: float = 1.0
    """Weight of the geometry half's error; the official loss weighs both halves alike."""
    following: float = 0.0
    """Weight of attention that follows the camera, see ``train.losses.following``; 0: attention is left alone."""
    following_blocks: tuple[int, ...] = ()
    """Blocks of the transformer whose first two heads are taught that."""
    codec: CodecName = DEFAULT_CODEC
    """How geometry is coded in the joint latent; ``presets.codecs.with_codec`` sets all that goes with it."""
    lora: LoRAConfig | None = None
    """Train low-rank updates of a pretrained transformer instead of all its weights."""

    def __post_init__(self) -> None:
        blocks, heads = self.network.num_layers, self.network.num_attention_heads
        if self.following and not (self.following_blocks and max(self.following_blocks) < blocks and heads > 1):
            raise ValueError(
                f"expected blocks of 0..{blocks - 1} with two heads to follow the camera, got following_blocks "
                f"{self.following_blocks} of {heads} heads."
            )
        check_control(self.codec, self.conditioning.control_geometry)
        if CODECS[self.codec].halves == 1 and self.network.shared_rope:
            raise ValueError(
                f"the latents of codec {self.codec} have one half, whose columns a transformer with shared_rope would "
                "count twice; switch it off, or make the stage with presets.codecs.with_codec."
            )


@dataclass(frozen=True, kw_only=True)
class AdapterStage:
    """Stage 1, the geometry adapter."""

    network: AdapterConfig
    """Sizes."""
    loop: LoopConfig
    """Schedule."""
    kl_average: float | None = 0.99
    """Decay of the moving average of the official KL weight, which jumps by powers of ten; None: each step's own."""
    dense_frames: int | None = None
    """Frames of each clip whose cameras, depth and points are compared per step, at random; None: all."""
    curriculum: tuple[tuple[float, int], ...] = ()
    """Frames per clip in the course of the run: (from which share of the steps, how many); empty: the preset's."""
    augmented: bool = True
    """Mirror and reverse clips at random."""
    statistics_clips: int = 64
    """Clips on which token statistics are measured before training, for networks that have such."""
    alignment: float = 1.0
    """Factor on the weight of the KL to the video latent; 0 leaves it out, and with it every bound on the latent."""

    def __post_init__(self) -> None:
        starts = [start for start, _ in self.curriculum]
        if self.curriculum and (starts[0] != 0 or starts != sorted(set(starts)) or starts[-1] >= 1):
            raise ValueError(f"expected a curriculum with growing shares from 0 on, below 1, got {self.curriculum}.")


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A whole model: every network, every stage, and the clip it is made for."""

    name: str
    """Its name on the command line."""
    frames: int
    """Frames per clip (4k+1)."""
    height: int
    """Image rows."""
    width: int
    """Image columns."""
    vggt: VGGTStage
    """Stage 0a."""
    vae: VAEStage
    """Stage 0b."""
    adapter: AdapterStage
    """Stage 1."""
    diffusion: DiffusionStage
    """Stage 2."""
    distill: DistillStage = field(default_factory=DistillStage)
    """Stage 3."""
    decoders: DecodersStage = field(default_factory=DecodersStage)
    """Stage 4."""
    clips: int
    """Clips generated for a run when no data is given."""
    strides: tuple[int, int] = (1, 2)
    """Smallest and largest distance of a clip's frames in a stored scene, see ``ClipSampler``."""
    official_strides: bool = False
    """Draw strides of stage 2 as the official training does, which never reaches the largest."""
    lora_preset: str | None = None
    """The preset for low-rank updates of stage 2, where the schedule of this one does not suit them."""
    pretrained: tuple[str, ...] = ()
    """Stages that are not trained: their networks are taken as they were published."""
    steps: int = 20
    """Default denoising steps of the shipped pipeline."""
    guidance: float = 1.0
    """Default guidance of the shipped pipeline."""
    negative_prompt: str = ""
    """Default negative prompt of the shipped pipeline."""
    scene_cameras: Literal["predicted", "requested"] = "predicted"
    """Default cameras of the shipped pipeline's scenes, see ``PipelineConfig``."""
    sky_confidence: float = 0.0
    """Confidence that VGGT has in surfaces but not in the sky, see ``PipelineConfig``."""
    recipe: Recipe | None = None
    """How all stages are trained one after the other; None: one by one, by hand."""

    def network_of(self, stage: str) -> Any:
        """Sizes of what a stage trains."""
        own = getattr(self, stage)
        return (self.diffusion if isinstance(own, DistillStage | DecodersStage) else own).network
