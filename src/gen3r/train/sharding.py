"""How processes share a model: each a whole copy, or each its part of every tensor (FSDP2; ZeRO: `gen3r.train.zero`).

PyTorch's own wrappers, not accelerate's: only trained networks are to be sharded (frozen encoders beside them stay
whole), each with its own choice of blocks, and the optimizer is built on what results. ``accelerate launch`` starts the
processes all the same.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from transformers import UMT5EncoderModel

from gen3r.models.adapter import GeometryAdapter
from gen3r.models.transformer import JointTransformer
from gen3r.models.vggt import VGGT
from gen3r.presets.loop import LoopConfig
from gen3r.train.ema import EMA
from gen3r.train.guards import bad_gradients
from gen3r.train.objectives.base import Objective
from gen3r.train.optim import build_optimizer
from gen3r.train.processes import Processes
from gen3r.train.state import RunState

T = TypeVar("T")


class Worker(nn.Module):
    """An objective as one module whose ``forward`` does any work on it, so that wrappers see it begin and end."""

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.objective = objective

    def forward(self, work: Callable[[Objective], T]) -> T:
        """``work`` done on the objective."""
        return work(self.objective)


class Sharing(ABC):
    """What the loop asks of a model that several processes train."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective

    @abstractmethod
    def train(self, work: Callable[[Objective], T]) -> T:
        """``work`` with gradients in mind; its tensors must be in tuples, lists and dictionaries."""

    @abstractmethod
    def look(self, work: Callable[[Objective], T]) -> T:
        """``work`` without gradients: every process does the same, or none."""

    @abstractmethod
    def syncing(self, last: bool) -> AbstractContextManager[Any]:
        """Around forward and backward of a micro-batch: gradients are exchanged after the ``last`` one alone."""

    @abstractmethod
    def averaged(self, ema: EMA) -> AbstractContextManager[Objective | None]:
        """Within: the objective with whole averaged weights, to be exported by the main process; None elsewhere."""

    def average(self, decay: float) -> EMA:
        """The moving average of the weights that this process has."""
        return EMA(self.objective.networks, decay)

    def optimizer(self, config: LoopConfig) -> torch.optim.Optimizer:
        """The optimizer of the weights that this process has."""
        return build_optimizer(self.objective.networks, config)

    def state(self, ema: EMA, optimizer: torch.optim.Optimizer) -> RunState:
        """What checkpoints hold."""
        return RunState(self.objective, ema, optimizer)

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a micro-batch."""
        loss.backward()

    def clip(self, limit: float) -> Tensor:
        """The norm of the gradients over all processes, which the next `step` keeps below ``limit``.

        Where it is not finite, gradients stay as they are, to be looked at.
        """
        values = [value for value in self.objective.networks.parameters() if value.grad is not None]
        norm = torch.nn.utils.get_total_norm([value.grad for value in values if value.grad is not None])
        whole = norm.full_tensor() if isinstance(norm, DTensor) else norm
        if bool(torch.isfinite(whole)):
            torch.nn.utils.clip_grads_with_norm_(values, limit, norm)
        return whole

    def bad_gradients(self, processes: Processes) -> list[str]:
        """Names of parameters whose gradient is not finite on any process."""
        return bad_gradients(self.objective.networks, processes)

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """Move the weights."""
        optimizer.step()

    def forget(self, optimizer: torch.optim.Optimizer) -> None:
        """Drop the gradients."""
        optimizer.zero_grad(set_to_none=True)


class Alone(Sharing):
    """One process."""

    def train(self, work: Callable[[Objective], T]) -> T:
        return work(self.objective)

    def look(self, work: Callable[[Objective], T]) -> T:
        return work(self.objective)

    def syncing(self, last: bool) -> AbstractContextManager[Any]:
        return nullcontext()

    @contextmanager
    def averaged(self, ema: EMA) -> Iterator[Objective | None]:
        with ema.applied():
            yield self.objective


class Replicas(Alone):
    """Every process has the whole model; gradients are averaged."""

    def __init__(self, objective: Objective, processes: Processes) -> None:
        super().__init__(objective)
        self.processes = processes
        devices = [processes.device] if processes.device.type == "cuda" else None
        self.model = DistributedDataParallel(
            Worker(objective), device_ids=devices, broadcast_buffers=False, gradient_as_bucket_view=True
        )

    def train(self, work: Callable[[Objective], T]) -> T:
        return self.model(work)

    def syncing(self, last: bool) -> AbstractContextManager[Any]:
        return nullcontext() if last else self.model.no_sync()

    @contextmanager
    def averaged(self, ema: EMA) -> Iterator[Objective | None]:
        with ema.applied():
            yield self.objective if self.processes.main else None


class Shards(Sharing):
    """Every process has its rows of every trained tensor, and all of a block while the block works.

    With bfloat16, blocks are gathered in bfloat16; shards, optimizer, average and the sums of gradients are float32.
    What is in no block (embeddings, time, norms of the ends) is gathered in float32.
    """

    def __init__(self, objective: Objective, processes: Processes, config: LoopConfig) -> None:
        super().__init__(objective)
        self.processes = processes
        self.twin = hollow_twin(objective)
        mesh = init_device_mesh(processes.device.type, (processes.world,))
        narrow = torch.bfloat16 if config.precision == "bf16" else None
        blocks = MixedPrecisionPolicy(param_dtype=narrow, reduce_dtype=torch.float32, cast_forward_inputs=False)
        for network in objective.networks.values():
            for block in blocks_of(network):
                fully_shard(block, mesh=mesh, mp_policy=blocks)
        trained = set(objective.networks.parameters())
        self.worker = Worker(objective)
        self.root: FSDPModule = fully_shard(
            self.worker,
            mesh=mesh,
            mp_policy=MixedPrecisionPolicy(reduce_dtype=torch.float32, cast_forward_inputs=False),
            ignored_params={value for value in objective.parameters() if value not in trained},
        )

    def train(self, work: Callable[[Objective], T]) -> T:
        return self.worker(work)

    def look(self, work: Callable[[Objective], T]) -> T:
        with torch.no_grad():
            result = self.worker(work)
        self.reshard()
        return result

    def reshard(self) -> None:
        """Leave only the shards."""
        for module in self.worker.modules():
            if isinstance(module, FSDPModule):
                module.reshard()

    @contextmanager
    def syncing(self, last: bool) -> Iterator[None]:
        self.root.set_requires_gradient_sync(last)
        yield

    @contextmanager
    def averaged(self, ema: EMA) -> Iterator[Objective | None]:
        values = {}
        for name, value in (self.objective.networks.state_dict() | ema.average).items():
            full = value.full_tensor() if isinstance(value, DTensor) else value
            if self.processes.main:
                values[name] = full.cpu()
        if not self.processes.main:
            yield None
            return
        yield filled_twin(self.twin, values, self.objective).to(self.processes.device)


def share(objective: Objective, processes: Processes, config: LoopConfig) -> Sharing:
    """The model as the run's processes share it; to be called before the optimizer is built."""
    if not processes.several:
        return Alone(objective)
    return _SEVERAL[config.sharding](objective, processes, config)


