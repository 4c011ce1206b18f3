"""The output folder of `gen3r generate` and `gen3r reconstruct`, and making its parts again."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from gen3r.scene.export.output_folder import replace_item, whole_folder
from gen3r.scene.export.registry import STANDARD_FORMATS, find_formats
from gen3r.scene.export.source import ExportSource
from gen3r.scene.input_views import InputViews
from gen3r.scene.scene import Scene


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
        for item in STANDARD_FORMATS:
            item.writer()(source, folder)
    return Path(out)


def export_scene(scene_dir: str | Path, formats: Sequence[str], out: str | Path | None = None) -> tuple[Path, ...]:
    """Make files of a saved scene again and return their paths.

    Args:
        scene_dir: a folder with scene.safetensors and scene.json.
        formats: names of `registry.EXPORT_FORMATS` or of the files they make.
        out: a new or empty folder; None replaces the files in `scene_dir`, each one whole.

    Raises `ValueError` for unknown formats (listing the known ones), a folder that is not a scene,
    and an `out` that is not empty or not writable.
    """
    items = find_formats(formats)
    scene_dir = Path(scene_dir)
    if out is not None:
        with whole_folder(out) as folder:
            source = ExportSource(Scene.load(scene_dir), InputViews.load(scene_dir))
            for item in items:
                item.writer()(source, folder)
        return tuple(Path(out) / name for item in items for name in item.files if (Path(out) / name).exists())
    source = ExportSource(Scene.load(scene_dir), InputViews.load(scene_dir))
    made: list[Path] = []
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=scene_dir) as staging:
        for item in items:
            item.writer()(source, Path(staging))
        for new in sorted(Path(staging).iterdir()):
            replace_item(new, scene_dir / new.name)
            made.append(scene_dir / new.name)
    return tuple(made)
