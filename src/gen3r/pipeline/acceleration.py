"""Options that make denoising faster, each off by default: docs/performance.md shows what they save and change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from diffusers import attention_backend
from diffusers.hooks.hooks import HookRegistry
from diffusers.models.transformers.transformer_wan import WanTransformerBlock

from gen3r.models.transformer import JointTransformer
from gen3r.pipeline.step_cache import StepCache, step_cached


@dataclass(frozen=True, kw_only=True)
class AttentionBackend:
    """What an attention backend of diffusers needs."""

    requires: str
    """What to install, in words."""
    gpu: bool = True
    """Whether it runs on CUDA devices only."""
    half: bool = True
    """Whether it takes bfloat16 and float16 only."""


_TORCH = "nothing but torch"

ATTENTION_BACKENDS: Mapping[str, AttentionBackend] = {
    "native": AttentionBackend(requires=_TORCH, gpu=False, half=False),
    "_native_math": AttentionBackend(requires=_TORCH, gpu=False, half=False),
    "_native_efficient": AttentionBackend(requires=_TORCH, half=False),
    "_native_flash": AttentionBackend(requires=_TORCH),
    "_native_cudnn": AttentionBackend(requires=_TORCH),
    "flash": AttentionBackend(requires="`pip install flash-attn`"),
    "_flash_3": AttentionBackend(
        requires="FlashAttention 3, for Hopper GPUs, built from the `hopper` folder of Dao-AILab/flash-attention"
    ),
    "sage": AttentionBackend(requires="`pip install sageattention>=2.1.1`; its 8-bit products change the result"),
}
"""By diffusers' name; ``native`` lets torch choose among its own kernels."""


@dataclass(frozen=True, kw_only=True)
class Acceleration:
    """What a run trades for speed. The defaults trade nothing."""

    compile: bool = False
    """Compile the transformer's blocks: slow once, faster ever after."""
    attention: str | None = None
    """Attention backend, one of ``ATTENTION_BACKENDS``; None = what diffusers is set to, torch's own by default."""
    cache: StepCache | None = None
    """Step cache; None computes every step in full."""
    guidance_skip: float = 0.0
    """The last share of the steps that goes without guidance, in [0, 1]. Read by the pipeline for ``Sampling``."""

    def __post_init__(self) -> None:
        if self.attention is not None and self.attention not in ATTENTION_BACKENDS:
            raise ValueError(
                f"unknown attention backend {self.attention!r}; expected one of {', '.join(ATTENTION_BACKENDS)}."
            )
        if not 0.0 <= self.guidance_skip <= 1.0:
            raise ValueError(f"guidance_skip is a share of the steps in [0, 1], got {self.guidance_skip}.")


@contextmanager
def accelerated(transformer: JointTransformer, acceleration: Acceleration, steps: int) -> Iterator[None]:
    """Within, forwards of ``transformer`` are accelerated; afterwards it is as before. Open one for each run.

    Args:
        transformer: on the device and in the type of the run.
        acceleration: what to do; ``guidance_skip`` is the sampling's business and not read here.
        steps: denoising steps of the run.

    Raises:
        ValueError: where the attention backend is not installed, or not made for this device or type.
    """
    with ExitStack() as stack:
        if acceleration.attention is not None:
            stack.enter_context(attending_with(transformer, acceleration.attention))
        if acceleration.compile:
            stack.enter_context(compiled_blocks(transformer))
        stack.enter_context(step_cached(transformer, acceleration.cache, steps))
        yield


@contextmanager
def attending_with(transformer: JointTransformer, name: str) -> Iterator[None]:
    """Within, ``transformer`` computes attention with this backend of ``ATTENTION_BACKENDS``."""
    needs = ATTENTION_BACKENDS[name]
    device, dtype = transformer.device, transformer.dtype
    if needs.gpu and device.type != "cuda":
        raise ValueError(f"attention backend {name!r} needs a CUDA device, got {device}; use 'native'.")
    if needs.half and dtype not in (torch.bfloat16, torch.float16):
        raise ValueError(f"attention backend {name!r} needs bfloat16 or float16, got {dtype}; use 'native'.")
    blocks = [cast(WanTransformerBlock, block) for block in transformer.blocks]
    processors = [cast(Any, attention.processor) for block in blocks for attention in (block.attn1, block.attn2)]
    chosen = [processor._attention_backend for processor in processors]
    with ExitStack() as stack:
        try:
            stack.enter_context(attention_backend(name))
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"attention backend {name!r} cannot be used here; it needs {needs.requires}.") from error
        for processor in processors:
            processor._attention_backend = None  # follow the active backend
        try:
            yield
        finally:
            for processor, backend in zip(processors, chosen, strict=True):
                processor._attention_backend = backend


@contextmanager
def compiled_blocks(transformer: JointTransformer, backend: str | Callable[..., Any] = "inductor") -> Iterator[None]:
    """Within, the forward of each block is compiled; all blocks share their graphs, and so do later runs.

    Unlike with diffusers' ``compile_repeated_blocks``, hooks (step caches, offloading, shared tokens) stay outside of
    what is compiled: they ask for values, which would split the graphs or, with MagCache, switch compilation off.
    """
    with ExitStack() as stack:
        for block in transformer.blocks:
            owner, name = _own_forward(block)
            stack.enter_context(swapped(owner, name, torch.compile(getattr(owner, name), backend=backend)))
        yield


@contextmanager
def swapped(owner: object, name: str, value: object) -> Iterator[None]:
    """Within, an attribute of this very object has another value."""
    own = vars(owner).get(name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if own is None:
            delattr(owner, name)
        else:
            setattr(owner, name, own)


def _own_forward(block: torch.nn.Module) -> tuple[object, str]:
    """Where the forward below all hooks of diffusers is held: in the block itself or in its first hook."""
    registry: HookRegistry | None = getattr(block, "_diffusers_hook", None)
    if registry is None or not registry._fn_refs:
        return block, "forward"
    first = registry._fn_refs[0]
    return first, "forward" if first.original_forward is None else "original_forward"
