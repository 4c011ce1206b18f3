"""The models gen3r knows by name: where each lies, which files it has, how large they are, and under which terms.

Numbers of tensors and parameters come from the official classes at full size. Sizes in bytes follow from them and the
type the weights are published in, as far as it is known; a download is measured by what the hub states instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What the safetensors files of a part hold."""

    tensors: int
    """Number of tensors."""
    parameters: int
    """Numbers in all of them together."""
    ignored: tuple[str, ...] = ()
    """Beginnings of names that are published too, are not used and are not counted."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One network of a model, or another set of files that belong together."""

    files: tuple[str, ...]
    """Patterns of the files in the repository; each has to match one."""
    extra: tuple[str, ...] = ()
    """Patterns of files that are fetched if there are any."""
    approximate_bytes: int = 0
    """Size of the download, approximately."""
    manifest: Manifest | None = None
    """What the safetensors files hold, None where nothing is known of them."""
    companion: str | None = None
    """Model that provides the part if the repository lacks it; None if the repository has to have it."""


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What the weights were trained on."""

    frames: int
    """Length of a clip."""
    size: tuple[int, int]
    """Height and width of its frames in pixels: the shorter side is resized to fit, then the centre is cut out."""
    value_range: tuple[float, float] = (-1.0, 1.0)
    """Range of colours given to the video VAE."""
    prompt_tokens: int | None = None
    """Tokens of a prompt, shorter ones padded; None without a text encoder."""
    image_pixels: int | None = None
    """Side of the picture for the image encoder; None without one."""


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """A model with a name."""

    name: str
    """What to write after ``--model``."""
    summary: str
    """What it is."""
    licence: str
    """Terms of the weights, as their publisher states them."""
    layout: Literal["gen3r", "official", "base", "part"]
    """How its folder is arranged: a whole model in our layout or the official one, a base to train from, or one
    network."""
    repository: str | None = None
    """``owner/name`` on the hub; None for a model inside the package, or one that is not published."""
    revision: str | None = None
    """Commit everyone gets; None for the newest at the first download, which is then remembered."""
    parts: Mapping[str, Part] = field(default_factory=dict)
    """What it consists of, by folder or by name."""
    preprocessing: Preprocessing | None = None
    """What the weights were trained on, where that is more than its files say."""
    use: str | None = None
    """What it is for and how to get at it, where it cannot stand after ``--model``."""
    unreleased: str | None = None
    """Why it cannot be had yet, and what to do instead."""

    @property
    def whole(self) -> bool:
        """Whether scenes can be generated with it."""
        return self.layout in ("gen3r", "official")

    @property
    def approximate_bytes(self) -> int:
        """Size of the whole download, approximately, without companions."""
        return sum(part.approximate_bytes for part in self.parts.values())


def _network(folder: str, approximate_bytes: int, tensors: int, parameters: int) -> Part:
    """A network as the official classes save it: a config, and one file of weights or shards with an index."""
    return Part(
        files=(f"{folder}/config.json", f"{folder}/*.safetensors"),
        extra=(f"{folder}/*.json",),
        approximate_bytes=approximate_bytes,
        manifest=Manifest(tensors=tensors, parameters=parameters),
    )


TINY = ModelEntry(
    name="tiny",
    summary="9 frames of 112x112 on a CPU in seconds; trained on procedural scenes; travels inside the package",
    licence="Apache-2.0",
    layout="gen3r",
)

SMALL = ModelEntry(
    name="small",
    summary="17 frames of 224x224 on one GPU",
    licence="Apache-2.0",
    layout="gen3r",
    unreleased="its weights are not published yet; train it with gen3r train --preset small (docs/training.md), or use "
    "tiny or gen3r",
)

GEN3R = ModelEntry(
    name="gen3r",
    summary="the official checkpoint: 49 frames of 560x560, with VGGT and the networks of Wan2.1",
    licence="its publishers' terms, with VGGT (CC-BY-NC-4.0) and Wan2.1 (Apache-2.0) inside",
    layout="official",
    repository="JaceyH919/Gen3R",
    parts={
        "transformer": _network("transformer", 3_232_675_456, 989, 1_616_337_728),
        "text_encoder": _network("text_encoder", 11_361_820_672, 242, 5_680_910_336),
        "clip_image_encoder": _network("clip_image_encoder", 2_386_029_570, 784, 1_193_014_785),
        "wan_vae": _network("wan_vae", 253_785_062, 194, 126_892_531),
        "geo_adapter": _network("geo_adapter", 635_688_608, 202, 317_844_304),
        "vggt": Part(
            files=("vggt/config.json", "vggt/*.safetensors"),
            extra=("vggt/*.json",),
            approximate_bytes=2_381_192_240,
            manifest=Manifest(tensors=1403, parameters=1_190_596_120, ignored=("track_head.",)),
            companion="vggt-1b",
        ),
        "tokenizer": Part(files=("tokenizer/*.json",), extra=("tokenizer/*.model",), approximate_bytes=21_000_000),
        "scheduler": Part(
            files=("scheduler/scheduler_config.json",), extra=("model_index.json",), approximate_bytes=2_000
        ),
    },
    preprocessing=Preprocessing(frames=49, size=(560, 560), prompt_tokens=512, image_pixels=224),
)

WAN = ModelEntry(
    name="wan2.1-fun-1.3b-camera",
    summary="the video model that training at full size starts from; makes no scenes by itself",
    licence="Apache-2.0",
    layout="base",
    repository="alibaba-pai/Wan2.1-Fun-V1.1-1.3B-Control-Camera",
    use='after its download, gen3r.hub.base.open_base_model(folder)["transformer"].load() is the JointTransformer that '
    "training starts from, its patch kernel widened to 36 channels (docs/models.md)",
    parts={
        "transformer": Part(
            files=("config.json", "diffusion_pytorch_model.safetensors"),
            approximate_bytes=3_232_626_304,
            manifest=Manifest(tensors=989, parameters=1_616_313_152),
        ),
        "vae": Part(files=("Wan2.1_VAE.pth",), approximate_bytes=507_600_000),
        "text_encoder": Part(files=("models_t5_umt5-xxl-enc-bf16.pth",), approximate_bytes=11_361_900_000),
        "image_encoder": Part(
            files=("models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth",), approximate_bytes=4_772_400_000
        ),
        "tokenizer": Part(
            files=("google/umt5-xxl/*.json",), extra=("google/umt5-xxl/*.model",), approximate_bytes=21_000_000
        ),
    },
)

VGGT = ModelEntry(
    name="vggt-1b",
    summary="geometry from pictures; stands in where the official checkpoint comes without its vggt folder",
    licence="CC-BY-NC-4.0 (original checkpoint)",
    layout="part",
    repository="facebook/VGGT-1B",
    use="taken by itself where the folder of an official model lacks vggt",
    revision="860abec7937da0a4c03c41d3c269c366e82abdf9",
    parts={
        "vggt": Part(
            files=("config.json", "model.safetensors"),
            approximate_bytes=5_030_000_000,
            manifest=Manifest(tensors=1403, parameters=1_190_596_120, ignored=("track_head.",)),
        )
    },
)

MODELS: Mapping[str, ModelEntry] = {entry.name: entry for entry in (TINY, SMALL, GEN3R, WAN, VGGT)}
"""Every known model by name."""
