"""What diffusers offers on its Wan transformer still works on ours."""

from collections.abc import Iterator
from dataclasses import replace

import jaxtyping
import pytest
import torch
from diffusers import FirstBlockCacheConfig, PyramidAttentionBroadcastConfig, attention_backend
from diffusers.hooks import TaylorSeerCacheConfig, apply_group_offloading, apply_layerwise_casting
from diffusers.models._modeling_parallel import ContextParallelInput, ContextParallelOutput
from peft import LoraConfig
from torch import Tensor

from gen3r.models.transformer import JointTransformer, TransformerConfig

CONFIG = TransformerConfig(
    num_attention_heads=2,
    attention_head_dim=12,
    num_layers=3,
    ffn_dim=32,
    text_dim=8,
    text_length=6,
    freq_dim=16,
    image_dim=10,
    camera_downsample_first=True,
    camera_residual_kernel=1,
)


@pytest.fixture
def model() -> JointTransformer:
    torch.manual_seed(0)
    return JointTransformer(CONFIG).eval()


@pytest.fixture
def values() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = {
        "latents": (2, 16, 2, 4, 8),
        "control": (2, 20, 2, 4, 8),
        "text": (2, 5, 8),
        "camera": (2, 24, 2, 4, 8),
        "image": (2, 7, 10),
    }
    values = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    return values | {"timestep": torch.tensor([300.0, 700.0])}


def with_static(model: JointTransformer, values: dict[str, Tensor]) -> dict[str, object]:
    """The same call through a static condition."""
    static = model.prepare(values["text"], values["camera"], values["image"])
    return {name: values[name] for name in ("latents", "control", "timestep")} | {"static": static}


def test_gradient_checkpointing_gives_the_same_gradients(model: JointTransformer, values: dict[str, Tensor]) -> None:
    gradients = []
    for checkpointing in (False, True):
        model.train()
        if checkpointing:
            model.enable_gradient_checkpointing()
        model.zero_grad()
        model(**values).square().mean().backward()
        gradients.append({name: parameter.grad.clone() for name, parameter in model.named_parameters()})
    assert model.is_gradient_checkpointing
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, msg=name)


