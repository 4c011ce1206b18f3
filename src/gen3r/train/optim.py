"""AdamW over asserted parameter groups, and the learning rate as a pure function of the step."""

from __future__ import annotations

import math

import torch
from torch import nn

from gen3r.presets.loop import LoopConfig


def build_optimizer(networks: nn.Module, config: LoopConfig) -> torch.optim.AdamW:
    """AdamW; with ``decay_all`` everything is decayed, else the weights of matrices, kernels and embeddings.

    Every group carries ``lr_factor``, to be multiplied with `learning_rate`.
    """
    trained = {name: value for name, value in networks.named_parameters() if value.requires_grad}
    if not trained:
        raise ValueError("expected parameters to train, got none; is every network frozen?")
    decayed = trained.keys() if config.decay_all else _matrices(networks)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, value in trained.items():
        factor = next((factor for start, factor in config.lr_factors if name.startswith(start)), 1.0)
        groups.setdefault((factor, config.weight_decay if name in decayed else 0.0), []).append(value)
    assert sum(map(len, groups.values())) == len(trained)
    listed = [
        {"params": members, "weight_decay": decay, "lr_factor": factor} for (factor, decay), members in groups.items()
    ]
    fused = True if config.fused else None
    return torch.optim.AdamW(listed, lr=config.lr, betas=config.betas, eps=config.eps, fused=fused)


def _matrices(networks: nn.Module) -> set[str]:
    """Names of what multiplies many inputs: no bias, and no norm or token, which may have several axes as well."""
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Embedding)
    found = {id(module.weight) for module in networks.modules() if isinstance(module, kinds)}
    return {name for name, value in networks.named_parameters() if id(value) in found}


def learning_rate(step: int, config: LoopConfig, progress: float | None = None) -> float:
    """Linear warm-up, then a cosine from ``lr`` to ``final_lr * lr`` at the last step.

    Args:
        step: steps done.
        config: rates, warm-up and steps.
        progress: share of the schedule that is over, where that is not what the count of steps says: the cosine is
            taken there, and the warm-up is a factor on it.
    """
    if progress is not None:
        return config.lr * _cosine(progress, config.final_lr) * min(1.0, (step + 1) / max(1, config.warmup))
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    return config.lr * _cosine((step - config.warmup) / max(1, config.steps - config.warmup), config.final_lr)


def _cosine(progress: float, last: float) -> float:
    """From 1 to ``last``."""
    return last + (1 - last) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
