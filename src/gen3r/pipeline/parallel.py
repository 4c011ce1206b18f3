"""Several processes, one scene: guidance split by branch, or the tokens of each forward shared.

Started by ``torchrun --nproc-per-node N``; each process holds all weights and runs the whole pipeline, and only the
denoising loop is shared. Ulysses attention (DeepSpeed-Ulysses, Jacobs et al., 2023) comes from diffusers.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any, Literal, cast

import torch
from diffusers import ContextParallelConfig, FirstBlockCacheConfig, ParallelConfig
from diffusers.hooks.context_parallel import apply_context_parallel, remove_context_parallel
from diffusers.models.attention_dispatch import AttentionBackendName, _AttentionBackendRegistry
from torch import Tensor, distributed
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from gen3r.conditioning.condition import Condition
from gen3r.models.transformer import JointTransformer
from gen3r.pipeline.acceleration import swapped
from gen3r.pipeline.guidance import Guidance, TwoRanks

ParallelKind = Literal["guidance", "context", "both"]


def _guidance_ranks(ranks: int) -> tuple[int, int]:
    if ranks != 2:
        raise ValueError(f"guidance has two branches: expected 2 processes, got {ranks}; use 2, or the kind 'both'.")
    return 2, 1


def _context_ranks(ranks: int) -> tuple[int, int]:
    if ranks < 2:
        raise ValueError(f"expected at least 2 processes to share the tokens, got {ranks}.")
    return 1, ranks


def _both_ranks(ranks: int) -> tuple[int, int]:
    if ranks < 4 or ranks % 2:
        raise ValueError(f"expected an even number of at least 4 processes for the kind 'both', got {ranks}.")
    return 2, ranks // 2


PARALLEL_KINDS: Mapping[ParallelKind, Callable[[int], tuple[int, int]]] = {
    "guidance": _guidance_ranks,
    "context": _context_ranks,
    "both": _both_ranks,
}
"""By name: how a number of processes is divided into (branches of guidance, processes that share tokens)."""


@dataclass(frozen=True, kw_only=True)
class Parallel:
    """The processes of a run, made by :func:`setup_parallel`."""

    device: torch.device
    """Where this process computes."""
    mesh: DeviceMesh
    """Axes ``guidance``, ``ring`` (of length 1), ``ulysses``; their product is the number of processes."""
    started_here: bool
    """Whether :meth:`close` ends the process group."""

    @property
    def leader(self) -> bool:
        """Whether this is the process that reports and writes."""
        return distributed.get_rank() == 0

    @property
    def guidance(self) -> Guidance | None:
        """How guidance is computed, where processes divide it."""
        if self.mesh["guidance"].size() == 1:
            return None
        return partial(TwoRanks, group=self.mesh.get_group("guidance"))

    def agree(
        self, noise: Tensor, condition: Condition, negative_text: Tensor | None
    ) -> tuple[Tensor, Condition, Tensor | None]:
        """The first process's noise, condition and negative text, in every process."""

        def first(tensor: Tensor | None) -> Tensor | None:
            if tensor is None:
                return None
            shared = tensor.contiguous().clone()
            distributed.broadcast(shared, src=0)
            return shared

        condition = replace(
            condition,
            control=first(condition.control),
            text=first(condition.text),
            camera=first(condition.camera),
            image=first(condition.image),
        )
        return cast(Tensor, first(noise)), condition, first(negative_text)

    @contextmanager
    def sharing(self, transformer: JointTransformer, latents: Tensor) -> Iterator[None]:
        """Within, each process holds its share of the tokens of ``latents`` in every forward of ``transformer``.

        Any number of tokens and heads is divided; even shares need no bookkeeping between the processes. Of uneven ones
        the self-attention stays uncompiled: its bookkeeping cannot be traced.

        Raises:
            ValueError: for a first-block cache, where processes would disagree on what to skip, and for attention
                backends that cannot be shared.
        """
        ranks = self.mesh["ulysses"].size()
        if ranks == 1:
            yield
            return
        _check_shareable(transformer)
        tokens = math.prod(latents.shape[2:]) // math.prod(transformer.settings.patch_size)
        if tokens < ranks:
            raise ValueError(f"{tokens} tokens cannot be shared by {ranks} processes; use fewer processes.")
        even = tokens % ranks == 0 and transformer.settings.num_attention_heads % ranks == 0
        sequence = ContextParallelConfig(ulysses_degree=ranks, ulysses_anything=not even, mesh=self.mesh)
        config = ParallelConfig(context_parallel_config=sequence)
        config.setup(distributed.get_rank(), distributed.get_world_size(), self.device, mesh=self.mesh)
        attentions = [cast(Any, block).attn1 for block in transformer.blocks]
        with ExitStack() as stack:
            for attention in attentions:
                stack.enter_context(swapped(attention.processor, "_parallel_config", config))
                if not even:
                    stack.enter_context(swapped(attention, "forward", torch.compiler.disable(attention.forward)))
            apply_context_parallel(transformer, sequence, transformer._cp_plan)
            stack.callback(remove_context_parallel, transformer, transformer._cp_plan)
            yield

    def close(self) -> None:
        """Wait for the other processes and leave, where :func:`setup_parallel` started the process group."""
        if self.started_here:
            distributed.barrier()
            distributed.destroy_process_group()


