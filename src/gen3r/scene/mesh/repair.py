"""From marching cubes to a sound mesh: floaters, slivers, duplicates and edges of three triangles go."""

from __future__ import annotations

import numpy as np
import open3d as o3d
from jaxtyping import Bool, Float64, Int64
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

_WELD = 0.2  # of a voxel: nearer vertices are one
_GRAZING = 0.02  # cosine below which nobody sees a triangle
_SLIVER = 0.02  # height over longest side of a triangle that is none
_HOLD_BORDERS = (100.0, 10.0, 1.0)  # weight of borders in the collapse, firmest first


def welded(
    vertices: Float64[np.ndarray, "V 3"], faces: Int64[np.ndarray, "T 3"], voxel: float
) -> tuple[Float64[np.ndarray, "W 3"], Int64[np.ndarray, "U 3"]]:
    """Merge the vertices that marching cubes sets almost on top of each other around a grid point."""
    cells = np.round((vertices - vertices.min(axis=0)) / (_WELD * voxel)).astype(np.int64)
    _, y, z = cells.max(axis=0) + 1
    keys = (cells[:, 0] * y + cells[:, 1]) * z + cells[:, 2]
    _, first, index = np.unique(keys, return_index=True, return_inverse=True)
    return compact(vertices[first], index.reshape(-1)[faces])


def facing(
    vertices: Float64[np.ndarray, "V 3"], faces: Int64[np.ndarray, "T 3"], centers: Float64[np.ndarray, "F 3"]
) -> tuple[Float64[np.ndarray, "W 3"], Int64[np.ndarray, "U 3"]]:
    """Drop triangles that turn their back on every camera: where its record ends, a distance field has false walls."""
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], area_vectors(vertices, faces))
    around = normals[faces].sum(axis=1)  # over the neighbourhood: one triangle of a rough surface may turn away
    middle = vertices[faces].mean(axis=1)
    seen = np.zeros(len(faces), dtype=bool)
    for center in centers:
        toward = center - middle
        cosine = (around * toward).sum(axis=1)
        seen |= cosine > _GRAZING * np.linalg.norm(around, axis=1) * np.linalg.norm(toward, axis=1)
    return compact(vertices, faces[seen])


def without_small_pieces(
    vertices: Float64[np.ndarray, "V 3"], faces: Int64[np.ndarray, "T 3"], share: float
) -> tuple[Float64[np.ndarray, "W 3"], Int64[np.ndarray, "U 3"]]:
    """Drop connected pieces with less area than `share` of the largest one."""
    if not len(faces):
        return vertices, faces
    piece = pieces(faces, len(vertices))[faces[:, 0]]
    area = np.bincount(piece, weights=np.linalg.norm(area_vectors(vertices, faces), axis=1))
    return compact(vertices, faces[(area >= share * area.max())[piece]])


def simplified(
    vertices: Float64[np.ndarray, "V 3"], faces: Int64[np.ndarray, "T 3"], max_faces: int
) -> tuple[Float64[np.ndarray, "W 3"], Int64[np.ndarray, "U 3"]]:
    """At most `max_faces` triangles, by quadric edge collapse that holds the borders as firmly as this limit allows.

    More remain where every collapse left would fold the surface. Small pieces may come off.
    """
    for weight in _HOLD_BORDERS:
        if len(faces) <= max_faces:
            break
        corners = vertices[faces]
        edge = float(np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).mean())
        mesh = o3d.geometry.TriangleMesh(  # edges of about 1: Open3D's thresholds are absolute
            o3d.utility.Vector3dVector(vertices / edge), o3d.utility.Vector3iVector(faces.astype(np.int32))
        ).simplify_quadric_decimation(max_faces, boundary_weight=weight)
        vertices, faces = sound(edge * np.asarray(mesh.vertices), np.asarray(mesh.triangles).astype(np.int64))
    return vertices, faces


def sound(
    vertices: Float64[np.ndarray, "V 3"], faces: Int64[np.ndarray, "T 3"]
) -> tuple[Float64[np.ndarray, "W 3"], Int64[np.ndarray, "U 3"]]:
    """Without slivers and duplicates, every edge within one or two triangles, those two turned alike."""
    faces = faces[~_slivers(vertices, faces)]
    low, middle, high = np.sort(faces, axis=1).T
    _, sides = np.unique(low * len(vertices) + middle, return_inverse=True)
    _, first = np.unique(sides.reshape(-1) * len(vertices) + high, return_index=True)
    faces = faces[np.sort(first)]
    # The largest triangles come first: of three triangles at one edge the smallest gives way.
    order = np.argsort(-np.linalg.norm(area_vectors(vertices, faces), axis=1), kind="stable")
    faces = faces[np.sort(order[_first_of_each_side(faces[order], len(vertices))])]
    return compact(vertices, faces)


def compact(
    vertices: Float64[np.ndarray, "V 3"], faces: Int64[np.ndarray, "T 3"]
) -> tuple[Float64[np.ndarray, "W 3"], Int64[np.ndarray, "U 3"]]:
    """Drop triangles that repeat a vertex, then the vertices that no triangle uses."""
    first, second, third = faces.T
    faces = faces[(first != second) & (second != third) & (third != first)]
    used, index = np.unique(faces, return_inverse=True)
    return vertices[used], index.reshape(-1, 3).astype(np.int64)


def pieces(faces: Int64[np.ndarray, "T 3"], vertices: int) -> Int64[np.ndarray, " V"]:
    """The connected piece of every vertex, 0, 1, ...."""
    edges = directed_edges(faces)
    graph = coo_array((np.ones(len(edges), dtype=bool), edges.T), shape=(vertices, vertices))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def directed_edges(faces: Int64[np.ndarray, "T 3"]) -> Int64[np.ndarray, "E 2"]:
    """The three sides of every triangle in its order of turning; rows 3 t to 3 t + 2 belong to triangle t."""
    return faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)


def area_vectors(vertices: Float64[np.ndarray, "V 3"], faces: Int64[np.ndarray, "T 3"]) -> Float64[np.ndarray, "T 3"]:
    """Along the normal, as long as the area."""
    first, second, third = (vertices[faces[:, corner]] for corner in range(3))
    return np.cross(second - first, third - first) / 2


def _slivers(vertices: Float64[np.ndarray, "V 3"], faces: Int64[np.ndarray, "T 3"]) -> Bool[np.ndarray, " T"]:
    corners = vertices[faces]
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    height = 2 * np.linalg.norm(area_vectors(vertices, faces), axis=1) / np.maximum(longest, 1e-300)
    return height <= _SLIVER * longest


def _first_of_each_side(faces: Int64[np.ndarray, "T 3"], vertices: int) -> Bool[np.ndarray, " T"]:
    """Triangles all whose directed sides are used by no triangle before them: two such triangles at most meet at an
    edge, and they turn alike."""
    start, end = directed_edges(faces).T
    _, first = np.unique(start * vertices + end, return_index=True)
    is_first = np.zeros(3 * len(faces), dtype=bool)
    is_first[first] = True
    return np.asarray(is_first.reshape(-1, 3).all(axis=1))
