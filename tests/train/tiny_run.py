"""A training run of seconds with the real classes, also run as a program by the resume test.

python tiny_run.py PACK OUT STEPS [resume] [FIELD=JSON ...]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from gen3r.models.vae import LinearShortcutVAE, VAEConfig
from gen3r.presets.loop import LoopConfig
from gen3r.presets.stages import VAELossConfig
from gen3r.train.loop import Trainer
from gen3r.train.objectives.vae import VAEObjective, VideoCrops
from gen3r.train.sources import PackedClips

FRAMES = 5
TINY_VAE = VAEConfig(
    base_dim=4,
    z_dim=4,
    dim_mult=(1, 1, 1),
    num_res_blocks=1,
    temporal_downsample=(True, True),
    is_residual=True,
    patch_size=2,
    linear=True,
    latents_mean=(0.0,) * 4,
    latents_std=(1.0,) * 4,
)


def write_pack(path: Path, count: int = 6, frames: int = FRAMES, side: int = 32, first_seed: int = 0) -> Path:
    """A pack of smooth random clips with cameras that move sideways."""
    rng = torch.Generator().manual_seed(0)
    coarse = torch.rand(count * frames, 3, 4, 4, generator=rng)
    rgb = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 1)
    extrinsics = torch.eye(4).repeat(count, frames, 1, 1)
    extrinsics[..., 0, 3] = torch.linspace(0, 0.5, frames)
    focal = torch.tensor([[float(side), 0, side / 2], [0, float(side), side / 2], [0, 0, 1]])
    tensors = {
        "rgb": (rgb * 255).byte().permute(0, 2, 3, 1).unflatten(0, (count, frames)).contiguous(),
        "depth": (1 + torch.rand(count, frames, side, side, generator=rng)).half(),
        "extrinsics": extrinsics,
        "intrinsics": focal.repeat(count, frames, 1, 1),
        "seeds": torch.arange(first_seed, first_seed + count),
    }
    captions = [f"a room with {index} chairs; the camera slides left" for index in range(count)]
    save_file(tensors, path, {"captions": json.dumps(captions)})
    return path


def loop_config(steps: int, **changes: Any) -> LoopConfig:
    """A schedule for a handful of steps."""
    settings: dict[str, Any] = {
        "batch_size": 2,
        "lr": 2e-3,
        "warmup": 2,
        "log_every": 1,
        "checkpoint_every": 3,
        "threads": 1,
    }
    settings["lr_factors"] = (("vae.linear.", 0.05),)
    return LoopConfig(steps=steps, sample_every=0, validate_every=0, **(settings | changes))


def trainer(pack: Path, out: Path, config: LoopConfig, *, resume: bool = False) -> Trainer:
    """A tiny video VAE on a pack."""
    torch.manual_seed(config.seed)
    objective = VAEObjective(LinearShortcutVAE(TINY_VAE), VAELossConfig())
    batches = VideoCrops(PackedClips([pack]), batch_size=config.batch_size, crop=16, frames=FRAMES, seed=config.seed)
    return Trainer(objective, batches, config, out, resume=resume)


if __name__ == "__main__":
    pack, out, steps, *options = sys.argv[1:]
    changes = {name: json.loads(value) for name, _, value in (option.partition("=") for option in options) if value}
    trainer(Path(pack), Path(out), loop_config(int(steps), **changes), resume="resume" in options).run()
