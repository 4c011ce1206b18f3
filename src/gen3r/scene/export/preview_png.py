"""preview.png: input, frames, depth and the cloud from two viewpoints, on one page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.projection import project
from gen3r.scene.colormap import depth_colors, depth_range, viridis
from gen3r.scene.export.sheet import GAP, INNER, Legend, Sheet
from gen3r.scene.export.source import ExportSource
from gen3r.scene.frusta import SEGMENTS, frustum_corners, frustum_depth
from gen3r.scene.input_views import to_uint8
from gen3r.scene.limits import evenly_spread
from gen3r.scene.point_cloud import PointCloud
from gen3r.scene.scene import Scene
from gen3r.scene.splat import shaded, splat
from gen3r.scene.viewpoints import outside_camera

_COLUMNS = 6
_PANEL_WIDTH = (INNER - GAP) // 2
_PANEL_HEIGHT = 520
_SUPERSAMPLING = 2
_MAX_POINTS = 400_000
_MAX_FRUSTA = 9
_BACKDROP = 2.5
_BACKGROUND = (240, 242, 245)


def write(source: ExportSource, folder: Path) -> None:
    """Draw the page; it takes about a second."""
    preview(source).save(folder / "preview.png")


def preview(source: ExportSource) -> Image.Image:
    """The page as a picture."""
    scene = source.scene
    sheet = Sheet()
    sheet.title("Gen3R scene", facts(scene))
    shown = evenly_spread(scene.frames, _COLUMNS)
    if source.views is not None:
        views = [(source.views.images[i], source.views.frames[i]) for i in evenly_spread(len(source.views.images), 6)]
        sheet.section("Input", _count(len(source.views.images), "view"))
        sheet.tiles([to_uint8(image) for image, _ in views], [f"view for frame {f}" for _, f in views], _COLUMNS)
    note = f"{len(shown)} of {scene.frames}" if len(shown) < scene.frames else _count(scene.frames, "frame")
    sheet.section("Frames", note)
    sheet.tiles([scene.rgb[i].numpy() for i in shown], [f"frame {i}" for i in shown], max(3, len(shown)))
    near, far = depth_range(scene.depth, scene.mask)
    ramp = depth_colors(
        1 / torch.linspace(1 / near, 1 / far, 64)[None], torch.ones(1, 64, dtype=torch.bool), (near, far)
    )[0]
    sheet.section(
        "Depth", "along the viewing axis, scene units", Legend(colors=ramp, low=_number(near), high=_number(far))
    )
    depths = [depth_colors(scene.depth[i], scene.mask[i], (near, far)) for i in shown]
    sheet.tiles(depths, [""] * len(depths), max(3, len(shown)))
    cloud = source.cloud
    times = Legend(colors=viridis(np.linspace(0, 1, 64)), low="first camera", high="last")
    near_cloud = _without_backdrop(cloud, scene)
    note = f"{len(cloud):,} points" + (", distant background not shown" if len(near_cloud) < len(cloud) else "")
    sheet.section("Point cloud", note, times if scene.frames > 1 else None)
    if len(near_cloud):
        panels = [
            _panel(near_cloud, scene, azimuth=28.0, elevation=20.0),
            _panel(near_cloud, scene, azimuth=-30.0, elevation=52.0),
        ]
        sheet.tiles(panels, ["from behind, right", "from above, left"], 2)
    return sheet.picture()


def _panel(cloud: PointCloud, scene: Scene, *, azimuth: float, elevation: float) -> UInt8[np.ndarray, "H W 3"]:
    if len(cloud) > _MAX_POINTS:
        cloud = cloud[torch.linspace(0, len(cloud) - 1, _MAX_POINTS, dtype=torch.float64).round().long()]
    camera = outside_camera(
        cloud.points,
        scene.cameras,
        azimuth=azimuth,
        elevation=elevation,
        height=_PANEL_HEIGHT * _SUPERSAMPLING,
        width=_PANEL_WIDTH * _SUPERSAMPLING,
    )
    # Leave out surfaces seen from their back, so that one looks through the ceiling into a room.
    front = (cloud.normals * (camera.centers - cloud.points)).sum(-1) >= 0
    cloud = cloud[front]
    index, depth = splat(cloud.points, _footprints(cloud.points, scene), camera)
    picture = Image.fromarray(shaded(cloud.colors, index, depth, background=_BACKGROUND).numpy())
    _draw_cameras(picture, scene, camera)
    return np.asarray(picture.resize((_PANEL_WIDTH, _PANEL_HEIGHT), Image.Resampling.BOX))


def _without_backdrop(cloud: PointCloud, scene: Scene) -> PointCloud:
    """Leave out what is so far that it would shrink everything else, as the ground towards a horizon."""
    if not len(cloud):
        return cloud
    return cloud[_distances(cloud.points, scene) <= _BACKDROP * scene.depth[scene.mask].median()]


def _footprints(points: Float[Tensor, "N 3"], scene: Scene) -> Float[Tensor, " N"]:
    """World size of one source pixel at each point, enlarged to close gaps."""
    return 2.6 * _distances(points, scene) / scene.cameras.intrinsics[:, 0, 0].median()


def _distances(points: Float[Tensor, "N 3"], scene: Scene) -> Float[Tensor, " N"]:
    """From each point to its nearest camera, scene units."""
    some = scene.cameras.centers[evenly_spread(scene.frames, 5)]
    return torch.stack([(points - center).norm(dim=-1) for center in some]).amin(dim=0)


def _draw_cameras(picture: Image.Image, scene: Scene, camera: Cameras) -> None:
    draw = ImageDraw.Draw(picture)
    frames = evenly_spread(scene.frames, _MAX_FRUSTA)
    colors = [tuple(int(c) for c in color) for color in viridis(np.linspace(0, 1, scene.frames))]
    corners = frustum_corners(scene.cameras, frustum_depth(scene))
    pixels, depth = project(corners.flatten(0, 1), camera)
    pixels, ahead = pixels.view(-1, 5, 2), (depth.view(-1, 5) > 1e-6).all(dim=1)
    for before, after in zip(range(scene.frames - 1), range(1, scene.frames), strict=True):
        if ahead[before] and ahead[after]:
            draw.line([*map(tuple, pixels[[before, after], 0].tolist())], fill=colors[after], width=4)
    for frame in frames:
        if ahead[frame]:
            for a, b in SEGMENTS:
                draw.line([*map(tuple, pixels[frame, [a, b]].tolist())], fill=colors[frame], width=4)


def facts(scene: Scene) -> list[str]:
    """Lines below the title: the prompt if there was one, then sizes, model and seed as far as provenance has them."""
    settings = scene.provenance.get("settings") or {}
    known = {"model": scene.provenance.get("model"), "seed": settings.get("seed")}
    line = [_count(scene.frames, "frame"), f"{scene.height} x {scene.width} pixels"]
    line += [f"{name} {value}" for name, value in known.items() if value is not None]
    prompt = settings.get("prompt")
    return [*([f'"{prompt}"'] if prompt else []), "   |   ".join(line)]


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("s" if number != 1 else "")


def _number(value: float) -> str:
    return f"{value:.3g}"
