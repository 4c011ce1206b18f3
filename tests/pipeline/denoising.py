"""A transformer that denoises in milliseconds, and what it is told."""

import torch
from torch import Tensor

from gen3r.conditioning.condition import Condition
from gen3r.models.transformer import JointTransformer, TransformerConfig
from gen3r.pipeline.denoise import Sampling, denoise

SIZE = (2, 4, 8)
STEPS = 8
CONFIG = TransformerConfig(
    num_attention_heads=2,
    attention_head_dim=12,
    num_layers=4,
    ffn_dim=32,
    text_dim=8,
    text_length=6,
    freq_dim=16,
    image_dim=10,
    camera_downsample_first=True,
    camera_residual_kernel=1,
)


def build_transformer(config: TransformerConfig = CONFIG) -> JointTransformer:
    """Random weights that answer to time and text alike."""
    torch.manual_seed(0)
    transformer = JointTransformer(config).eval().requires_grad_(False)
    for block in transformer.blocks:
        torch.nn.init.normal_(block.attn2.to_out[0].weight, std=0.5)
    return transformer


def build_inputs(batch: int = 1, size: tuple[int, int, int] = SIZE) -> tuple[Tensor, Condition, Tensor]:
    """Noise, condition, text of the negative branch."""
    generator = torch.Generator().manual_seed(1)

    def normal(*shape: int) -> Tensor:
        return torch.randn(batch, *shape, generator=generator)

    condition = Condition(
        control=normal(20, *size), text=normal(5, 8), camera=normal(24, *size), image=normal(7, CONFIG.image_dim or 0)
    )
    return normal(16, *size), condition, normal(5, 8)


@torch.no_grad()
def generate(transformer: JointTransformer, batch: int = 1, **options: object) -> Tensor:
    """Latents after ``STEPS`` steps with guidance 3; fields of ``Sampling`` and options of ``denoise``."""
    fields = {name: options.pop(name) for name in ("steps", "guidance", "guidance_skip") if name in options}
    sampling = Sampling(**({"steps": STEPS, "guidance": 3.0} | fields))
    noise, condition, negative = build_inputs(batch)
    return denoise(transformer, noise, condition, negative, sampling, **options)


def count_calls(module: torch.nn.Module) -> list[int]:
    """A list that grows by the batch size of each forward of ``module`` from now on."""
    batches: list[int] = []
    module.register_forward_hook(lambda _module, inputs, _output: batches.append(len(inputs[0])))
    return batches
