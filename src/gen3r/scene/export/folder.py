"""The output folder of `gen3r generate` and `gen3r reconstruct`, and exports of what it holds."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from gen3r.mistakes import raised_by_this_package
from gen3r.scene.export.options import ExportOptions
from gen3r.scene.export.output_folder import replace_item, whole_folder
from gen3r.scene.export.registry import ALL, STANDARD_FORMATS, ExportFormat, find_formats
from gen3r.scene.export.source import ExportSource
from gen3r.scene.input_views import InputViews
from gen3r.scene.scene import Scene

logger = logging.getLogger(__name__)

Refused = Callable[[str, ValueError], None]
"""Called with the name of a format and the reason why it cannot hold the scene."""


def write_scene_folder(
    scene: Scene,
    out: str | Path,
    *,
    views: Sequence[Float[Tensor, "3 _ _"]] | Float[Tensor, "V 3 H W"] | None = None,
    view_frames: Sequence[int] | None = None,
) -> Path:
    """Write every standard format into the new folder `out` and return it; see docs/formats.md.

    The folder appears complete or not at all.

    Args:
        views: input pictures, sRGB in [0, 1], sizes may differ; None if there are none, or if the frames
            themselves are the input (reconstruction).
        view_frames: the frame each view stands for; 0, 1, 2, ... if left out.

    Raises `ValueError` if `out` is not empty or not writable (call `check_output_folder` before the
    expensive part), or if views and frames do not match.
    """
    shown = None
    if views is not None and len(views):
        frames = range(len(views)) if view_frames is None else view_frames
        shown = InputViews(images=tuple(views), frames=tuple(frames))
        outside = [frame for frame in shown.frames if not 0 <= frame < scene.frames]
        if outside:
            raise ValueError(f"view_frames must be within 0..{scene.frames - 1}, got {outside}.")
    source = ExportSource(scene, shown)
    with whole_folder(out) as folder:
        _write(STANDARD_FORMATS, source, folder)
    return Path(out)


def export_scene(
    scene_dir: str | Path,
    formats: Sequence[str],
    out: str | Path | None = None,
    *,
    options: ExportOptions | None = None,
    advance: Callable[[int, int], None] | None = None,
    refused: Refused | None = None,
) -> tuple[Path, ...]:
    """Write a saved scene in other formats, or its own files again, and return their paths.

    Args:
        scene_dir: a folder with scene.safetensors and scene.json.
        formats: names of `registry.EXPORT_FORMATS`, of the files they make, or `all`.
        out: a new or empty folder; None puts the files into `scene_dir`, each one whole, replacing what is there.
        options: what several formats share: cleaning and limits.
        advance: called with (formats written, formats in all).
        refused: told of formats that cannot hold the scene, which are then left out. Without it such a format is an
            error, or a warning in the log if `all` were asked for.

    Raises `ValueError` for unknown formats (listing the known ones), libraries that are missing, a folder that is not
    a scene, an `out` that is not empty or not writable, and a scene that a format cannot hold. Nothing is written then.
    """
    items = find_formats(formats)
    if refused is None and ALL in formats:
        refused = _warn
    scene_dir, made = Path(scene_dir), []
    source = ExportSource(Scene.load(scene_dir), InputViews.load(scene_dir), options or ExportOptions())
    if out is not None:
        with whole_folder(out) as folder:
            _write(items, source, folder, advance, refused)
        return tuple(Path(out) / name for item in items for name in item.files if (Path(out) / name).exists())
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=scene_dir) as staging:
        _write(items, source, Path(staging), advance, refused)
        for new in sorted(Path(staging).iterdir()):
            replace_item(new, scene_dir / new.name)
            made.append(scene_dir / new.name)
    return tuple(made)


def _write(
    items: Sequence[ExportFormat],
    source: ExportSource,
    folder: Path,
    advance: Callable[[int, int], None] | None = None,
    refused: Refused | None = None,
) -> None:
    writers = [item.writer() for item in items]
    for done, (item, writer) in enumerate(zip(items, writers, strict=True)):
        if advance is not None:
            advance(done, len(items))
        with tempfile.TemporaryDirectory(prefix=".one-", dir=folder) as name:
            try:
                writer(source, Path(name))
            except ValueError as error:
                if refused is None or not raised_by_this_package(error):
                    raise
                refused(item.name, error)
                continue
            for made in sorted(Path(name).iterdir()):
                made.rename(folder / made.name)
    if advance is not None:
        advance(len(items), len(items))


def _warn(name: str, reason: ValueError) -> None:
    logger.warning("%s is left out: %s", name, reason)
