"""Gaussian splats straight from depth: one per pixel that shows something new, nothing is optimised.

Each splat is its pixel laid on the surface: a round Gaussian of the image, projected onto the tangent plane. Seen from
its own camera it is as large as the pixel, seen from elsewhere it lies flat on the surface. It is a start for training
or a first look, not a trained radiance field: colours do not depend on the direction of view. Splats as such are those
of Kerbl et al. 2023, "3D Gaussian Splatting for Real-Time Radiance Field Rendering".
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor
from torch.nn.functional import normalize

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.convention import exact_matmul
from gen3r.cameras.pose_encoding import quaternion_from_rotation
from gen3r.cameras.projection import unproject
from gen3r.cameras.rays import pixel_directions
from gen3r.scene.cleaning import depth_edges
from gen3r.scene.novelty import newly_seen
from gen3r.scene.point_cloud import surface_normals
from gen3r.scene.scene import Scene

PIXEL_SIGMA = 0.6
"""Standard deviation of a splat in the image of its own camera, pixels: the least that leaves no lattice of holes seen
from nearby. Smaller is sharper from the camera itself."""
LONGEST = 6.0
"""A splat is at most this many times as long as wide, however slanted its surface."""
THICKNESS = 0.1
"""Standard deviation along the normal, relative to the shorter one on the surface."""
EDGE = 0.06
"""Where `depth_edges` exceeds this there is no one surface, hence no normal."""


@dataclass(frozen=True, kw_only=True)
class Gaussians:
    """N splats in the world (OpenCV axes, scene units), float32 CPU tensors.

    The covariance of a splat is R diag(scales^2) R^T with R the matrix of its quaternion.
    """

    means: Float32[Tensor, "N 3"]
    """Centres."""
    scales: Float32[Tensor, "N 3"]
    """Standard deviations along the splat's own axes, scene units (linear, not logarithms)."""
    rotations: Float32[Tensor, "N 4"]
    """World-from-splat unit quaternions (w, x, y, z), w >= 0; the third axis of the splat is the surface normal."""
    opacities: Float32[Tensor, " N"]
    """In (0, 1)."""
    colors: Float32[Tensor, "N 3"]
    """sRGB in [0, 1], the same from every side."""

    def __len__(self) -> int:
        return len(self.means)

    def __getitem__(self, keep: Tensor) -> Gaussians:
        """The splats selected by a boolean mask or an index tensor [M]."""
        return Gaussians(**{field.name: getattr(self, field.name)[keep] for field in fields(self)})


def gaussians_from_depth(
    scene: Scene, keep: Bool[Tensor, "F H W"] | None = None, max_splats: int | None = None
) -> Gaussians:
    """Splats from the depth, cameras, colours and confidence of a scene; may be empty.

    Frames are taken in order, and of each only the pixels that add something to those before (`newly_seen`), so that
    copies of one surface do not pile up. Opacity is `opacity_from_confidence`.

    Args:
        scene: F frames of H x W pixels.
        keep: pixels to use, such as those that survive cleaning; all that show a surface if left out.
        max_splats: if there are more, this many are drawn evenly (always the same ones) and widened to close the gaps.

    Raises:
        ValueError: if `keep` has another shape than the depth maps, or `max_splats` is less than 1.
    """
    if keep is not None and keep.shape != scene.mask.shape:
        raise ValueError(
            f"keep must have the shape of the depth maps {tuple(scene.mask.shape)}, got {tuple(keep.shape)}."
        )
    if max_splats is not None and max_splats < 1:
        raise ValueError(f"max_splats must be at least 1, or None for no limit; got {max_splats}.")
    keep = newly_seen(scene, scene.mask if keep is None else keep & scene.mask)
    opacities = opacity_from_confidence(scene.confidence, scene.mask)
    # Frame by frame: whole clips of points and normals would be gigabytes.
    frames = [_frame_splats(scene, frame, keep[frame], opacities[frame]) for frame in range(scene.frames)]
    splats = Gaussians(
        **{field.name: torch.cat([getattr(one, field.name) for one in frames]) for field in fields(Gaussians)}
    )
    return splats if max_splats is None or len(splats) <= max_splats else _thinned(splats, max_splats)


