"""Processes that share gradients, optimizer and average, by DeepSpeed's ZeRO-2; each has whole weights.

DeepSpeed strings the float32 weights of a group of parameters together and gives every process an equal stretch, which
ends anywhere in a tensor. Here such stretches are put together to tensors and taken apart again, so that checkpoints
are those of any other run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from gen3r.extras import Extra
from gen3r.presets.loop import LoopConfig
from gen3r.train.ema import EMA
from gen3r.train.objectives.base import Objective
from gen3r.train.optim import build_optimizer
from gen3r.train.processes import Processes
from gen3r.train.sharding import Sharing, filled_twin, hollow_twin
from gen3r.train.state import AVERAGE, OPTIMIZER, WEIGHTS, RunState, check_names

EXTRA = Extra(name="deepspeed", modules=("deepspeed",))

BUCKET = 50_000_000
"""Numbers that are exchanged at once."""

T = TypeVar("T")


class Trained(nn.Module):
    """The trained networks, all that DeepSpeed is to know; ``forward`` does any work on their objective."""

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.networks = objective.networks
        self._whole = (objective,)  # no submodule: frozen networks keep their types

    def forward(self, work: Callable[[Objective], T]) -> T:
        """``work`` done on the objective."""
        return work(self._whole[0])


class Zero(Sharing):
    """Every process has whole weights, and its stretch of float32 weights, gradients, moments and average.

    With bfloat16 the whole weights are bfloat16. They are copies: steps are taken in float32.
    """

    def __init__(self, objective: Objective, processes: Processes, config: LoopConfig) -> None:
        """Raises ValueError if DeepSpeed is not installed."""
        EXTRA.require("--sharding deepspeed")
        super().__init__(objective)
        self.processes = processes
        self.twin = hollow_twin(objective)
        self.adam = build_optimizer(objective.networks, config)
        values = dict(objective.networks.named_parameters())
        before = {name: value.detach().to("cpu", copy=True) for name, value in values.items() if value.requires_grad}
        frozen = {value: value.data for value in values.values() if not value.requires_grad}
        self.engine = _engine(Trained(objective), self.adam, config)
        for value, data in frozen.items():
            value.data = data
        self.masters: list[Tensor] = self.engine.optimizer.single_partition_of_fp32_groups
        self.group = {id(value): i for i, members in enumerate(self.engine.optimizer.bit16_groups) for value in members}
        for name, value in before.items():
            self.stretches(values[name], self.masters).take(value)
        self.show()

    def stretches(self, value: Tensor, flat: list[Tensor]) -> Stretches:
        """A trained parameter's place in the strings ``flat`` of this process, one for each group."""
        return Stretches(value, flat[self.group[id(value)]])

    def show(self) -> None:
        """Copy the float32 weights of all processes into the whole weights of each."""
        self.engine.optimizer.update_lp_params()

    def train(self, work: Callable[[Objective], T]) -> T:
        return self.engine(work)

    def look(self, work: Callable[[Objective], T]) -> T:
        with torch.no_grad():
            return work(self.objective)

    def syncing(self, last: bool) -> AbstractContextManager[Any]:
        self.engine.set_gradient_accumulation_boundary(last)
        return nullcontext()

    def average(self, decay: float) -> ZeroEMA:
        return ZeroEMA(self, decay)

    def optimizer(self, config: LoopConfig) -> torch.optim.Optimizer:
        return self.adam

    def state(self, ema: EMA, optimizer: torch.optim.Optimizer) -> ZeroState:
        assert isinstance(ema, ZeroEMA)
        return ZeroState(self, ema)

    def backward(self, loss: Tensor) -> None:
        self.engine.backward(loss, scale_wrt_gas=False)

    def clip(self, limit: float) -> Tensor:
        zero = self.engine.optimizer
        zero.clip_grad = limit
        norm = torch.as_tensor(zero.scaled_global_norm())
        return torch.where(norm < 0, torch.nan, norm)  # what is not finite comes as -1

    def bad_gradients(self, processes: Processes) -> list[str]:
        from deepspeed.utils import safe_get_full_grad  # pyright: ignore[reportMissingImports] (an extra)

        gradients = ((name, safe_get_full_grad(value)) for name, value in self.parameters())
        return [name for name, value in gradients if value is not None and not bool(value.isfinite().all())]

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        self.engine.step()

    def forget(self, optimizer: torch.optim.Optimizer) -> None:
        zero = self.engine.optimizer
        zero.zero_grad(set_to_none=True)
        for kept in (zero.averaged_gradients, zero.all_grad_tensors):
            for index in kept:
                kept[index] = None

    def parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Name and value of what is trained."""
        return ((name, value) for name, value in self.objective.networks.named_parameters() if value.requires_grad)

    @contextmanager
    def averaged(self, ema: EMA) -> Iterator[Objective | None]:
        assert isinstance(ema, ZeroEMA)
        values = {}
        for name, value in self.objective.networks.state_dict(keep_vars=True).items():
            whole = self.stretches(value, ema.flat).whole() if id(value) in self.group else value.detach()
            if self.processes.main:
                values[name] = whole.cpu()
        if not self.processes.main:
            yield None
            return
        yield filled_twin(self.twin, values, self.objective).to(self.processes.device)


def _engine(model: Trained, adam: torch.optim.Optimizer, config: LoopConfig) -> Any:
    """DeepSpeed's engine around torch's own AdamW, so that nothing is compiled. Schedules and limits are the loop's."""
    import deepspeed  # pyright: ignore[reportMissingImports] (an extra)
    from deepspeed.accelerator import get_accelerator  # pyright: ignore[reportMissingImports]
    from deepspeed.utils import logger  # pyright: ignore[reportMissingImports]

    logger.setLevel(logging.WARNING)
    if get_accelerator().device_name() == "cpu":  # or it compiles its own all-reduce
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    settings = {
        "train_micro_batch_size_per_gpu": config.batch_size,
        "zero_optimization": {"stage": 2, "reduce_bucket_size": BUCKET, "allgather_bucket_size": BUCKET},
        "zero_allow_untested_optimizer": True,
        "bf16": {"enabled": config.precision == "bf16"},
        "data_types": {"grad_accum_dtype": "fp32"},
        "communication_data_type": "fp32",
        "steps_per_print": None,
    }
    engine, *_ = deepspeed.initialize(model=model, optimizer=adam, config=settings)
    return engine


