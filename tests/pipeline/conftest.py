"""A pipeline of the real classes at the smallest size, with random weights."""

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import CLIPVisionConfig, CLIPVisionModel, PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

from gen3r.conditioning.condition import ConditioningConfig
from gen3r.conditioning.image import ImageEncoder
from gen3r.conditioning.text import TextEncoder
from gen3r.hub.load import Networks
from gen3r.latents.appearance import AppearanceCodec
from gen3r.latents.codecs import VGGTAdapterCodec
from gen3r.models.adapter import AdapterConfig, GeometryAdapter
from gen3r.models.transformer import JointTransformer, TransformerConfig
from gen3r.models.vae import LinearShortcutVAE, VAEConfig
from gen3r.models.vggt import VGGT, VGGTConfig
from gen3r.pipeline import Gen3RPipeline, PipelineConfig
from gen3r.pipeline.memory import MemoryProfile

SIDE, FRAMES, TEXT_LENGTH = 112, 5, 8


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {"<pad>": 0, "</s>": 1, "<unk>": 2, "a": 3, "red": 4, "ball": 5, "room": 6}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    from tokenizers.processors import TemplateProcessing

    tokenizer.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", padding_side="right"
    )


def tiny_image_encoder(width: int) -> ImageEncoder:
    config = CLIPVisionConfig(
        hidden_size=width, intermediate_size=width, num_hidden_layers=2, num_attention_heads=2, image_size=224,
        patch_size=112,
    )  # fmt: skip
    return ImageEncoder(CLIPVisionModel(config))


def build_pipeline(
    seed: int = 0, *, image_dim: int | None = None, memory: MemoryProfile | None = None, **conditioning: object
) -> Gen3RPipeline:
    torch.manual_seed(seed)
    vae_config = VAEConfig(
        base_dim=4, decoder_base_dim=4, dim_mult=(1, 1, 1, 1), num_res_blocks=1, latents_mean=(0.1,) * 16,
        latents_std=(0.5,) * 16,
    )  # fmt: skip
    vae = LinearShortcutVAE(vae_config)
    vggt = VGGT(
        VGGTConfig(
            image_size=SIDE, embed_dim=16, patch_embed="conv", depth=4, heads=2, kept_layers=(0, 1, 2, 3),
            camera_depth=1, camera_heads=2, dense_features=8, dense_channels=(8, 8, 8, 8), dense_hidden=4,
            initial_pose=(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0),
        )
    )  # fmt: skip
    adapter = GeometryAdapter(
        AdapterConfig(hidden=4, token_channels=5 * 32, resample_scale=4, res_blocks=1, io_kernel=1)
    )
    transformer = JointTransformer(
        TransformerConfig(
            num_attention_heads=2, attention_head_dim=16, num_layers=2, ffn_dim=32, text_dim=16,
            text_length=TEXT_LENGTH,
            image_dim=image_dim, camera_downsample_first=True, camera_residual_kernel=1,
        )
    )  # fmt: skip
    torch.nn.init.normal_(transformer.proj_out.weight, std=0.1)
    tokenizer = tiny_tokenizer()
    encoder = UMT5EncoderModel(
        UMT5Config(vocab_size=len(tokenizer), d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, dropout_rate=0.0)
    )
    networks = Networks(
        appearance=AppearanceCodec(vae, vae_config.latents_mean, vae_config.latents_std),
        geometry=VGGTAdapterCodec(vggt, adapter),
        transformer=transformer,
        text=TextEncoder(tokenizer, encoder, TEXT_LENGTH),
        image=None if image_dim is None else tiny_image_encoder(image_dim),
    )
    config = PipelineConfig(
        name="random", frames=FRAMES, height=SIDE, width=SIDE, steps=2, guidance=1.0, text_length=TEXT_LENGTH,
        far=1e6, max_travel=0.5,
        conditioning=ConditioningConfig(rays_at_latent_size=True, **conditioning),
    )  # fmt: skip
    return Gen3RPipeline(networks, config, memory=memory)


@pytest.fixture(scope="session")
def pipeline() -> Gen3RPipeline:
    return build_pipeline()


@pytest.fixture
def photo() -> torch.Tensor:
    return torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(7))
