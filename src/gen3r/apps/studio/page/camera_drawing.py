"""Camera paths as small line drawings (SVG), seen from above and to the side."""

from __future__ import annotations

from html import escape

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.scene.colormap import viridis
from gen3r.scene.limits import evenly_spread

_EYE = (0.62, 0.42)
"""Turn and tilt (radians) of the drawing's own view, a parallel projection."""
_BOX = np.array([[x, y, z] for y in (-0.2, 0.2) for x, z in ((-0.2, 0.8), (0.2, 0.8), (0.2, 1.2), (-0.2, 1.2))])
"""Corners of what stands for the subject: at distance 1 before the first camera."""
_BOX_EDGES = (
    [(i, (i + 1) % 4) for i in range(4)] + [(i + 4, (i + 1) % 4 + 4) for i in range(4)] + [(i, i + 4) for i in range(4)]
)
_STILL = 0.02
"""Travel below which the cameras of a scene are not drawn apart."""
_MIDDLE, _ROOM = np.array([60, 46]), np.array([108, 80])
"""Of a drawing of 120 by 92."""
_FRUSTUM = np.array([[0, 0, 0], [-0.5, -0.4, 1], [0.5, -0.4, 1], [0.5, 0.4, 1], [-0.5, 0.4, 1]])
_FRUSTUM_EDGES = [(0, 1), (0, 2), (0, 3), (0, 4), (1, 2), (2, 3), (3, 4), (4, 1)]


def path_drawing(
    poses: Float[Tensor, "F 4 4"], label: str, *, shown: int = 3, frustum: float = 0.26, subject: bool = True
) -> str:
    """An SVG picture of world-from-camera poses in units of the distance to the subject.

    Args:
        poses: OpenCV axes; colours run from violet (first) to yellow (last).
        label: what a screen reader says instead of the picture; empty if text beside it says it already.
        shown: cameras that are drawn as pyramids, evenly spread.
        frustum: their length.
        subject: whether to draw the box that stands for what the first camera looks at.
    """
    poses64 = poses.detach().cpu().double().numpy()
    corners = (_FRUSTUM * frustum) @ poses64[:, :3, :3].transpose(0, 2, 1) + poses64[:, None, :3, 3]
    flat, box = _projected(corners), _projected(_BOX)
    around = np.concatenate([flat.reshape(-1, 2), box] if subject else [flat.reshape(-1, 2)])
    low, high = around.min(axis=0), around.max(axis=0)
    scale = float((_ROOM / (high - low).clip(1e-9)).min())
    offset = _MIDDLE - scale * (low + high) / 2
    parts = []
    if subject:
        parts += [_line(scale * box[[a, b]] + offset, 'class="subject"') for a, b in _BOX_EDGES]
    colors = [
        "#" + "".join(f"{channel:02x}" for channel in color) for color in viridis(np.linspace(0, 1, len(poses64)))
    ]
    for index in range(1, len(poses64)):
        parts.append(_line(scale * flat[index - 1 : index + 1, 0] + offset, f'class="path" stroke="{colors[index]}"'))
    for index in evenly_spread(len(poses64), shown):
        edges = " ".join(_segment(scale * flat[index][[a, b]] + offset) for a, b in _FRUSTUM_EDGES)
        parts.append(f'<path d="{edges}" class="camera" stroke="{colors[index]}"/>')
    said = f'role="img" aria-label="{escape(label)}"' if label else 'aria-hidden="true"'
    return f'<svg class="camera-drawing" viewBox="0 0 120 92" {said}>{"".join(parts)}</svg>'


def scene_path_drawing(poses: Float[Tensor, "F 4 4"]) -> str:
    """The cameras of a scene, whatever their unit: the drawing is as large as the path."""
    travel = float((poses[:, :3, 3] - poses[:1, :3, 3]).norm(dim=-1).max())
    scaled = poses.clone()
    scaled[:, :3, 3] = scaled[:, :3, 3] / max(travel, _STILL)
    label = f"The {len(poses)} cameras of the scene and their path, from violet (first) to yellow (last)."
    return path_drawing(scaled, label, shown=9, frustum=0.22, subject=False)


def resting() -> Float[Tensor, "1 4 4"]:
    """The one camera of a path that nobody has chosen."""
    return torch.eye(4)[None]


def _projected(points: np.ndarray) -> np.ndarray:
    turn, tilt = _EYE
    x = points[..., 0] * np.cos(turn) - (points[..., 2] - 0.5) * np.sin(turn)
    away = points[..., 0] * np.sin(turn) + (points[..., 2] - 0.5) * np.cos(turn)
    return np.stack([x, points[..., 1] * np.cos(tilt) - away * np.sin(tilt)], axis=-1)


def _segment(ends: Float[np.ndarray, "2 2"]) -> str:
    a, b = ends
    return f"M{a[0]:.1f} {a[1]:.1f}L{b[0]:.1f} {b[1]:.1f}"


def _line(ends: Float[np.ndarray, "2 2"], attributes: str) -> str:
    return f'<path d="{_segment(ends)}" {attributes}/>'