@dataclass(frozen=True)
class Stretches:
    """One tensor of which every process has some stretch, or nothing."""

    value: Tensor
    """The parameter that it belongs to."""
    flat: Tensor
    """What this process has of all of its group."""

    def whole(self) -> Tensor:
        """All of it, in float32; to be called by all processes at once."""
        whole = torch.zeros(self.value.numel(), dtype=torch.float32, device=self.flat.device)
        for there, here in self._places():
            whole[there] = self.flat[here]
        dist.all_reduce(whole)
        return whole.view(self.value.shape)

    @torch.no_grad()
    def take(self, whole: Tensor) -> None:
        """Keep this process's stretch of new values."""
        for there, here in self._places():
            self.flat[here] = whole.flatten()[there].to(self.flat)

    def _places(self) -> Iterator[tuple[slice, slice]]:
        mapping: Any = self.value._hp_mapping  # pyright: ignore[reportAttributeAccessIssue] (DeepSpeed's)
        if mapping is not None:
            there, here = mapping.lp_fragment_address, mapping.hp_fragment_address
            yield slice(there.start, there.start + there.numel), slice(here.start, here.start + here.numel)


class ZeroEMA(EMA):
    """The average of this process's float32 stretches, not of bfloat16 weights."""

    def __init__(self, zero: Zero, decay: float) -> None:
        self.zero = zero
        super().__init__(zero.objective.networks, decay)
        self.flat = [value.detach().clone() for value in zero.masters] if decay else zero.masters

    def _own(self) -> dict[str, Tensor]:
        trained = {name for name, _ in self.networks.named_parameters(remove_duplicate=False)}
        return {name: value for name, value in self.networks.state_dict().items() if name not in trained}

    @torch.no_grad()
    def update(self, step: int) -> None:
        super().update(step)
        if self.decay:
            for average, value in zip(self.flat, self.zero.masters, strict=True):
                average.lerp_(value, 1 - min(self.decay, (1 + step) / (10 + step)))

    @contextmanager
    def applied(self) -> Iterator[None]:
        if not self.decay:
            yield
            return
        with super().applied():
            own = [value.detach().clone() for value in self.zero.masters]
            self._put(self.flat)
            try:
                yield
            finally:
                self._put(own)

    @torch.no_grad()
    def _put(self, values: list[Tensor]) -> None:
        for master, value in zip(self.zero.masters, values, strict=True):
            master.copy_(value)
        self.zero.show()


