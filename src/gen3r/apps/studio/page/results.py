"""A finished scene: videos, 3D, cameras, files to take away, and how to make it again."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from html import escape

import torch

from gen3r.apps.studio.jobs import Job
from gen3r.apps.studio.page.camera_drawing import scene_path_drawing
from gen3r.apps.studio.page.files import address
from gen3r.apps.studio.service import Studio
from gen3r.scene.camera_files import read_cameras

_SINGLE_FILES = ("scene.glb", "points.ply", "rgb.mp4", "depth.mp4", "cameras.json", "preview.png")
"""Results that are files of their own, offered first."""

RESULTS_SCRIPT = """
element.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  const code = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {
    getSelection().selectAllChildren(code);
    document.execCommand("copy");
  }
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
});
"""


@dataclass(frozen=True, kw_only=True)
class ShownScene:
    """What the result tabs show."""

    video: str
    """HTML of the video."""
    depth: str
    """HTML of the video of depth."""
    cloud: dict[str, str] | None
    """Addresses of the points and cameras for the 3D view."""
    cameras: str
    """HTML of the camera drawing and its numbers."""
    files: str
    """HTML of the links to single files."""
    repeat: str
    """HTML of the lines that make the scene again."""


def shown_scene(studio: Studio, session: str, job: Job, cache: str) -> ShownScene:
    """Everything about a finished job that the tabs show.

    Raises:
        StudioError: if the job is not this session's, or its files are gone.
    """

    def link(name: str) -> str:
        return address(studio.result(session, job.id, name), cache) if name in job.results else ""

    points, cameras = link("points.ply"), link("cameras.json")
    return ShownScene(
        video=_video(link("rgb.mp4"), "The frames of the scene"),
        depth=_video(link("depth.mp4"), "The depth of every frame: bright is near"),
        cloud={"points": points, "cameras": cameras} if points and cameras else None,
        cameras=_cameras(studio, session, job),
        files=_files({name: link(name) for name in _SINGLE_FILES if name in job.results}),
        repeat=_repeat(studio, session, job),
    )


def archive_formats(studio: Studio) -> list[tuple[str, str]]:
    """(words, name) of every export format whose libraries are here."""
    return [(f"{item['name']}: {item['summary']}", item["name"]) for item in studio.formats() if item["available"]]


def archive_link(source: str, name: str) -> str:
    """A link to a zip that is ready; the page clicks it."""
    return f'<a class="take" data-fresh href="{escape(source)}" download="{escape(name)}">Save {escape(name)}</a>'


def _video(source: str, label: str) -> str:
    if not source:
        return '<p class="hint">This run made no video.</p>'
    return (
        f'<video controls autoplay loop muted playsinline preload="auto" src="{escape(source)}" '
        f'aria-label="{escape(label)}"></video><p class="hint">{escape(label)}.</p>'
    )


def _cameras(studio: Studio, session: str, job: Job) -> str:
    if "cameras.json" not in job.results:
        return ""
    cameras = read_cameras(studio.result(session, job.id, "cameras.json"))
    centers = cameras.centers
    travel = float((centers[1:] - centers[:-1]).norm(dim=-1).sum()) if len(centers) > 1 else 0.0
    first, last = cameras.world_from_camera[0, :3, 2], cameras.world_from_camera[-1, :3, 2]
    turned = float(torch.rad2deg(torch.arccos((first @ last).clamp(-1, 1))))
    vertical, horizontal = (float(torch.rad2deg(angle)) for angle in cameras.fov[0])
    facts = {
        "Cameras": str(len(cameras)),
        "Way": f"{travel:.2f} scene units",
        "Turned": f"{turned:.0f}°",
        "Field of view": f"{horizontal:.0f}° × {vertical:.0f}°",
    }
    rows = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts.items())
    return (
        f'<div class="camera-plot">{scene_path_drawing(cameras.world_from_camera)}</div><dl class="facts">{rows}</dl>'
    )


def _files(links: dict[str, str]) -> str:
    items = "".join(
        f'<li><a class="take" href="{escape(source)}" download="{escape(name)}">{escape(name)}</a></li>'
        for name, source in links.items()
    )
    return f'<h3>Single files</h3><ul class="files">{items}</ul>'


def _repeat(studio: Studio, session: str, job: Job) -> str:
    lines = studio.repeat(session, job.id)
    path = ""
    if job.request.camera_path is not None:
        record = base64.b64encode(json.dumps(job.request.camera_path).encode()).decode()
        path = (
            f'<p><a class="take" href="data:application/json;base64,{record}" download="cameras.json">The drawn path'
            "</a></p>"
            '<p class="hint">The lines below read it as cameras.json.</p>'
        )
    where = "The lines name your files as you uploaded them; run them where these are."
    views = f'<p class="hint">{where}</p>' if job.request.uploads else ""
    return views + path + code_block("Command line", lines.command) + code_block("Python", lines.python)


def code_block(head: str, text: str) -> str:
    """Lines to copy, with a button that does it."""
    return (
        f'<section class="code"><h3>{escape(head)}</h3>'
        f'<button type="button" data-copy aria-label="Copy: {escape(head)}">Copy</button>'
        f'<pre tabindex="0" role="region" aria-label="{escape(head)}"><code>{escape(text)}</code></pre></section>'
    )
