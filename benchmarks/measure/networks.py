"""Networks with random weights, made where and in the type they are used in: no float32 copy exists at any time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor, nn
from transformers import CLIPVisionModel, PreTrainedTokenizerFast, UMT5EncoderModel

from gen3r.conditioning.image import ImageEncoder
from gen3r.conditioning.text import TextEncoder
from gen3r.hub.networks import ADAPTER, IMAGE_ENCODER, TEXT_ENCODER, TRANSFORMER, VAE, VGGT_FOLDER, Networks
from gen3r.latents.appearance import AppearanceCodec
from gen3r.latents.codecs import VGGTAdapterCodec
from gen3r.models.adapter import GeometryAdapter
from gen3r.models.transformer import JointTransformer
from gen3r.models.vae import LinearShortcutVAE
from gen3r.models.vggt import VGGT
from measure.sizes import Sizes

AnyModule = TypeVar("AnyModule", bound=nn.Module)

BUFFERS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "position_ids": lambda like: torch.arange(like.shape[-1]).expand(like.shape),
    "mask_token": torch.zeros_like,
}
"""Values of the buffers that networks have beside their parameters, by their own name."""
POOL = 4_194_301
"""Random numbers drawn for a network, used over and over; a prime, so that no two rows of a matrix are alike."""
PROMPT = "temple"
"""A word the tokenizer knows; every prompt fills all its rows, with padding."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a network lives."""

    device: torch.device
    """Device."""
    dtype: torch.dtype
    """Type of its weights."""


def random_network(build: Callable[[], AnyModule], place: Place, seed: int = 0) -> AnyModule:
    """A frozen network of random weights: matrices of unit gain, gains of one, biases of zero.

    It costs what trained weights cost.

    Raises:
        ValueError: for a buffer whose value is not known.
    """
    with torch.device("meta"):
        made = build()
    generator = torch.Generator(place.device).manual_seed(seed)
    pool = torch.randn(POOL, device=place.device, dtype=place.dtype, generator=generator)
    placed: dict[Tensor, nn.Parameter] = {}  # tied parameters stay tied
    for module in made.modules():
        for name, parameter in module._parameters.items():
            if parameter is None:
                continue
            if parameter not in placed:
                placed[parameter] = nn.Parameter(_values(name, parameter, place, pool), requires_grad=False)
            module._parameters[name] = placed[parameter]
        for name, buffer in module._buffers.items():
            if buffer is None:
                continue
            if name not in BUFFERS:
                raise ValueError(
                    f"expected one of the buffers {sorted(BUFFERS)}, got {name}; add its value to BUFFERS."
                )
            module._buffers[name] = BUFFERS[name](torch.empty(buffer.shape, dtype=buffer.dtype)).to(place.device)
    return made.eval()


def _values(name: str, like: Tensor, place: Place, pool: Tensor) -> Tensor:
    values = torch.empty(like.shape, device=place.device, dtype=place.dtype)
    if name == "gamma" or (like.ndim == 1 and name == "weight"):
        return values.fill_(1.0)
    if like.ndim == 1:
        return values.zero_()
    gain = (like.numel() / len(like)) ** -0.5
    for part in values.view(-1).split(len(pool)):
        torch.mul(pool[: len(part)], gain, out=part)
    return values


def parameter_count(network: nn.Module) -> int:
    """How many numbers a network has; tied ones count once."""
    return sum(parameter.numel() for parameter in network.parameters())


# one maker for each network of a model folder ---------------------------------------------------------------------


def make_vae(sizes: Sizes, place: Place) -> LinearShortcutVAE:
    """The video VAE."""
    return random_network(lambda: LinearShortcutVAE(sizes.vae), place)


def make_vggt(sizes: Sizes, place: Place) -> VGGT:
    """VGGT, told to see cameras that exist, one radian wide and not turned; random weights see any nonsense."""
    vggt = random_network(lambda: VGGT(sizes.vggt), place)
    last = vggt.camera_head.pose_branch.fc2
    last.weight.mul_(0.01)
    last.bias[6:] = 1 / sizes.vggt.camera_iterations
    return vggt


def make_adapter(sizes: Sizes, place: Place) -> GeometryAdapter:
    """The geometry adapter."""
    return random_network(lambda: GeometryAdapter(sizes.adapter), place)


def make_transformer(sizes: Sizes, place: Place) -> JointTransformer:
    """The joint transformer."""
    return random_network(lambda: JointTransformer(sizes.transformer), place)


def make_text(sizes: Sizes, place: Place) -> TextEncoder:
    """The text encoder behind a tokenizer that knows one word."""
    vocabulary = {"<pad>": 0, "</s>": 1, "<unk>": 2, PROMPT: 3}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", padding_side="right"
    )
    encoder = random_network(lambda: UMT5EncoderModel(sizes.text), place)
    return TextEncoder(tokenizer, encoder, sizes.transformer.text_length)


def make_image(sizes: Sizes, place: Place) -> ImageEncoder:
    """The image encoder with all its blocks; it is read before the last."""
    return ImageEncoder(random_network(lambda: CLIPVisionModel(sizes.image), place))


MAKERS: Mapping[str, Callable[[Sizes, Place], Any]] = {
    TEXT_ENCODER: make_text,
    IMAGE_ENCODER: make_image,
    VAE: make_vae,
    VGGT_FOLDER: make_vggt,
    ADAPTER: make_adapter,
    TRANSFORMER: make_transformer,
}
"""By the name of the network's folder; the largest comes first, while memory is free."""


class KnownText(TextEncoder):
    """Stands for a text encoder that has read the prompts of a run and is gone."""

    def __init__(self, features: Mapping[str, Tensor], text: TextEncoder) -> None:
        super().__init__(text.tokenizer, nn.Identity(), text.length)
        self.features = dict(features)

    def encode(self, prompts: Sequence[str]) -> Tensor:
        return torch.cat([self.features[prompt] for prompt in prompts])


def appearance_codec(sizes: Sizes, vae: nn.Module, device: torch.device) -> AppearanceCodec:
    """The video VAE with its normalisation."""
    with torch.device(device):
        return AppearanceCodec(vae, sizes.vae.latents_mean, sizes.vae.latents_std).eval()


def pipeline_networks(
    sizes: Sizes,
    places: Mapping[str, Place],
    *,
    text: TextEncoder | None = None,
    made: Callable[[str, nn.Module], None] = lambda name, network: None,
) -> Networks:
    """The networks of a pipeline.

    Args:
        sizes: of each.
        places: of each, by the names of ``MAKERS``.
        text: instead of a text encoder of random weights.
        made: told about each network before the next one is made.
    """
    parts: dict[str, Any] = {} if text is None else {TEXT_ENCODER: text}
    for name, make in MAKERS.items():
        if name not in parts:
            parts[name] = make(sizes, places[name])
            made(name, parts[name])
    return Networks(
        appearance=appearance_codec(sizes, parts[VAE], places[VAE].device),
        geometry=VGGTAdapterCodec(parts[VGGT_FOLDER], parts[ADAPTER]).eval(),
        transformer=parts[TRANSFORMER],
        text=parts[TEXT_ENCODER],
        image=parts[IMAGE_ENCODER],
    )
