"""What each official choice of ``gen3r.pipeline.numerics`` changes, one at a time, on the shipped model.

python benchmarks/numerics.py [--clips 8] [--steps 50] [--out benchmarks/results/numerics.json] [--table docs/parity.md]

Held-out synthetic clips; the first frame, the caption and the true cameras are given, with the same noise for every
choice. The camera files are those of pictures half as wide again, which the model crops.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from gen3r.cameras import Cameras, trajectory_scale
from gen3r.conditioning.image import IMAGE_PIXELS
from gen3r.data.synthetic import generate_clips
from gen3r.eval.benchmarks.scores import depth_of, mean_psnr
from gen3r.eval.benchmarks.seeds import HELD_OUT_START
from gen3r.eval.benchmarks.stages import frames_of
from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.machine import machine_record, source_commit
from gen3r.eval.report import fill_tables
from gen3r.pipeline import Gen3RPipeline
from gen3r.pipeline.numerics import NUMERICS, Numerics
from gen3r.scene.point_cloud import OFFICIAL_CLOUD, PointCloudConfig, point_cloud
from gen3r.scene.scene import Scene
from gen3r.whole_file import whole_file

CHOICES: Mapping[str, tuple[torch.dtype, Numerics]] = {
    "default": (torch.float32, Numerics()),
    "sample_control": (torch.float32, Numerics(sample_control=True)),
    "crop_intrinsics": (torch.float32, Numerics(crop_intrinsics=False)),
    "rebase_scene": (torch.float32, Numerics(rebase_scene=False)),
    "bfloat16 networks": (torch.bfloat16, Numerics()),
    "round_to_networks": (torch.bfloat16, Numerics(round_to_networks=True)),
    "official": (torch.bfloat16, NUMERICS["official"]),
}
"""Networks' type and choices of each row; rows are compared with the first."""


def uncropped(cameras: Cameras) -> Cameras:
    """The cameras of a picture half as wide again, whose centre is the picture of ``cameras``."""
    width = cameras.width * 3 // 2
    intrinsics = cameras.intrinsics.clone()
    intrinsics[..., 0, 2] += (width - cameras.width) // 2
    return replace(cameras, intrinsics=intrinsics, width=width)


def scenes(pipeline: Gen3RPipeline, truths: Sequence[Truth], steps: int) -> list[Scene]:
    """One scene per clip; noise by the clip's seed."""
    return [
        pipeline(
            truth.video[:1],
            truth.caption,
            cameras=uncropped(truth.cameras),
            camera_scale=1.0,
            steps=steps,
            scene_cameras="predicted",
            generator=truth.seed,
        )
        for truth in truths
    ]


def compare(made: Sequence[Scene], reference: Sequence[Scene], truths: Sequence[Truth]) -> dict[str, float]:
    """Means over clips: change against the reference, and quality against the truth."""
    rows = []
    for scene, other, truth in zip(made, reference, truths, strict=True):
        error = (frames_of(scene) - frames_of(other)).square().mean()
        relative = ((scene.depth - other.depth).abs() / other.depth)[other.mask]
        rows.append(
            {
                "frames_rms": float(error.sqrt()),
                "depth_change": float(relative.mean()),
                "first_camera_off": float(scene.cameras.centers[0].norm()),
                "psnr": mean_psnr(frames_of(scene), truth, range(1, truth.frames)),
                "absrel": depth_of(scene.depth, truth).absrel,
            }
        )
    return {name: round(math.fsum(row[name] for row in rows) / len(rows), 5) for name in rows[0]}


def image_pixels(truths: Sequence[Truth]) -> dict[str, float]:
    """Root mean square difference of CLIP's input pixels (unit deviation) from the official ones."""
    pictures = torch.stack([truth.video[0] for truth in truths])
    pictures = torch.nn.functional.interpolate(pictures, size=(560, 560), mode="bicubic").clamp(0, 1)
    official = IMAGE_PIXELS["official"](pictures)
    return {
        name: round(float((pixels(pictures) - official).square().mean().sqrt()), 5)
        for name, pixels in IMAGE_PIXELS.items()
    }


