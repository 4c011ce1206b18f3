"""An analytic scene: one plane seen by cameras of one lens, depth exact."""

import torch

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.rays import pixel_directions
from gen3r.scene.scene import Scene

HEIGHT, WIDTH = 12, 16
INTRINSICS = torch.tensor([[20.0, 0, 7], [0, 14, 6.5], [0, 0, 1]])  # not square, not centred

FACING = torch.tensor([0.0, 0.0, -1.0])


def plane_scene(normal: torch.Tensor, poses: torch.Tensor | None = None) -> Scene:
    """The plane `normal . X = -3` seen from `poses` (world-from-camera)."""
    poses = torch.eye(4)[None] if poses is None else poses
    cameras = Cameras.from_world_from_camera(poses, INTRINSICS, HEIGHT, WIDTH)
    rays = pixel_directions(cameras) @ poses[:, None, :3, :3].mT
    depth = (-3 - poses[:, None, None, :3, 3] @ normal) / (rays @ normal)
    mask = (depth > 0) & (depth < 1000)
    return Scene(
        rgb=torch.full((*depth.shape, 3), 128, dtype=torch.uint8),
        depth=torch.where(mask, depth, 0.0),
        confidence=torch.ones_like(depth),
        points=torch.zeros(*depth.shape, 3),
        mask=mask,
        cameras=cameras,
    )
