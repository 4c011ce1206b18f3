"""A transformer of two blocks on random latents, and what several processes are asked to do with it.

Also a program: RANK=.. WORLD_SIZE=.. python tiny_flow.py ORDERS.json
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch

from gen3r.models.transformer import JointTransformer, TransformerConfig
from gen3r.presets.loop import LoopConfig
from gen3r.presets.stages import DiffusionStage
from gen3r.train.batches import Batches
from gen3r.train.guards import LostProcessError
from gen3r.train.loop import Trainer
from gen3r.train.objectives.base import Batch
from gen3r.train.objectives.diffusion import DiffusionObjective
from gen3r.train.rng import generator

NETWORK = TransformerConfig(
    num_attention_heads=2,
    attention_head_dim=12,
    num_layers=2,
    ffn_dim=32,
    text_dim=16,
    text_length=4,
    freq_dim=16,
    image_dim=None,
    camera_downsample_first=True,
    camera_residual_kernel=1,
)
LOOP = LoopConfig(
    steps=6,
    batch_size=1,
    lr=2e-3,
    warmup=2,
    ema_decay=0.5,
    log_every=1,
    checkpoint_every=2,
    keep_checkpoints=9,
    threads=1,
    sample_every=0,
    validate_every=0,
    patience=60.0,
)


class RandomLatents(Batches):
    """Clips of noise whose control is another at every position; item ``bad`` is no number, and each takes its time."""

    def __init__(self, batch_size: int, bad: int | None = None, seconds: float = 0.0) -> None:
        super().__init__(16, batch_size, seed=0)
        self.bad, self.seconds = bad, seconds

    def make(self, items: Sequence[int], rng: torch.Generator) -> Batch:
        time.sleep(self.seconds)
        draws = [generator("item", item) for item in items]
        shapes = {"clean": (16, 2, 2, 4), "text": (4, 16), "camera": (24, 2, 2, 4)}
        batch = {
            name: torch.stack([torch.randn(shape, generator=each) for each in draws]) for name, shape in shapes.items()
        }
        batch["control"] = torch.randn(len(items), 20, 2, 2, 4, generator=rng)
        if self.bad in items:
            batch["clean"] = batch["clean"] * float("nan")
        return batch


def flow(out: Path, *, resume: bool = False, bad: int | None = None, seconds: float = 0.0, **changes: Any) -> Trainer:
    """A run in ``out``; ``changes`` are fields of the loop."""
    loop = dataclasses.replace(LOOP, **changes)
    torch.manual_seed(0)
    stage = DiffusionStage(network=NETWORK, text=None, loop=loop)
    objective = DiffusionObjective(JointTransformer(NETWORK), None, stage)
    batches, validation = RandomLatents(loop.batch_size, bad, seconds), RandomLatents(loop.batch_size)
    return Trainer(objective, batches, loop, out, validation=validation, resume=resume)


def obey(order: dict[str, Any]) -> dict[str, Any]:
    """Do one run and tell how it ended."""
    slow = order.pop("slow", 0.0) if os.environ.get("RANK") == "1" else 0.0
    order.pop("slow", None)
    full = order.pop("full_disk", False) and os.environ.get("RANK") == "1"
    trainer = flow(Path(order.pop("out")), seconds=slow, **order)
    try:
        with full_disk() if full else nullcontext():
            trainer.run()
    except LostProcessError:
        raise
    except (OSError, RuntimeError) as error:
        weights = {name: value.clone() for name, value in trainer.objective.state_dict().items()}
        return {"step": trainer.step, "error": str(error), "finite": all(_finite(value) for value in weights.values())}
    return {"step": trainer.step, "skipped": trainer.skipped}


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process grows beyond a few bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _finite(value: torch.Tensor) -> bool:
    return bool((value.to_local() if hasattr(value, "to_local") else value).isfinite().all())


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    orders = Path(sys.argv[1])
    told = [obey(order) for order in json.loads(orders.read_text())]
    rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
    orders.with_name(f"told-{rank}.json").write_text(json.dumps(told))
