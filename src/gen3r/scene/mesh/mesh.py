"""`Mesh`: a fused surface, and the choices that lead to it. Imports no optional library."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float32, Int64, UInt8
from torch import Tensor


class NoSurface(ValueError):
    """What is left of a scene is no surface."""


@dataclass(frozen=True, kw_only=True)
class MeshConfig:
    """How a scene becomes a mesh."""

    voxel_pixels: float = 1.5
    """Edge of a voxel in pixels at the median depth. Smaller is finer and slower. Where frames disagree about depth,
    voxels are at least half as large as the disagreement: finer detail would be noise."""
    truncation_voxels: float = 4.0
    """How far in front of and behind a surface its distance is recorded, in voxels, at least. Distances are taken along
    the viewing axis, so a floor seen at a grazing angle needs several voxels not to fall apart."""
    truncation_noise: float = 3.0
    """The same in multiples of the disagreement between frames, so that their surfaces become one."""
    max_blocks: int = 20_000
    """Blocks of 8x8x8 voxels at most, about 4 KB each; a scene that needs more gets larger voxels."""
    far: float | None = 4.0
    """Drop what lies farther than this many times the median depth: a sky is no wall, and the error of predicted depth
    grows with depth until nothing but rags is left. None keeps all."""
    min_component: float = 0.02
    """Drop pieces with less area than this share of the largest piece."""
    max_faces: int | None = 200_000
    """Triangles at most, by merging where the surface is flattest. None keeps all."""
    texture: int | None = 4096
    """Edge of the texture in pixels at most. None makes vertex colours only."""

    def __post_init__(self) -> None:
        for name in ("voxel_pixels", "truncation_voxels", "truncation_noise", "max_blocks"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}.")
        if self.far is not None and not self.far >= 1:
            raise ValueError(f"far must be at least 1 median depth, or None to keep all; got {self.far}.")
        if not 0 <= self.min_component <= 1:
            raise ValueError(f"min_component must be in [0, 1], got {self.min_component}.")
        if self.max_faces is not None and self.max_faces < 1:
            raise ValueError(f"max_faces must be at least 1, or None for no limit; got {self.max_faces}.")


@dataclass(frozen=True, kw_only=True)
class Texture:
    """One picture for all triangles of a mesh."""

    uv: Float32[Tensor, "T 3 2"]
    """Where the corners of each triangle lie in the picture, 0..1 from its lower left corner, as OBJ has it."""
    image: UInt8[Tensor, "H W 3"]
    """sRGB, 0..255, rows from the top."""


@dataclass(frozen=True, kw_only=True)
class Mesh:
    """V vertices and T triangles in the scene's world (OpenCV axes, scene units), CPU tensors.

    Triangles are counter-clockwise seen from the side that the cameras saw. The surface is open: nobody saw its back.
    """

    vertices: Float32[Tensor, "V 3"]
    faces: Int64[Tensor, "T 3"]
    """Indices into `vertices`."""
    normals: Float32[Tensor, "V 3"]
    """Unit normals, towards the cameras."""
    colors: UInt8[Tensor, "V 3"]
    """sRGB, 0..255."""
    texture: Texture | None = None

    @property
    def face_normals(self) -> Float32[Tensor, "T 3"]:
        """Unit normals of the triangles."""
        return torch.nn.functional.normalize(face_areas(self.vertices, self.faces), dim=-1)


def face_areas(vertices: Float[Tensor, "V 3"], faces: Int64[Tensor, "T 3"]) -> Float[Tensor, "T 3"]:
    """Area vectors: along the normal, as long as the area of the triangle."""
    first, second, third = vertices[faces].unbind(1)
    return torch.linalg.cross(second - first, third - first) / 2


def vertex_normals(vertices: Float32[Tensor, "V 3"], faces: Int64[Tensor, "T 3"]) -> Float32[Tensor, "V 3"]:
    """Unit normals: the mean over the triangles around each vertex, weighted with their area."""
    areas = face_areas(vertices.double(), faces)
    total = torch.zeros_like(vertices, dtype=torch.float64)
    for corner in range(3):
        total.index_add_(0, faces[:, corner], areas)
    return torch.nn.functional.normalize(total, dim=-1).float()
