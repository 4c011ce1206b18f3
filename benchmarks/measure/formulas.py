"""Floating-point operations of the transformers in closed form, two per multiply-add; attention is counted in full.

They are what the counted numbers (``measure.counting``) are checked against. N tokens, D width, L blocks.
"""

from __future__ import annotations

from transformers import CLIPVisionConfig, UMT5Config

from gen3r.latents.grid import LatentGrid
from gen3r.models.transformer import TransformerConfig
from gen3r.models.vggt import VGGTConfig


def attention(queries: int, keys: int, width: int) -> int:
    """Scores and weighted values of all heads together: 4 N M D."""
    return 4 * queries * keys * width


def linear(rows: int, inputs: int, outputs: int) -> int:
    """A matrix product."""
    return 2 * rows * inputs * outputs


def block(tokens: int, width: int, hidden: int) -> int:
    """Self-attention and MLP of a plain transformer block over one sequence."""
    projections = linear(tokens, width, 4 * width)
    return projections + attention(tokens, tokens, width) + 2 * linear(tokens, width, hidden)


def joint_tokens(grid: LatentGrid, config: TransformerConfig) -> int:
    """Tokens of a joint latent."""
    frames, rows, columns = config.patch_size
    return (grid.latent_frames // frames) * (grid.latent_size[0] // rows) * (grid.joint_width // columns)


def transformer_step(config: TransformerConfig, grid: LatentGrid, image_rows: int) -> int:
    """One forward pass of one sample, without what ``transformer_once`` counts."""
    tokens, width = joint_tokens(grid, config), config.dim
    cell = config.patch_size[0] * config.patch_size[1] * config.patch_size[2]
    cross = 2 * linear(tokens, width, width) + attention(tokens, config.text_length + image_rows, width)
    time = linear(1, config.freq_dim, width) + linear(1, width, width) + linear(1, width, 6 * width)
    return (
        linear(tokens, cell * config.in_channels, width)
        + time
        + config.num_layers * (block(tokens, width, config.ffn_dim) + cross)
        + linear(tokens, width, cell * config.out_channels)
    )


def transformer_once(config: TransformerConfig, grid: LatentGrid, image_rows: int) -> int:
    """What a run computes once per branch of guidance: rays, text and image to tokens, keys and values of each block.

    For rays at pixel size, as the released model reads them.
    """
    tokens, width = joint_tokens(grid, config), config.dim
    ray_channels = config.camera_channels * 64 * config.patch_size[1] * config.patch_size[2]
    camera = linear(tokens, ray_channels, width) + 2 * linear(tokens, config.camera_residual_kernel**2 * width, width)
    text = linear(config.text_length, config.text_dim, width) + linear(config.text_length, width, width)
    assert config.image_dim is not None
    image = linear(image_rows, config.image_dim, config.image_dim) + linear(image_rows, config.image_dim, width)
    keys_values = config.num_layers * linear(config.text_length + image_rows, width, 2 * width)
    return camera + text + image + keys_values


def vggt_aggregator(config: VGGTConfig, frames: int, size: tuple[int, int]) -> int:
    """DINOv2 patches and the alternating attention over ``frames`` pictures."""
    rows, columns = config.token_grid(*size)
    patches, width = rows * columns, config.embed_dim
    tokens, hidden = patches + config.special_tokens, int(config.embed_dim * config.mlp_ratio)
    embed = linear(patches, 3 * config.patch_size**2, width)
    dino = config.dino_depth * block(patches + 1 + config.register_tokens, width, hidden)
    rounds = config.depth * (frames * block(tokens, width, hidden) + block(frames * tokens, width, hidden))
    return frames * (embed + dino) + rounds


def text_encoder(config: UMT5Config, rows: int) -> int:
    """One prompt of ``rows`` rows, padding included."""
    inner = config.num_heads * config.d_kv
    attended = 2 * linear(rows, config.d_model, 2 * inner) + attention(rows, rows, inner)
    return config.num_layers * (attended + 3 * linear(rows, config.d_model, config.d_ff))


def image_rows(config: CLIPVisionConfig) -> int:
    """Class token and patches."""
    return 1 + (config.image_size // config.patch_size) ** 2


def image_encoder(config: CLIPVisionConfig) -> int:
    """One picture."""
    rows = image_rows(config)
    embed = linear(rows - 1, 3 * config.patch_size**2, config.hidden_size)
    return embed + config.num_hidden_layers * block(rows, config.hidden_size, config.intermediate_size)
