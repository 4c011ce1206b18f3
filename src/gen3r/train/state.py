"""All tensors of a run under flat names: weights, average, optimizer. What checkpoints hold.

Frozen parameters of trained networks are left out: they come from where they came from when the run began.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from gen3r.train.ema import EMA
from gen3r.train.objectives.base import Objective

WEIGHTS, AVERAGE, OPTIMIZER = "weights.", "average.", "optimizer."


class RunState:
    """The live tensors of a run; where a process has its share of a tensor, the share (a ``DTensor``)."""

    def __init__(self, objective: Objective, ema: EMA, optimizer: torch.optim.Optimizer) -> None:
        self.objective, self.ema, self.optimizer = objective, ema, optimizer

    def tensors(self) -> Mapping[str, Tensor]:
        """Name and tensor, not copied; single numbers as one row."""
        frozen = {f"networks.{name}" for name, value in self._parameters().items() if not value.requires_grad}
        saved = self.objective.saved_state()
        named = {WEIGHTS + name: value for name, value in saved.items() if name not in frozen}
        if self.ema.decay:
            named |= {AVERAGE + name: value for name, value in self.ema.average.items()}
        for name, value in self._parameters().items():
            for key, moment in self.optimizer.state.get(value, {}).items():
                named[f"{OPTIMIZER}{name}.{key}"] = moment
        return {name: value.detach().view(1) if not value.ndim else value.detach() for name, value in named.items()}

    def prepare(self, stored: Iterable[str]) -> Mapping[str, Tensor]:
        """`tensors` with room for the optimizer's moments that are ``stored``.

        Raises:
            ValueError: if other tensors are stored than the run has.
        """
        stored = set(stored)
        for name, value in self._parameters().items():
            keys = {key for key in ("step", "exp_avg", "exp_avg_sq") if f"{OPTIMIZER}{name}.{key}" in stored}
            if keys:
                count = torch.zeros((), device=value.device if self.optimizer.defaults.get("fused") else "cpu")
                self.optimizer.state[value] = {
                    key: count if key == "step" else torch.zeros_like(value.detach()) for key in sorted(keys)
                }
        tensors = self.tensors()
        check_names(tensors, stored)
        return tensors

    def filled(self) -> None:
        """To be called when what `prepare` gave has its values."""

    def factors(self) -> dict[str, float]:
        """Factor on the learning rate of each trained parameter, by name."""
        names = {id(value): name for name, value in self._parameters().items()}
        return {
            names[id(value)]: group["lr_factor"] for group in self.optimizer.param_groups for value in group["params"]
        }

    def _parameters(self) -> Mapping[str, Tensor]:
        return dict(self.objective.networks.named_parameters())


def check_names(own: Iterable[str], stored: Iterable[str]) -> None:
    """Check that a checkpoint has the tensors of the run.

    Raises:
        ValueError: if it has others.
    """
    other = sorted(set(own) ^ set(stored))
    if other:
        raise ValueError(f"the checkpoint differs from the networks in {other[:8]}; was the preset changed?")
