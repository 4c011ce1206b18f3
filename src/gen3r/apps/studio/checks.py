"""Whether a request can be taken in at all, told before it waits. What needs the model is told by the job."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path

from gen3r.apps.studio.drawn_path import read_drawn_path
from gen3r.apps.studio.errors import InvalidRequest
from gen3r.apps.studio.jobs import JobRequest, Upload
from gen3r.apps.studio.limits import Limits
from gen3r.latents.grid import TEMPORAL_STRIDE, nearest_frames


def with_model(request: JobRequest, models: Sequence[str]) -> JobRequest:
    """The request with the model named: the first on offer if it names none.

    Raises:
        InvalidRequest: for a name that is not on offer, or if none is.
    """
    if not models:
        raise InvalidRequest("there is no model", "the studio's operator has to download one")
    if request.model is not None and request.model not in models:
        raise InvalidRequest("unknown model", f"choose among {', '.join(models)}")
    return request.model_copy(update={"model": request.model or models[0]})


def check_request(
    request: JobRequest,
    uploads: Sequence[Upload],
    limits: Limits,
    frames: int,
    trajectories: Sequence[str],
    folder: Path,
) -> None:
    """Check a request against what the studio offers and allows.

    Args:
        request: of a client.
        uploads: the uploads it names.
        limits: of the studio.
        frames: length of a clip of the model that the request names.
        trajectories: names on offer.
        folder: of the session, for a file that is gone afterwards.

    Raises:
        InvalidRequest: naming the field, and what is possible.
    """
    _at_most("uploads", len(request.uploads), limits.views_per_job)
    _at_most("steps", request.steps, limits.steps)
    _at_most("frames", request.frames, limits.frames)
    _at_most("prompt", len(request.prompt), limits.prompt_characters)
    if request.size is not None:
        pixels = request.size[0] * request.size[1] * _clip_frames(request, uploads, frames)
        _at_most("pixels (frames x height x width)", pixels, limits.clip_pixels)
    videos = [upload for upload in uploads if upload.kind == "video"]
    if videos and len(uploads) > 1:
        raise InvalidRequest("a video must be the only upload", "name the video, or only pictures")
    if len(set(request.at)) != len(request.at):
        raise InvalidRequest("at names a frame twice", "give each upload a frame of its own")
    if request.at and not videos and len(request.at) != len(uploads):
        raise InvalidRequest(f"at holds {len(request.at)} frames for {len(uploads)} uploads", "give one of each")
    _CHECKS[request.kind](request, trajectories, folder)


def _clip_frames(request: JobRequest, uploads: Sequence[Upload], frames: int) -> int:
    """Pictures of the clip that the request makes; ``frames`` is the model's own choice."""
    most = request.frames or frames
    if request.kind == "generate":
        return most
    return sum(min(upload.frames, most) if upload.kind == "video" else 1 for upload in uploads)


def _check_generate(request: JobRequest, trajectories: Sequence[str], folder: Path) -> None:
    if not request.uploads and not request.prompt.strip():
        raise InvalidRequest("there is neither an upload nor a prompt", "add a picture, or say what to see")
    if request.frames is not None and request.frames % TEMPORAL_STRIDE != 1:
        low, high = nearest_frames(request.frames)
        raise InvalidRequest(f"frames must be 4k+1, got {request.frames}", f"use {low} or {high}")
    if request.frames is not None and request.at and max(request.at) >= request.frames:
        raise InvalidRequest(f"at names frame {max(request.at)} of {request.frames}", "frames are counted from 0")
    if request.trajectory not in trajectories:
        raise InvalidRequest("unknown trajectory", f"choose among {', '.join(trajectories)}")
    if request.camera_path is None and request.camera_scale is not None:
        raise InvalidRequest("camera_scale needs a camera_path, whose unit it explains", "leave it out")
    if request.camera_path is not None:
        _check_path(request, folder)


def _check_path(request: JobRequest, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        cameras = read_drawn_path(request.camera_path or {}, folder / f".path-{uuid.uuid4().hex}.json")
    except ValueError as error:
        raise InvalidRequest(str(error).rstrip("."), "see cameras.json in the documentation") from error
    if request.frames is not None and cameras.shape[0] < request.frames:
        raise InvalidRequest(
            f"camera_path holds {cameras.shape[0]} cameras for {request.frames} frames", "give one per frame"
        )


def _check_reconstruct(request: JobRequest, trajectories: Sequence[str], folder: Path) -> None:
    if not request.uploads:
        raise InvalidRequest("there is no upload to reconstruct", "add pictures or a video")
    unused = {"prompt", "at", "camera_path", "camera_scale", "scene_cameras", "steps", "guidance"} & {
        name for name in request.model_fields_set if getattr(request, name) not in ("", [], None)
    }
    if unused or request.trajectory != "free":
        names = ", ".join(sorted(unused or {"trajectory"}))
        raise InvalidRequest(f"a reconstruction heeds no {names}", "leave it out, or generate")


def _at_most(what: str, value: int | None, most: int) -> None:
    if value is not None and value > most:
        raise InvalidRequest(f"{what}: {value} is more than {most}, the most that is allowed here", "ask for less")


_CHECKS = {"generate": _check_generate, "reconstruct": _check_reconstruct}
