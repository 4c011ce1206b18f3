"""Steps whose numbers stay on the device until somebody asks: a host that waits for each step leaves a GPU idle."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from gen3r.train.ema import EMA
from gen3r.train.guards import NonFiniteError


class UnreadSteps:
    """Takes steps that are finite and leaves out the others, without the host knowing which.

    A fused AdamW reads on the device whether to move (its ``found_inf``, made for gradient scalers); what is left out
    is counted there.
    """

    def __init__(self, networks: nn.Module, optimizer: torch.optim.Optimizer, ema: EMA) -> None:
        self.trained = [value for value in networks.parameters() if value.requires_grad]
        self.optimizer, self.ema = optimizer, ema
        self.left_out = torch.zeros((), device=self.trained[0].device)
        self.known = 0

    @torch.no_grad()
    def take(self, step: int, total: Tensor, limit: float) -> tuple[Tensor, Tensor]:
        """Clip and move, unless ``total`` or a gradient is not finite.

        Returns:
            The norm of the gradients, and 1 where the step was left out, both on the device.
        """
        values = [value for value in self.trained if value.grad is not None]
        norm = torch.nn.utils.get_total_norm([cast(Tensor, value.grad) for value in values])
        bad = (~(torch.isfinite(total) & torch.isfinite(norm))).float()
        torch.nn.utils.clip_grads_with_norm_(values, limit, norm)
        adam = cast("torch.optim.AdamW", self.optimizer)
        adam.found_inf, adam.grad_scale = bad, None  # pyright: ignore[reportAttributeAccessIssue]
        self.optimizer.step()
        self.ema.update(step)
        self.left_out += bad
        return norm, bad

    def read(self, step: int, allowed: int) -> int:
        """How many steps were left out since the last time.

        Raises:
            NonFiniteError: if these are more than ``allowed``.
        """
        count = round(float(self.left_out))
        new, self.known = count - self.known, count
        if new > allowed:
            raise NonFiniteError(
                f"{new} of the latest steps up to {step} had a loss or gradient that is not finite and were left out; "
                "--skip-nonfinite allows more, the setting read_every = 1 says which and why."
            )
        return new
