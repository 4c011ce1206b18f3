"""What a physics engine collides with: closed convex parts just behind the surface.

A scene is an open sheet seen from one side, and convex decomposition of a solid (CoACD, V-HACD) first has to invent
that solid. Here the sheet is cut into pieces that are nearly flat or bulge towards the cameras, and each piece becomes
the convex hull of itself and its copy moved away from the cameras. Such hulls lie behind the surface, so the space that
the cameras saw stays free, and neighbours share a border, so nothing falls between them.

A rough surface needs more parts than `max_parts`. Pieces are cut where bodies fit worst until that many are there; the
ones left over stand out in front of the surface or close gaps in it, which is logged. Where frames left larger gaps,
and beyond the rim of what they saw, there is no body, and things fall.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np
from jaxtyping import Float64, Int64
from scipy.spatial import ConvexHull

from gen3r.scene.mesh.mesh import Mesh
from gen3r.scene.mesh.repair import area_vectors, simplified
from gen3r.scene.mesh.repair import pieces as connected

_SIDE = 0.1  # share of a piece's area that counts as a side
_SMOOTHING = 4  # rounds
_CRUMBS = 0.1  # share of a piece's area that may go as crumbs when it is cut

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class CollisionConfig:
    """How exact and how thick collision parts are; lengths in shares of the diagonal of the scene's box."""

    thickness: float = 0.03
    """How far parts reach behind the surface. Thin ones let fast bodies through."""
    tolerance: float = 0.01
    """How far a part may stand out in front of the surface, in a hollow."""
    coverage: float = 0.85
    """How much of a part's silhouette must be surface, so that windows stay open."""
    max_faces: int = 20_000
    """The surface is simplified to this many triangles first."""
    max_parts: int = 512
    """Parts at most; with fewer than it takes, the last ones fit less well than the tolerance."""

    def __post_init__(self) -> None:
        for name in ("thickness", "tolerance"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}.")
        if not 0 < self.coverage < 1:
            raise ValueError(f"coverage must be between 0 and 1, got {self.coverage}.")


@dataclass(frozen=True, kw_only=True)
class ConvexPart:
    """A closed convex polyhedron."""

    vertices: Float64[np.ndarray, "V 3"]
    """Scene units, the scene's world."""
    faces: Int64[np.ndarray, "T 3"]
    """Counter-clockwise seen from outside."""


def convex_parts(mesh: Mesh, config: CollisionConfig | None = None) -> tuple[ConvexPart, ...]:
    """Cut the surface into pieces and give each a convex body behind it.

    The piece whose body fits worst is cut next, between its two sides if it has two, else across its longest
    direction, until every body fits or there are `max_parts`.
    """
    config = config or CollisionConfig()
    vertices, faces = mesh.vertices.double().numpy(), mesh.faces.numpy()
    vertices, faces = simplified(vertices, faces, config.max_faces)
    size = float(np.linalg.norm(np.ptp(vertices, axis=0)))
    thickness, tolerance = config.thickness * size, config.tolerance * size
    first = _body(vertices, faces, thickness, tolerance, config.coverage)
    worst = [(-first.misfit, 0, first)]  # a heap; the number decides ties, so that runs repeat
    done: list[_Body] = []
    made, short = 1, 0
    while worst:
        misfit, _, body = heappop(worst)
        if misfit >= -1 or len(body.piece) == 1:
            done.append(body)
            continue
        if len(worst) + len(done) + 1 >= config.max_parts:
            short += 1
            done.append(body)
            continue
        patches = [patch for half in _halves(vertices, body.piece) for patch in _patches(half)]
        areas = np.array([np.linalg.norm(area_vectors(vertices, patch), axis=1).sum() for patch in patches])
        crumbs = areas < tolerance**2
        if areas[crumbs].sum() > _CRUMBS * areas.sum():
            done.append(body)
            continue
        for patch in (patch for patch, is_crumb in zip(patches, crumbs, strict=True) if not is_crumb):
            child = _body(vertices, patch, thickness, tolerance, config.coverage)
            heappush(worst, (-child.misfit, made, child))
            made += 1
    if short:
        _log.warning(
            "%d collision parts are too few for this surface: %d of them fit it less well.", config.max_parts, short
        )
    return tuple(_closed(body.hull) for body in done)