def opacity_from_confidence(confidence: Float[Tensor, "F H W"], mask: Bool[Tensor, "F H W"]) -> Float[Tensor, "F H W"]:
    """0.3 + 0.65 (1 - exp(-3 r)) with r = confidence / its median over `mask`: 0.3 for none, 0.92 at the median.

    Increasing, and independent of the scale of the confidence. If the median is not positive, r is 1 everywhere.
    """
    median = float(confidence[mask].median()) if bool(mask.any()) else 0.0
    ratio = confidence.clamp_min(0) / median if median > 0 else torch.ones_like(confidence)
    return torch.where(mask, 0.3 + 0.65 * (1 - torch.exp(-3 * ratio)), 0.3)


def _frame_splats(scene: Scene, frame: int, keep: Bool[Tensor, "H W"], opacities: Float[Tensor, "H W"]) -> Gaussians:
    camera, depth = scene.cameras[frame], scene.depth[frame]
    points = unproject(depth, camera)
    normals = surface_normals(points[None], camera.centers[None])[0]
    normals[depth_edges(depth, scene.mask[frame], EDGE)] = 0
    axes, scales = _pixels_on_surface(camera, depth[keep], pixel_directions(camera)[keep], normals[keep])
    return Gaussians(
        means=points[keep],
        scales=scales,
        rotations=quaternion_from_rotation(axes).roll(1, dims=-1),  # x y z w -> w x y z
        opacities=opacities[keep],
        colors=scene.rgb[frame][keep].float() / 255,
    )


def _pixels_on_surface(
    camera: Cameras, depth: Float[Tensor, " N"], ray: Float[Tensor, "N 3"], normal: Float[Tensor, "N 3"]
) -> tuple[Float[Tensor, "N 3 3"], Float[Tensor, "N 3"]]:
    """World axes (columns: long, short, normal; right-handed) and standard deviations of pixels.

    With rays d (z-depth 1) a surface point is X = centre + z d, and n . dX = 0 on the tangent plane, so moving by one
    pixel along u moves X by T_u = z (d_u - d (n . d_u) / (n . d)). A round Gaussian of the image becomes the ellipse
    with covariance T T^T, whose axes are the singular vectors of T = [T_u, T_v].

    Args:
        ray: in camera axes, z = 1.
        normal: in the world, towards the camera; zero where unknown, which makes the splat face the camera.
    """
    rotation = camera.extrinsics[:3, :3]
    ray = exact_matmul(ray, rotation)  # row vectors: R^T d
    normal = torch.where((normal == 0).all(-1, keepdim=True), -normalize(ray, dim=-1), normal)
    facing = (normal * ray).sum(-1, keepdim=True).clamp_max(-1e-3)
    along = []
    for axis in (0, 1):
        step = rotation[axis] / camera.intrinsics[axis, axis]
        along.append(depth[:, None] * (step - ray * (normal * step).sum(-1, keepdim=True) / facing))
    across, down = along
    uu, vv, uv = (across**2).sum(-1), (down**2).sum(-1), (across * down).sum(-1)
    mean, spread = (uu + vv) / 2, torch.hypot((uu - vv) / 2, uv)
    angle = torch.atan2(2 * uv, uu - vv)[:, None] / 2
    long_axis = normalize(across * angle.cos() + down * angle.sin(), dim=-1)
    normal = normalize(normal - (normal * long_axis).sum(-1, keepdim=True) * long_axis, dim=-1)
    axes = torch.stack([long_axis, torch.linalg.cross(normal, long_axis), normal], dim=-1)
    longer = (mean + spread).sqrt()
    shorter = (uu * vv - uv**2).clamp_min(0).sqrt() / longer  # the determinant keeps digits that mean - spread loses
    shorter = torch.maximum(shorter, longer / 1e4)
    longer = torch.minimum(longer, LONGEST * shorter)
    return axes, PIXEL_SIGMA * torch.stack([longer, shorter, THICKNESS * shorter], dim=-1)


def _thinned(splats: Gaussians, count: int) -> Gaussians:
    order = torch.randperm(len(splats), generator=torch.Generator().manual_seed(0))
    chosen = splats[order[:count].sort().values]
    wider = chosen.scales.new_tensor([1.0, 1.0, 0.0]) * ((len(splats) / count) ** 0.5 - 1) + 1
    return Gaussians(**{**vars(chosen), "scales": chosen.scales * wider})
