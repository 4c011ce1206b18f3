"""Draws docs/pictures/joint_latent.png: a clip, its joint latent, and what each half decodes to.

python docs/joint_latent.py
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch

from gen3r import Gen3RPipeline
from gen3r.data.synthetic import generate_clip
from gen3r.latents.joint import JointLatent, split

SEED = 900_000_003
OUT = Path(__file__).parent / "pictures" / "joint_latent.png"


def as_colours(latent: torch.Tensor) -> torch.Tensor:
    """``[16, h, w]`` to ``[h, w, 3]`` in 0..1: the three strongest principal components."""
    cells = latent.flatten(1).T
    centred = cells - cells.mean(0)
    _, _, axes = torch.linalg.svd(centred, full_matrices=False)
    scores = centred @ axes[:3].T
    low, high = scores.quantile(0.02, 0), scores.quantile(0.98, 0)
    return ((scores - low) / (high - low)).clamp(0, 1).view(*latent.shape[1:], 3)


def inverse(depth: torch.Tensor) -> torch.Tensor:
    """Nearness for display; no surface is black."""
    return torch.where(depth > 0, 1 / depth.clamp_min(0.05), torch.zeros_like(depth))


@torch.no_grad()
def main() -> None:
    """Encode a held-out clip, show the latent, decode it again."""
    pipeline = Gen3RPipeline.from_pretrained("tiny")
    grid = pipeline.grid()
    clip = generate_clip(SEED, *(grid.frames, *grid.size))
    images = clip.rgb.permute(0, 3, 1, 2)[None] / 255
    joint = JointLatent(pipeline.appearance.encode(images).mode(), pipeline.geometry.encode(images).mode()).tensor
    latent = JointLatent.from_tensor(joint)
    frames = pipeline.appearance.decode(latent.appearance)[0]
    depth = pipeline.geometry.decode(latent.geometry, grid.token_grid, grid.size).depth[0]

    shown = (0, grid.frames // 2, grid.frames - 1)
    figure = plt.figure(figsize=(12, 6.4), facecolor="white")
    for column, frame in enumerate(shown):
        for offset, picture, title in (
            (0, clip.rgb[frame], f"frame {frame}"),
            (3, inverse(clip.depth[frame]), "true depth"),
            (12, frames[frame].permute(1, 2, 0), "decoded A"),
            (15, inverse(depth[frame]), "decoded G"),
        ):
            axes = figure.add_subplot(3, 6, 1 + column + offset)
            axes.imshow(picture.numpy(), cmap="inferno")
            axes.set_title(title, fontsize=9)
            axes.axis("off")
    for index in range(grid.latent_frames):
        axes = figure.add_subplot(3, grid.latent_frames, grid.latent_frames + 1 + index)
        halves = [as_colours(half) for half in split(joint[0, :, index])]
        axes.imshow(torch.cat(halves, dim=1).numpy(), interpolation="nearest")
        axes.axvline(grid.latent_size[1] - 0.5, color="white", linewidth=2)
        axes.set_title(f"[A; G], latent frame {index}", fontsize=9)
        axes.axis("off")
    figure.tight_layout()
    OUT.parent.mkdir(exist_ok=True)
    figure.savefig(OUT, dpi=80)


if __name__ == "__main__":
    main()
