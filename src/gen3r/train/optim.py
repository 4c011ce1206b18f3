"""AdamW over asserted parameter groups, and the learning rate as a pure function of the step."""

from __future__ import annotations

import math

import torch
from torch import nn

from gen3r.presets.loop import LoopConfig


def build_optimizer(networks: nn.Module, config: LoopConfig) -> torch.optim.AdamW:
    """AdamW; tensors with fewer than two dimensions (biases, norms, gains) are not decayed."""
    trained = {name: value for name, value in networks.named_parameters() if value.requires_grad}
    if not trained:
        raise ValueError("expected parameters to train, got none; is every network frozen?")
    decayed = [value for value in trained.values() if value.ndim >= 2]
    plain = [value for value in trained.values() if value.ndim < 2]
    assert len(decayed) + len(plain) == len(trained)
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=config.lr, betas=config.betas)


def learning_rate(step: int, config: LoopConfig) -> float:
    """Linear warm-up, then a cosine from ``lr`` to ``final_lr * lr`` at the last step."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, config.steps - config.warmup)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return config.lr * (config.final_lr + (1 - config.final_lr) * cosine)
