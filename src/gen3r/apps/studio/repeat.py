"""The lines that make a scene of the studio again, on the command line and in Python."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from gen3r.apps.studio.jobs import JobRequest

FREE = "free"
CAMERAS_FILE = "cameras.json"
_VIDEOS = (".mp4", ".mkv", ".avi")


@dataclass(frozen=True, kw_only=True)
class Repeat:
    """Two ways to the same scene. The uploads are expected beside them, under their own names."""

    command: str
    """One line for the shell."""
    python: str
    """A few lines of Python."""


def repeat_lines(request: JobRequest, files: Sequence[str], model: str) -> Repeat:
    """What repeats a request.

    Args:
        request: what was asked for. A drawn path is expected in ``cameras.json``.
        files: harmless names of the uploads, in the request's order.
        model: name of the model that was used.
    """
    files = _distinct(files)
    words = ["gen3r", request.kind, *files, "--out", "scene", *_options(request), "--model", model]
    return Repeat(command=shlex.join(words), python=_PYTHON[request.kind](request, files, model))


def _options(request: JobRequest) -> list[str]:
    size = "x".join(map(str, request.size)) if request.size is not None else None
    shared = {"--frames": request.frames, "--size": size}
    generating = {
        "--cameras": FREE if request.kind != "generate" else _cameras(request),
        "--camera-scale": request.camera_scale,
        "--steps": request.steps,
        "--guidance": request.guidance,
        "--scene-cameras": request.scene_cameras,
        "--seed": request.seed if request.kind == "generate" else None,
    }
    options = [
        word
        for name, value in (shared | generating).items()
        if value is not None and value != FREE
        for word in (name, str(value))
    ]
    if request.prompt:
        options = [f"--prompt={request.prompt}", *options]  # one word, so that a prompt may begin with a dash
    if request.at:
        options = [*options, "--at", *map(str, request.at)]
    return options


def _generate_in_python(request: JobRequest, files: Sequence[str], model: str) -> str:
    drawn = request.camera_path is not None
    is_clip = any(file.endswith(_VIDEOS) for file in files)
    size = None if request.size is None else tuple(request.size)
    names = ["Gen3RPipeline", *(["read_cameras"] if drawn else []), *(["read_image"] if files and not is_clip else [])]
    names += [*(["read_images"] if is_clip else []), "write_scene_folder"]
    views = "None"
    lines = [
        f"from gen3r import {', '.join(sorted(names))}",
        "",
        f"pipeline = Gen3RPipeline.from_pretrained({model!r})",
    ]
    if is_clip:
        lines += [
            f"grid = pipeline.grid({request.frames}, {size})",
            f"views = read_images({files[0]!r}, size=grid.size, max_frames=grid.frames).images",
        ]
        views = "views"
    elif files:
        lines += [f"views = [read_image(name) for name in {list(files)}]"]
        views = "views"
    at = str(list(request.at)) if request.at else None
    if is_clip and at is None:
        at = "[round(i * (grid.frames - 1) / max(1, len(views) - 1)) for i in range(len(views))]"
    arguments = {
        "at": at,
        "cameras": f"read_cameras({CAMERAS_FILE!r})" if drawn else _quoted(_cameras(request)),
        "camera_scale": request.camera_scale,
        "frames": request.frames,
        "size": size,
        "steps": request.steps,
        "guidance": request.guidance,
        "scene_cameras": _quoted(request.scene_cameras),
        "generator": request.seed,
    }
    lines += ["scene = pipeline(", f"    {views},", f"    {request.prompt!r},"]
    lines += [f"    {name}={value}," for name, value in arguments.items() if value is not None]
    lines += [")"]
    views_at = at or 'scene.provenance["settings"]["views_at"]'
    shown = f", views=views, view_frames={views_at}" if files else ""
    return "\n".join([*lines, f'write_scene_folder(scene, "scene"{shown})', ""])


def _reconstruct_in_python(request: JobRequest, files: Sequence[str], model: str) -> str:
    size = None if request.size is None else tuple(request.size)
    is_clip = any(file.endswith(_VIDEOS) for file in files)
    most = f", max_frames={request.frames or 'pipeline.config.frames'}" if is_clip else ""
    return "\n".join(
        [
            "from gen3r import Gen3RPipeline, read_images, write_scene_folder",
            "",
            f"pipeline = Gen3RPipeline.from_pretrained({model!r})",
            f"grid = pipeline.grid(1, {size})",
            f"images = read_images({list(files)}, size=grid.size{most}).images",
            'write_scene_folder(pipeline.reconstruct(images, size=grid.size), "scene")',
            "",
        ]
    )


_PYTHON = {"generate": _generate_in_python, "reconstruct": _reconstruct_in_python}


def _cameras(request: JobRequest) -> str | None:
    if request.camera_path is not None:
        return CAMERAS_FILE
    return None if request.trajectory == FREE else request.trajectory


def _quoted(word: str | None) -> str | None:
    return None if word is None else repr(word)


def _distinct(files: Sequence[str]) -> list[str]:
    """Names with a number where several uploads share one."""
    seen: dict[str, int] = {}
    names = []
    for file in files:
        seen[file] = seen.get(file, 0) + 1
        stem, dot, suffix = file.rpartition(".")
        names.append(file if seen[file] == 1 else f"{stem}-{seen[file]}{dot}{suffix}")
    return names