def _zero(objective: Objective, processes: Processes, config: LoopConfig) -> Sharing:
    from gen3r.train.zero import Zero

    return Zero(objective, processes, config)


_SEVERAL: Mapping[str, Callable[[Objective, Processes, LoopConfig], Sharing]] = {
    "none": lambda objective, processes, config: Replicas(objective, processes),
    "fsdp2": Shards,
    "deepspeed": _zero,
}


def blocks_of(network: nn.Module) -> list[nn.Module]:
    """What is gathered one after the other; a network of another kind is gathered whole."""
    lists = next((lists for kind, lists in _BLOCKS.items() if isinstance(network, kind)), ())
    return [block for name in lists for block in _members(network, name)]


def _members(network: nn.Module, name: str) -> list[nn.Module]:
    try:
        return list(cast(nn.ModuleList, network.get_submodule(name)))
    except AttributeError:  # patches may be embedded by a convolution
        return []


_BLOCKS: Mapping[type[nn.Module], tuple[str, ...]] = {
    JointTransformer: ("blocks",),
    GeometryAdapter: ("encoder.stages", "decoder.stages"),
    VGGT: ("aggregator.frame_blocks", "aggregator.global_blocks", "aggregator.patch_embed.blocks"),
    UMT5EncoderModel: ("encoder.block",),
}
"""Lists of blocks by kind of network. The video VAE has none: its blocks hand on lists that they change, of which FSDP
would give them copies."""


def recompute_activations(networks: nn.ModuleDict) -> None:
    """Have every trained network recompute its blocks' activations, by its own switch (not re-entrant).

    Raises:
        ValueError: for a network that has none.
    """
    for name, network in networks.items():
        for switch in _SWITCHES:
            if hasattr(network, switch):
                _SWITCHES[switch](network)
                break
        else:
            raise ValueError(f"{name} cannot recompute its activations; train it without.")


def compile_blocks(networks: nn.ModuleDict) -> None:
    """Compile the repeated blocks of every trained network, in place: one block's code serves all that are alike.

    A second size that they see is compiled as any size. What lies between the blocks stays as it is, and so does a
    network without blocks.
    """
    for network in networks.values():
        for block in blocks_of(network):
            block.compile()


_SWITCHES: Mapping[str, Callable[[Any], None]] = {
    "set_gradient_checkpointing": lambda network: network.set_gradient_checkpointing(True),
    "enable_gradient_checkpointing": lambda network: network.enable_gradient_checkpointing(),
    "activation_checkpointing_enable": lambda network: network.activation_checkpointing_enable(
        {"use_reentrant": False}
    ),
    "gradient_checkpointing_enable": lambda network: network.gradient_checkpointing_enable(
        gradient_checkpointing_kwargs={"use_reentrant": False}
    ),
}


def hollow_twin(objective: Objective) -> Objective:
    """A copy whose trained networks have no values; frozen networks are the same objects."""
    known: dict[int, Any] = {}
    for value in objective.networks.parameters():
        known[id(value)] = nn.Parameter(torch.empty_like(value, device="meta"), requires_grad=value.requires_grad)
    for name, child in objective.named_children():
        if name not in ("networks", "running"):
            known[id(child)] = child
    return copy.deepcopy(objective, known)


def filled_twin(hollow: Objective, values: Mapping[str, Tensor], objective: Objective) -> Objective:
    """A copy of a hollow twin with values, and what ``objective`` carries; tensors that were one stay one."""
    twin = copy.deepcopy(hollow)
    places: dict[int, list[tuple[nn.Module, str]]] = {}
    for module in twin.networks.modules():
        for name, value in module.named_parameters(recurse=False, remove_duplicate=False):
            places.setdefault(id(value), []).append((module, name))
    twin.networks.load_state_dict(dict(values), assign=True)
    for (first, name), *others in places.values():
        for module, other in others:
            setattr(module, other, getattr(first, name))
    twin.running.load_state_dict(objective.running.state_dict())
    return twin.eval()
