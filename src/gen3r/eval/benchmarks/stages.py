"""What the synthetic benchmark asks of a model: each stage is one kind of prediction, scored clip by clip."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.pose_encoding import decode_pose
from gen3r.eval.benchmarks.scores import (
    Scores,
    depth_of,
    mean_psnr,
    one_view_scores,
    reconstruction_scores,
    round_trip_scores,
    two_view_scores,
)
from gen3r.eval.benchmarks.truth import Truth
from gen3r.hub.networks import VAE, VGGT_FOLDER
from gen3r.latents.codecs import ClipGeometry
from gen3r.models.vggt import VGGTOutput
from gen3r.pipeline import Gen3RPipeline, SceneRequest
from gen3r.pipeline.config import SceneCameras
from gen3r.scene.scene import Scene

Result = TypeVar("Result")
TRUE_SCALE = 1.0
"""Cameras are handed over in the unit the model works in: mean depths of the first view."""


@torch.no_grad()
def autoencode(pipeline: Gen3RPipeline, truth: Truth) -> Scores:
    """Video -> mode of the appearance posterior -> video."""
    with pipeline.residency.use(VAE, pipeline.appearance):
        latents = pipeline.appearance.encode(truth.video[None]).mode()
        video = pipeline.appearance.decode(latents)[0]
    return {"vae_psnr": mean_psnr(video, truth, range(truth.frames))}


@torch.no_grad()
def reconstruct(pipeline: Gen3RPipeline, truth: Truth) -> Scores:
    """VGGT on all true frames."""
    with pipeline.residency.use(VGGT_FOLDER, pipeline.geometry.vggt):
        output = pipeline.geometry.vggt(truth.video[None])
    return reconstruction_scores(output.depth[0], extrinsics_of(output, truth), truth)


@torch.no_grad()
def round_trip(pipeline: Gen3RPipeline, truth: Truth) -> Scores:
    """What the geometry codec encodes (VGGT's tokens, or the truth) -> mode of its posterior -> what it decodes."""
    grid, geometry = pipeline.grid(truth.frames, truth.size), pipeline.geometry
    known = ClipGeometry(depth=truth.depth[None], cameras=truth.cameras[None]) if geometry.needs_truth else None
    with pipeline.at_work(geometry.encoding()), pipeline.at_work(geometry.decoding()):
        latents = geometry.encode(truth.video[None], known).mode()
        output = geometry.decode(latents, grid.token_grid, grid.size)
    return round_trip_scores(output.depth[0], extrinsics_of(output, truth), truth)


def extrinsics_of(output: VGGTOutput, truth: Truth) -> Float[Tensor, "F 4 4"]:
    """World-to-camera extrinsics of the first item of a batch."""
    return decode_pose(output.pose_encoding[0], *truth.size).extrinsics


def generate(
    pipeline: Gen3RPipeline,
    truths: Sequence[Truth],
    at: Sequence[int],
    *,
    noise_seed: int,
    steps: int | None,
    guidance: float | None,
    scene_cameras: SceneCameras | None = "predicted",
    follow: bool = True,
) -> list[Scene]:
    """Scenes from the frames ``at``, the captions and the true cameras; the noise depends on the clip's seed alone.

    ``follow=False`` leaves the cameras to the model.
    """
    requests = [
        SceneRequest(
            views=truth.video[list(at)].cpu(),
            at=tuple(at),
            prompt=truth.caption,
            cameras=told_cameras(pipeline, truth) if follow else None,
            camera_scale=TRUE_SCALE if follow and pipeline.config.conditioning.normalize_scale else None,
            generator=noise_seed + truth.seed,
        )
        for truth in truths
    ]
    return pipeline.generate_batch(
        requests,
        frames=truths[0].frames,
        size=truths[0].size,
        steps=steps,
        guidance=guidance,
        scene_cameras=scene_cameras,
    )


def told_cameras(pipeline: Gen3RPipeline, truth: Truth) -> Cameras:
    """The true cameras in the unit the model reads: mean depths of the first view, or that of the data as it is."""
    cameras = truth.cameras.to("cpu")
    return cameras if pipeline.config.conditioning.normalize_scale else cameras.scaled(truth.unit)


def generate_each(
    pipeline: Gen3RPipeline, truths: Sequence[Truth], make: Callable[[Sequence[Truth]], Sequence[Scene]]
) -> list[Scene | Exception]:
    """One scene per clip, or what went wrong; a batch that fails is tried again clip by clip."""
    try:
        return list(make(truths))
    except Exception as error:  # noqa: BLE001  handed to Tally.attempt by ``made``, which reports it
        if len(truths) == 1:
            return [error]
        if pipeline.device.type == "cuda":
            torch.cuda.empty_cache()
        return [scene for truth in truths for scene in generate_each(pipeline, [truth], make)]


def made(scene: Scene | Exception) -> Scene:
    """The scene, or the exception that was raised in its place."""
    if isinstance(scene, Exception):
        raise scene
    return scene


def frames_of(scene: Scene) -> Float[Tensor, "F 3 H W"]:
    """A scene's RGB in [0, 1]."""
    return scene.rgb.permute(0, 3, 1, 2).float() / 255


@torch.no_grad()
def reconstruct_generated(pipeline: Gen3RPipeline, scene: Scene, truth: Truth) -> Scores:
    """VGGT's depth of generated frames: what two separate models would give."""
    with pipeline.residency.use(VGGT_FOLDER, pipeline.geometry.vggt):
        depth = pipeline.geometry.vggt(frames_of(scene)[None].to(pipeline.device)).depth[0]
    return {"twostage_absrel": depth_of(depth, truth).absrel}


def score_one_view(scene: Scene, truth: Truth) -> Scores:
    """A scene generated from the first frame."""
    return one_view_scores(frames_of(scene), scene.depth, scene.cameras.extrinsics, truth)


def score_two_views(scene: Scene, truth: Truth) -> Scores:
    """A scene generated from the first and the last frame."""
    return two_view_scores(frames_of(scene), scene.depth, truth)


def timed(work: Callable[[], Result], device: torch.device) -> tuple[Result, float]:
    """A result and the seconds it took, the device's queue included."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    started = time.perf_counter()
    result = work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return result, time.perf_counter() - started