class ZeroState(RunState):
    """Tensors as every run has them. They are put together one after the other, when they are asked for."""

    def __init__(self, zero: Zero, ema: ZeroEMA) -> None:
        super().__init__(zero.objective, ema, zero.adam)
        self.zero, self.flat = zero, ema.flat
        self.room: dict[str, Tensor] = {}

    def tensors(self) -> Mapping[str, Tensor]:
        return Gathered(self._entries())

    def prepare(self, stored: Iterable[str]) -> Mapping[str, Tensor]:
        stored = list(stored)
        if any(name.startswith(OPTIMIZER) for name in stored):
            for master in self.zero.masters:
                moments = {key: torch.zeros_like(master.detach()) for key in ("exp_avg", "exp_avg_sq")}
                self.optimizer.state[master] = {"step": torch.zeros(())} | moments
        entries = self._entries()
        check_names(entries, stored)
        self.room = {
            name: torch.empty(entry.value.shape or (1,)) if isinstance(entry, Stretches) else entry
            for name, entry in entries.items()
        }
        return self.room

    def filled(self) -> None:
        for name, entry in self._entries().items():
            if isinstance(entry, Stretches):
                entry.take(self.room[name])
        self.room = {}
        self.zero.show()

    def factors(self) -> dict[str, float]:
        names = {id(value): name for name, value in self._parameters().items()}
        pairs = zip(self.zero.adam.param_groups, self.zero.engine.optimizer.bit16_groups, strict=True)
        return {names[id(value)]: group["lr_factor"] for group, members in pairs for value in members}

    def _entries(self) -> dict[str, Tensor | Stretches]:
        zero, networks = self.zero, self.objective.networks
        trained = dict(networks.named_parameters(remove_duplicate=False))
        entries: dict[str, Tensor | Stretches] = {}
        for name, value in self.objective.saved_state().items():
            parameter = trained.get(name.removeprefix("networks."))
            if parameter is None:
                entries[WEIGHTS + name] = value
            elif parameter.requires_grad:
                entries[WEIGHTS + name] = zero.stretches(parameter, zero.masters)
        if self.ema.decay:
            entries |= {AVERAGE + name: value for name, value in self.ema.average.items()}
            for name, value in trained.items():
                if value.requires_grad:
                    entries[AVERAGE + name] = zero.stretches(value, self.flat)
        for name, value in zero.parameters():
            master = zero.masters[zero.group[id(value)]]
            for key, moment in self.optimizer.state.get(master, {}).items():
                entries[f"{OPTIMIZER}{name}.{key}"] = moment if key == "step" else Stretches(value, moment)
        return {
            name: value.detach().view(1) if isinstance(value, Tensor) and not value.ndim else value
            for name, value in entries.items()
        }


class Gathered(Mapping[str, Tensor]):
    """Tensors that are put together when they are asked for, by all processes in the same order."""

    def __init__(self, entries: Mapping[str, Tensor | Stretches]) -> None:
        self.entries = entries

    def __getitem__(self, name: str) -> Tensor:
        entry = self.entries[name]
        value = entry.whole() if isinstance(entry, Stretches) else entry.detach()
        return value if value.ndim else value.view(1)

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)
