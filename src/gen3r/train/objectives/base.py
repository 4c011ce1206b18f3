"""What the loop knows of an objective."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Float, UInt8
from torch import Tensor, nn

from gen3r.hub.folder import save_network
from gen3r.train.rng import Rng

Batch = dict[str, Any]


@dataclass(frozen=True)
class Terms:
    """One loss: ``total`` carries the gradient, ``parts`` are its named addends and other numbers worth a curve."""

    total: Float[Tensor, ""]
    parts: Mapping[str, Float[Tensor, ""]]

    def floats(self) -> dict[str, float]:
        """All values as Python numbers, ``total`` first."""
        return {"total": float(self.total.detach())} | {
            name: float(value.detach()) for name, value in self.parts.items()
        }


class Objective(nn.Module, ABC):
    """Networks to train, what they lose on a batch, and how well they do.

    ``networks`` holds what is trained, averaged, saved and exported. Frozen networks are submodules outside it.
    ``running`` holds buffers the objective itself carries from step to step (moving averages); they are saved too.
    """

    def __init__(self, networks: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleDict(networks)
        self.running = nn.Module()

    @abstractmethod
    def loss(self, batch: Batch, rng: Rng) -> Terms:
        """Loss of one batch; every random decision is drawn from ``rng``, a stream of each sample or one for all."""

    def forward(self, batch: Batch, rng: Rng) -> Terms:
        """The same, under the name that wrappers for several processes call."""
        return self.loss(batch, rng)

    def metrics(self, batch: Batch, rng: Rng) -> dict[str, float]:
        """Validation numbers of one batch; by default the loss terms."""
        return self.loss(batch, rng).floats()

    def pictures(self, batch: Batch, rng: Rng) -> dict[str, UInt8[Tensor, "height width 3"]]:
        """Pictures of what the networks do on a batch; none by default."""
        return {}

    def export(self, folder: Path, batches: list[Batch]) -> None:
        """Write every trained network as ``folder/<name>/config.json`` and ``model.safetensors``.

        ``batches`` are some training batches, for objectives that measure statistics to store in a config.
        """
        for name, network in self.networks.items():
            save_network(network, network.config, folder / name)

    def saved_state(self) -> dict[str, Tensor]:
        """Tensors a checkpoint must hold: trained networks and running buffers."""
        prefixes = ("networks.", "running.")
        return {name: value for name, value in self.state_dict().items() if name.startswith(prefixes)}

    def load_saved_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore ``saved_state`` strictly."""
        expected = set(self.saved_state())
        if set(state) != expected:
            raise ValueError(
                f"the checkpoint differs from the networks in {sorted(set(state) ^ expected)[:8]}; "
                "was the preset changed?"
            )
        self.load_state_dict(dict(state), strict=False)
