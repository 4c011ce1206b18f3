"""A slow, dense and readable renderer of Gaussian splats, to see what a splat file shows."""

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.pose_encoding import rotation_from_quaternion
from gen3r.cameras.projection import project
from gen3r.scene.gaussians import Gaussians


def image_covariances(splats: Gaussians, camera: Cameras) -> Float[Tensor, "N 2 2"]:
    """Covariances in square pixels, by the projection's first derivative at the centre (Zwicker et al. 2001)."""
    rotation = camera.extrinsics[:3, :3]
    root = rotation @ (rotation_from_quaternion(splats.rotations.roll(-1, dims=-1)) * splats.scales[:, None])
    x, y, z = (splats.means @ rotation.T + camera.extrinsics[:3, 3]).unbind(-1)
    focal_x, focal_y, zero = camera.intrinsics[0, 0], camera.intrinsics[1, 1], torch.zeros_like(x)
    across = torch.stack([focal_x / z, zero, -focal_x * x / z**2], dim=-1)
    down = torch.stack([zero, focal_y / z, -focal_y * y / z**2], dim=-1)
    root = torch.stack([across, down], dim=-2) @ root
    return root @ root.mT


def render(splats: Gaussians, camera: Cameras, blur: float = 0.0) -> Float[Tensor, "H W 3"]:
    """Composite every splat at every pixel centre, nearest first, over black."""
    pixels, depth = project(splats.means, camera)
    order = depth.argsort()
    order = order[depth[order] > 1e-3]
    splats, pixels = splats[order], pixels[order]
    precision = torch.linalg.inv(image_covariances(splats, camera) + blur * torch.eye(2))
    rows, columns = torch.meshgrid(torch.arange(camera.height), torch.arange(camera.width), indexing="ij")
    centres = torch.stack([columns, rows], dim=-1).flatten(0, 1) + 0.5
    offsets = centres[:, None] - pixels
    falloff = torch.exp(-0.5 * torch.einsum("pni,nij,pnj->pn", offsets, precision, offsets))
    alpha = (splats.opacities * falloff).clamp_max(0.99)
    behind = torch.cumprod(1 - alpha, dim=1)
    through = torch.cat([torch.ones_like(behind[:, :1]), behind[:, :-1]], dim=1)
    return ((through * alpha) @ splats.colors).unflatten(0, (camera.height, camera.width))


def psnr(picture: Float[Tensor, "N 3"], truth: Float[Tensor, "N 3"]) -> float:
    return -10 * float((picture - truth).square().mean().log10())