def cloud(made: Sequence[Scene]) -> dict[str, float]:
    """The official cloud: share of the default's points it keeps, and how far its anchor moves a point."""
    anchor = PointCloudConfig(anchor=OFFICIAL_CLOUD.anchor, voxel_pixels=None, max_points=None)
    plain = PointCloudConfig(voxel_pixels=None, max_points=None)
    kept, moved = [], []
    for scene in made:
        ours, theirs = point_cloud(scene, plain), point_cloud(scene, anchor)
        masked = point_cloud(scene, replace(anchor, official_mask=True))
        moved.append(float(((ours.points - theirs.points).norm(dim=-1) / ours.points.norm(dim=-1)).mean()))
        kept.append(len(masked) / len(ours))
    return {"points_kept": round(sum(kept) / len(kept), 4), "points_moved": round(sum(moved) / len(moved), 5)}


def sky(pipeline: Gen3RPipeline, truths: Sequence[Truth]) -> dict[str, float]:
    """How much longer named paths become when the sky counts: mean and largest over clips."""
    ratios = []
    for truth in truths:
        depth = pipeline.read_geometry(truth.video[None, :1]).depth
        near = torch.where(depth < pipeline.config.far, depth, 0.0)
        ratios.append(trajectory_scale(depth) / trajectory_scale(near))
    return {"path_longer_mean": round(sum(ratios) / len(ratios), 5), "path_longer_most": round(max(ratios), 5)}


def measure(clips: int, steps: int, model: str) -> dict[str, Any]:
    """All rows."""
    pipelines = {dtype: Gen3RPipeline.from_pretrained(model, dtype=dtype) for dtype in (torch.float32, torch.bfloat16)}
    grid = pipelines[torch.float32].grid()
    seeds = range(HELD_OUT_START, HELD_OUT_START + clips)
    truths = [Truth.of(clip) for clip in generate_clips(seeds, grid.frames, grid.height, grid.width)]
    rows: dict[str, dict[str, float]] = {}
    reference: list[Scene] = []
    for name, (dtype, numerics) in CHOICES.items():
        plain = pipelines[dtype]
        made = scenes(Gen3RPipeline(plain.networks, plain.config, numerics=numerics), truths, steps)
        reference = reference or made
        rows[name] = compare(made, reference, truths)
    return {
        "clips": clips,
        "steps": steps,
        "model": model,
        "rows": rows,
        "image_pixels": image_pixels(truths),
        "cloud": cloud(reference),
        "sky": sky(pipelines[torch.float32], truths),
    }


def table(record: Mapping[str, Any]) -> str:
    """The Markdown table of a record."""
    lines = [
        "| choice | frames change (rms of 255) | depth changes | PSNR, dB | AbsRel | first camera off |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, row in record["rows"].items():
        lines.append(
            f"| {name} | {255 * row['frames_rms']:.2f} | {100 * row['depth_change']:.2f} % | {row['psnr']:.2f} | "
            f"{row['absrel']:.3f} | {row['first_camera_off']:.4f} |"
        )
    lines += ["", f"Model {record['model']}, {record['clips']} held-out clips, {record['steps']} steps."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """See the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/numerics.json"))
    parser.add_argument("--table", type=Path, help="a document whose table is to be filled from --out")
    options = parser.parse_args()
    if options.table is None:
        record = measure(options.clips, options.steps, options.model)
        record |= {
            "machine": machine_record(torch.device("cpu")),
            "commit": source_commit(),
            "command": shlex.join(["python", *sys.argv]),
        }
        with whole_file(options.out) as path:
            path.write_text(json.dumps(record, indent=1) + "\n")
    else:
        filled = fill_tables(
            options.table.read_text(), options.out.as_posix(), table(json.loads(options.out.read_text()))
        )
        with whole_file(options.table) as path:
            path.write_text(filled)


if __name__ == "__main__":
    main()