def setup_parallel(kind: ParallelKind | str, *, timeout: timedelta = timedelta(minutes=30)) -> Parallel:
    """Join the processes that ``torchrun`` started; every one of them calls this, once.

    Args:
        kind: ``guidance``: 2 processes, one branch of guidance each. ``context``: any number shares the tokens.
            ``both``: an even number from 4 on, half of it for each branch.
        timeout: how long processes wait for one another.

    Raises:
        ValueError: for a number of processes that does not fit, or where ``torchrun`` was not used.
    """
    if kind not in PARALLEL_KINDS:
        raise ValueError(f"expected one of {sorted(PARALLEL_KINDS)} as the kind of parallelism, got {kind!r}.")
    divide = PARALLEL_KINDS[cast(ParallelKind, kind)]
    started_here = not distributed.is_initialized()
    if started_here and not {"RANK", "WORLD_SIZE"} <= os.environ.keys():
        raise ValueError(
            "several processes are needed, and this one was started alone; start it as "
            "`torchrun --nproc-per-node 2 -m gen3r.cli ...`."
        )
    ranks = int(os.environ["WORLD_SIZE"]) if started_here else distributed.get_world_size()
    branches, sharers = divide(ranks)
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        if device.index >= torch.cuda.device_count():
            raise ValueError(
                f"expected one GPU for each process, got {torch.cuda.device_count()} GPUs; lower --nproc-per-node."
            )
        torch.cuda.set_device(device)
    if started_here:
        backend = "gloo" if device.type == "cpu" else "cpu:gloo,cuda:nccl"
        distributed.init_process_group(backend, timeout=timeout)
    mesh = init_device_mesh(device.type, (branches, 1, sharers), mesh_dim_names=("guidance", "ring", "ulysses"))
    return Parallel(device=device, mesh=mesh, started_here=started_here)


def _check_shareable(transformer: JointTransformer) -> None:
    if isinstance(transformer._cache_config, FirstBlockCacheConfig):
        raise ValueError(
            "a first-block cache decides from the tokens it sees, so processes that share tokens would disagree; "
            "use the step cache 'mag' or 'taylorseer' with shared tokens."
        )
    chosen = cast(Any, transformer.blocks[0]).attn1.processor._attention_backend
    backend = AttentionBackendName(chosen or _AttentionBackendRegistry.get_active_backend()[0])
    if not _AttentionBackendRegistry._is_context_parallel_available(backend):
        shareable = sorted(_AttentionBackendRegistry._supports_context_parallel)
        raise ValueError(f"attention backend {backend.value!r} cannot share tokens; use one of {shareable}.")