@dataclass(frozen=True, kw_only=True)
class _Body:
    piece: Int64[np.ndarray, "T 3"]
    """Triangles of the surface."""
    hull: ConvexHull
    """Around them and their copy behind them."""
    misfit: float
    """How poorly the hull stands for the piece; up to 1 is well."""


def _body(
    vertices: Float64[np.ndarray, "V 3"],
    piece: Int64[np.ndarray, "T 3"],
    thickness: float,
    tolerance: float,
    coverage: float,
) -> _Body:
    areas = area_vectors(vertices, piece)
    total = areas.sum(axis=0)
    direction = total / max(float(np.linalg.norm(total)), 1e-300)
    front = vertices[np.unique(piece)]
    hull = ConvexHull(np.concatenate([front, front - thickness * direction]))
    normals, offsets = hull.equations[:, :3], hull.equations[:, 3]
    middle = vertices[piece].mean(axis=1)
    ahead = normals @ direction
    room = np.maximum(-(middle @ normals.T + offsets), 0)[:, ahead > 1e-9] / ahead[ahead > 1e-9]
    stands_out = float(room.min(axis=1).max()) / tolerance
    part = _closed(hull)
    silhouette = float(np.maximum(area_vectors(part.vertices, part.faces) @ direction, 0).sum())
    hole = silhouette - float(np.maximum(areas @ direction, 0).sum())
    uncovered = min(hole / silhouette / (1 - coverage), hole / tolerance**2)
    return _Body(piece=piece, hull=hull, misfit=max(stands_out, uncovered))


def _halves(
    vertices: Float64[np.ndarray, "V 3"], piece: Int64[np.ndarray, "T 3"]
) -> tuple[Int64[np.ndarray, "A 3"], Int64[np.ndarray, "B 3"]]:
    """Two pieces, neither empty: by direction if the piece has two sides, else by place."""
    areas = area_vectors(vertices, piece)
    weights = np.linalg.norm(areas, axis=1)
    normals = areas / weights[:, None]
    bent = _smoothed(_along_widest(normals, weights), weights, piece)
    upper = bent > (bent.max() + bent.min()) / 2
    share = weights[upper].sum() / weights.sum()
    if np.ptp(bent) < 1 or not _SIDE < share < 1 - _SIDE:
        place = _along_widest(vertices[piece].mean(axis=1), weights)
        upper = place > (place.max() + place.min()) / 2
    if upper.all() or not upper.any():
        upper = np.arange(len(piece)) >= len(piece) // 2
    return piece[~upper], piece[upper]


def _patches(piece: Int64[np.ndarray, "T 3"]) -> list[Int64[np.ndarray, "P 3"]]:
    """The connected parts of a piece."""
    used, local = np.unique(piece, return_inverse=True)
    of_triangle = connected(local.reshape(-1, 3), len(used))[local.reshape(-1, 3)[:, 0]]
    return [piece[of_triangle == index] for index in np.unique(of_triangle)]


def _smoothed(
    values: Float64[np.ndarray, " T"], weights: Float64[np.ndarray, " T"], piece: Int64[np.ndarray, "T 3"]
) -> Float64[np.ndarray, " T"]:
    """Averaged over neighbouring triangles, so that single rough ones follow the rest."""
    corners = np.unique(piece, return_inverse=True)[1].reshape(-1, 3)
    spread = np.bincount(corners.ravel(), weights=weights.repeat(3))
    for _ in range(_SMOOTHING):
        total = np.bincount(corners.ravel(), weights=(weights * values).repeat(3))
        values = (total / spread)[corners].mean(axis=1)
    return values


def _along_widest(values: Float64[np.ndarray, "T 3"], weights: Float64[np.ndarray, " T"]) -> Float64[np.ndarray, " T"]:
    """Coordinates along the direction in which weighted values spread most."""
    centred = values - np.average(values, axis=0, weights=weights)
    axis = np.linalg.eigh((centred * weights[:, None]).T @ centred)[1][:, -1]
    return centred @ axis


def _closed(hull: ConvexHull) -> ConvexPart:
    """The hull's triangles, all turned outwards."""
    faces = np.searchsorted(np.sort(hull.vertices), hull.simplices).astype(np.int64)
    points = np.ascontiguousarray(hull.points[np.sort(hull.vertices)])
    inward = (area_vectors(points, faces) * hull.equations[:, :3]).sum(axis=1) < 0
    faces[inward] = faces[inward][:, ::-1]
    return ConvexPart(vertices=points, faces=faces)