@pytest.mark.parametrize("backend", ["native", "_native_math"])
@attention_backend("native")  # choosing a backend for a model chooses it for all; this takes it back
@torch.no_grad()
def test_attention_backends(model: JointTransformer, values: dict[str, Tensor], backend: str) -> None:
    expected = model(**values)
    model.set_attention_backend(backend)
    chosen = {block.attn2.processor._attention_backend for block in model.blocks}
    assert chosen == {backend}
    torch.testing.assert_close(model(**values), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_fused_projections(model: JointTransformer, values: dict[str, Tensor]) -> None:
    expected = model(**values)
    model.fuse_qkv_projections()
    assert all(block.attn2.fused_projections for block in model.blocks)
    torch.testing.assert_close(model(**values), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(model(**with_static(model, values)), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_first_block_cache_skips_later_blocks(model: JointTransformer, values: dict[str, Tensor]) -> None:
    expected = model(**values)
    runs: list[int] = []
    model.blocks[1].attn1.register_forward_hook(lambda *_: runs.append(1))
    model.enable_cache(FirstBlockCacheConfig(threshold=10.0))
    call = with_static(model, values)
    with model.cache_context("run"):
        torch.testing.assert_close(model(**call), expected)
        torch.testing.assert_close(model(**call), expected)
    assert len(runs) == 1
    model.disable_cache()
    assert torch.equal(model(**call), expected)
    assert len(runs) == 2


@torch.no_grad()
def test_attention_broadcast_reuses_attention(model: JointTransformer, values: dict[str, Tensor]) -> None:
    expected = model(**values)
    config = PyramidAttentionBroadcastConfig(
        cross_attention_block_skip_range=2,
        cross_attention_timestep_skip_range=(0, 1000),
        cross_attention_block_identifiers=("blocks",),
        current_timestep_callback=lambda: 500,
    )
    model.enable_cache(config)
    runs: list[int] = []
    model.blocks[0].attn2.to_q.register_forward_hook(lambda *_: runs.append(1))
    for _ in range(4):
        torch.testing.assert_close(model(**values), expected)
    assert len(runs) < 4


@torch.no_grad()
def test_taylor_cache_predicts_every_other_step(model: JointTransformer, values: dict[str, Tensor]) -> None:
    call = with_static(model, values)
    expected = model(**call)
    config = TaylorSeerCacheConfig(
        cache_interval=2,
        disable_cache_before_step=1,
        taylor_factors_dtype=torch.float32,
        cache_identifiers=[r"blocks\.\d+\.attn[12]"],  # the default patterns name no module of Wan
    )
    runs: list[int] = []
    model.blocks[0].attn1.to_q.register_forward_hook(lambda *_: runs.append(1))
    model.enable_cache(config)
    with model.cache_context("run"):
        for computed in (1, 1, 2, 2):
            torch.testing.assert_close(model(**call), expected)
            assert len(runs) == computed
    model.disable_cache()
    assert torch.equal(model(**call), expected)
    assert len(runs) == 3


@pytest.mark.parametrize(
    "offload", [{"offload_type": "leaf_level"}, {"offload_type": "block_level", "num_blocks_per_group": 1}]
)
@torch.no_grad()
def test_group_offload(model: JointTransformer, values: dict[str, Tensor], offload: dict[str, object]) -> None:
    expected = model(**values)
    cpu = torch.device("cpu")
    apply_group_offloading(model, onload_device=cpu, offload_device=cpu, **offload)
    assert torch.equal(model(**values), expected)
    call = with_static(model, values)
    assert torch.equal(model(**call), expected)
    assert torch.equal(model(**call), expected)


@torch.no_grad()
def test_layerwise_casting(model: JointTransformer, values: dict[str, Tensor]) -> None:
    expected = model(**values)
    apply_layerwise_casting(
        model, torch.bfloat16, torch.float32, skip_modules_pattern=JointTransformer._skip_layerwise_casting_patterns
    )
    assert model.blocks[0].attn1.to_q.weight.dtype is torch.bfloat16
    assert model.camera_adapter.conv.weight.dtype is torch.float32
    output = model(**values)
    assert (output - expected).norm() < 0.05 * expected.norm()


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Shape checks off: the compiler cannot look into them."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.usefixtures("unchecked")
@torch.no_grad()
def test_compiled_blocks_share_their_graphs(values: dict[str, Tensor]) -> None:
    torch.manual_seed(0)
    model = JointTransformer(replace(CONFIG, num_layers=5)).eval()
    expected = model(**values)
    torch._dynamo.reset()
    graphs: list[torch.fx.GraphModule] = []

    def count(graph: torch.fx.GraphModule, _inputs: object) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    model.compile_repeated_blocks(backend=count, fullgraph=True)
    call = with_static(model, values)
    for _ in range(3):
        torch.testing.assert_close(model(**call), expected)
    assert len(graphs) == 2  # one that makes keys and values, one that reuses them


def test_context_parallel_plan_names_our_modules(model: JointTransformer) -> None:
    plan = JointTransformer._cp_plan
    for name in plan:
        model.get_submodule(name)
    rotary = plan["rope"]
    assert all(isinstance(part, ContextParallelInput) and part.split_output for part in rotary.values())
    tables = model.rope(torch.empty(1, 1, 2, 4, 8))
    assert [table.ndim for table in tables] == [part.expected_dims for part in rotary.values()]
    assert isinstance(plan["proj_out"], ContextParallelOutput)


def test_lora_adapts_and_merges(model: JointTransformer, values: dict[str, Tensor]) -> None:
    expected = model(**values)
    model.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_k", "to_v", "to_out.0"], init_lora_weights=False))
    adapted = model(**values)
    assert not torch.allclose(adapted, expected)
    torch.testing.assert_close(model(**values, attention_kwargs={"scale": 0.0}), expected)
    adapted.square().mean().backward()
    learning = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert learning
    assert all("lora" in name for name in learning)
    model.fuse_lora()
    torch.testing.assert_close(model(**values), adapted)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora" in name:
                parameter.zero_()
    torch.testing.assert_close(model(**values), adapted)  # the weights alone carry it now
