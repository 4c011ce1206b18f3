"""Prompts and images to features, with real (tiny) encoders."""

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModel, PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

from gen3r.conditioning.condition import Conditioner, ConditioningConfig
from gen3r.conditioning.image import ImageEncoder, clip_pixels, clip_pixels_official
from gen3r.conditioning.text import TextEncoder
from gen3r.models.posterior import Posterior

WORDS = ["<pad>", "</s>", "<unk>", "a", "red", "room", "with", "lamp"]


def text_encoder(length: int = 6) -> TextEncoder:
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", padding_side="right"
    )
    torch.manual_seed(0)
    config = UMT5Config(vocab_size=len(WORDS), d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, dropout_rate=0.0)
    return TextEncoder(tokenizer, UMT5EncoderModel(config).eval(), length)


def image_encoder() -> ImageEncoder:
    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=3, num_attention_heads=2, patch_size=56, image_size=224
    )
    return ImageEncoder(CLIPVisionModel(config).eval())


@torch.no_grad()
def test_rows_after_the_end_are_zero() -> None:
    features = text_encoder().encode(["a red room", "", "a red room with a red lamp with a lamp"])
    assert features.shape == (3, 6, 16)
    assert features.abs().amax(dim=-1).gt(0).sum(dim=1).tolist() == [4, 1, 6]


@torch.no_grad()
def test_padding_and_neighbours_do_not_matter() -> None:
    prompts = ["a red room", "a lamp"]
    short, long = text_encoder(6).encode(prompts), text_encoder(12).encode(prompts)
    torch.testing.assert_close(long[:, :6], short, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(text_encoder(6).encode(prompts[1:]), short[1:], atol=1e-5, rtol=1e-5)


def test_text_encoder_can_be_trained() -> None:
    encoder = text_encoder()
    encoder.encode(["a lamp"]).square().sum().backward()
    assert encoder.encoder.shared.weight.grad[WORDS.index("lamp")].any()


@torch.no_grad()
def test_image_features_stop_before_the_last_block() -> None:
    encoder, image = image_encoder(), torch.rand(2, 3, 40, 60)
    expected = encoder.vision(pixel_values=clip_pixels(image), output_hidden_states=True).hidden_states
    assert torch.equal(encoder.encode(image), expected[2])
    assert encoder.encode(image).shape == (2, 17, 16)
    assert len(expected) == 4


@pytest.mark.parametrize("pixels", [clip_pixels, clip_pixels_official])
def test_flat_images_become_their_normalised_color(pixels) -> None:
    image = torch.full((1, 3, 30, 50), 0.4)
    expected = (0.4 - torch.tensor([0.48145466, 0.4578275, 0.40821073])) / torch.tensor(
        [0.26862954, 0.26130258, 0.27577711]
    )
    torch.testing.assert_close(pixels(image), expected.view(1, 3, 1, 1).expand(1, 3, 224, 224), atol=1e-4, rtol=1e-4)


def test_our_pixels_have_neither_overshoot_nor_aliasing() -> None:
    stripes = (torch.arange(500) % 2).float().expand(1, 3, 500, 500)
    assert clip_pixels(stripes)[..., 4:-4].std(dim=-1).max() < 0.02
    assert clip_pixels_official(stripes)[..., 4:-4].std(dim=-1).min() > 0.5
    edge = torch.zeros(1, 3, 100, 100)
    edge[..., 50:] = 1
    white = clip_pixels(torch.ones(1, 3, 8, 8)).amax()
    assert clip_pixels(edge).amax() <= white < clip_pixels_official(edge).amax()


class Black:
    """A codec that sees nothing."""

    def encode(self, images: Tensor, /) -> Posterior:
        zeros = torch.zeros(len(images), 16, 2, 2, 2)
        return Posterior(mean=zeros, logvar=zeros)


@torch.no_grad()
def test_image_features_are_those_of_the_first_given_frame() -> None:
    encoder = image_encoder()
    conditioner = Conditioner(Black(), ConditioningConfig(), text=text_encoder(), image=encoder)
    video = torch.rand(3, 5, 3, 16, 16)
    given = torch.tensor([[True] * 5, [False, False, True, False, True], [False] * 5])
    features = conditioner.image_features(video, given)
    chosen = torch.stack([video[0, 0], video[1, 2], torch.zeros(3, 16, 16)])
    torch.testing.assert_close(features, encoder.encode(chosen))
    assert torch.equal(conditioner.text_features(["a lamp"]), text_encoder().encode(["a lamp"]))
