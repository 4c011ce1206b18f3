"""Settings of the loop, shared by every objective."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How a run optimises, logs and saves; what it optimises is the objective's business."""

    steps: int
    """Optimizer steps of the whole run."""
    batch_size: int
    """Items per process and micro-step."""
    accumulate: int = 1
    """Micro-steps per optimizer step."""
    global_batch: int | None = None
    """Samples per optimizer step over all processes, from which ``accumulate`` follows; None: ``batch_size`` times
    ``accumulate`` times the processes. A resumed run keeps the number it began with, on however many processes."""
    prefetch: int = 0
    """Micro-batches prepared ahead by threads; 0 prepares each when it is needed."""
    lr: float = 4e-4
    """Peak learning rate of AdamW."""
    lr_factors: tuple[tuple[str, float], ...] = ()
    """Factors on ``lr`` for parameters whose name starts so; the first match counts. Layers that read thousands of
    inputs need small ones: under Adam every weight moves alike, and their sum moves that much more."""
    final_lr: float = 0.05
    """Learning rate at the end, as a fraction of ``lr`` (cosine)."""
    warmup: int = 100
    """Steps of linear warm-up."""
    betas: tuple[float, float] = (0.9, 0.99)
    """AdamW's moment decays."""
    eps: float = 1e-8
    """AdamW's addend to the root of the second moment."""
    weight_decay: float = 0.01
    """AdamW's decay, for matrices and kernels only (not for biases, norms, tokens) unless ``decay_all``."""
    decay_all: bool = False
    """Decay every parameter, biases, norms and tokens too, as the official training does."""
    grad_clip: float = 1.0
    """Limit of the global gradient norm, from ``grad_clip_warmup`` of the steps on."""
    first_grad_clip: float | None = None
    """Limit at the first step, from where it moves linearly to ``grad_clip``; None: it is the same throughout."""
    grad_clip_warmup: float = 0.1
    """Share of the steps after which the limit has reached ``grad_clip``."""
    ema_decay: float = 0.999
    """Decay of the exponential moving average of the weights (shorter in the first steps)."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16 runs the forward pass under autocast; weights, losses and optimizer stay float32."""
    sharding: Literal["none", "fsdp2", "deepspeed"] = "none"
    """What each of several processes holds: the whole model (none), its share of weights, gradients, optimizer and
    average (fsdp2), or whole weights and its share of the rest (deepspeed: ZeRO-2)."""
    compile: bool = False
    """Compile the repeated blocks of what is trained: about a minute at the start, then fewer and larger kernels."""
    fused: bool = False
    """AdamW as one kernel instead of several for each weight."""
    read_every: int = 1
    """Steps between looks at loss and gradient on the host, which wait for the device. In between a step that is not
    finite is left out on the device, and counted (``fused``, one process)."""
    streams: Literal["samples", "batches"] = "samples"
    """One random stream for each sample, so that batches may be divided in any way, or one for each micro-batch, which
    is decided and drawn as a whole, with fewer and larger kernels."""
    rewarm: int = 50
    """Steps over which the learning rate comes back where a run goes on without its optimizer's moments."""
    recompute: bool = False
    """Recompute the activations of blocks in the backward pass: far less memory, about a third more time."""
    seed: int = 0
    """Seed of initialisation, data order, augmentation and noise."""
    threads: int | None = None
    """CPU threads of the process; None leaves PyTorch's default."""
    log_every: int = 10
    """Steps between log lines."""
    checkpoint_every: int = 250
    """Steps between checkpoints."""
    keep_checkpoints: int = 2
    """How many of the latest checkpoints stay on disk."""
    background_saves: bool = True
    """Write checkpoints while training goes on: they cost a copy in host memory and no time."""
    skip_nonfinite: int = 0
    """Steps with a NaN or infinite loss or gradient that a run may leave out; one more stops it."""
    patience: float = 1800.0
    """Seconds that a process waits for the others before the run is given up."""
    straggler_every: int = 100
    """Steps between looks at how long each process worked; 0 for none."""
    straggler_factor: float = 1.5
    """A process that worked this many times longer than the median is named in the log."""
    sample_every: int = 500
    """Steps between sample pictures; 0 for none."""
    validate_every: int = 500
    """Steps between validations; 0 for none."""
    validation_batches: int = 8
    """Batches per validation."""

    def __post_init__(self) -> None:
        counts = (
            "steps",
            "batch_size",
            "accumulate",
            "log_every",
            "read_every",
            "checkpoint_every",
            "keep_checkpoints",
        )
        for name in counts:
            if getattr(self, name) < 1:
                raise ValueError(f"expected {name} >= 1, got {getattr(self, name)}.")
        if self.read_every > 1 and not self.fused:
            raise ValueError("expected fused with read_every above 1: that AdamW leaves out steps by itself.")
        for name in ("prefetch", "skip_nonfinite", "straggler_every", "rewarm"):
            if getattr(self, name) < 0:
                raise ValueError(f"expected {name} >= 0, got {getattr(self, name)}.")
        if self.global_batch is not None and self.global_batch < 1:
            raise ValueError(f"expected global_batch >= 1 or none, got {self.global_batch}.")
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"expected ema_decay in [0, 1), got {self.ema_decay}.")

    def clip_at(self, step: int) -> float:
        """Limit of the gradient norm at a step."""
        if self.first_grad_clip is None:
            return self.grad_clip
        progress = min(1.0, step / max(1.0, self.grad_clip_warmup * self.steps))
        return self.first_grad_clip + progress * (self.grad_clip - self.first_grad_clip)
