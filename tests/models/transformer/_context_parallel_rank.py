"""One of two processes that share a forward pass: ``RANK STORE``. Fails if the result is not that of one process."""

import sys

import torch
from diffusers import ContextParallelConfig, ParallelConfig
from diffusers.hooks.context_parallel import apply_context_parallel
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh

from gen3r.models.transformer import JointTransformer, TransformerConfig

RANKS = 2
CONFIG = TransformerConfig(
    num_attention_heads=2,
    attention_head_dim=12,
    num_layers=2,
    ffn_dim=32,
    text_dim=8,
    text_length=6,
    freq_dim=16,
    image_dim=10,
    camera_downsample_first=True,
    camera_residual_kernel=1,
)


def share(model: JointTransformer, rank: int) -> None:
    """What ``enable_parallelism`` does, which asks for an accelerator."""
    sequence = ContextParallelConfig(ulysses_degree=RANKS)
    parallel = ParallelConfig(context_parallel_config=sequence)
    mesh = init_device_mesh("cpu", sequence.mesh_shape, mesh_dim_names=sequence.mesh_dim_names)
    parallel.setup(rank, RANKS, torch.device("cpu"), mesh=mesh)
    for block in model.blocks:
        block.attn1.processor._parallel_config = parallel
        block.attn2.processor._parallel_config = parallel
    apply_context_parallel(model, sequence, model._cp_plan)


@torch.no_grad()
def main(rank: int, store: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=RANKS)
    torch.manual_seed(0)
    model = JointTransformer(CONFIG).eval()
    shapes = {"text": (1, 5, 8), "camera": (1, 24, 2, 4, 8), "image": (1, 7, 10)}
    step = {
        "latents": torch.randn(1, 16, 2, 4, 8),
        "timestep": torch.tensor([300.0]),
        "control": torch.randn(1, 20, 2, 4, 8),
    }
    run = {name: torch.randn(shape) for name, shape in shapes.items()}
    alone = model(**step, **run)
    share(model, rank)
    tokens: list[int] = []
    model.blocks[-1].register_forward_hook(lambda _module, _inputs, output: tokens.append(output.shape[1]))
    static = model.prepare(**run)
    for together in (model(**step, **run), model(**step, static=static), model(**step, static=static)):
        torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    expected = 2 * 2 * 4 // RANKS
    if tokens != [expected] * 3:
        raise AssertionError(f"each process should hold {expected} tokens, got {tokens}.")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
