"""VGGT's nine-number camera: translation (3), quaternion x y z w (4), vertical and horizontal field of view (2).

Translation and quaternion are those of camera-from-world; fields of view are full angles in radians; the principal
point is the image centre. Defined in VGGT (Wang et al. 2025), section 3.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.cameras.cameras import Cameras, pinhole
from gen3r.cameras.convention import rigid


def rotation_from_quaternion(quaternion: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 3 3"]:
    """Rotation matrices of quaternions (x, y, z, w) of any length but zero."""
    x, y, z, w = quaternion.unbind(-1)
    k = 2.0 / quaternion.square().sum(-1)
    rows = [
        1 - k * (y * y + z * z),
        k * (x * y - z * w),
        k * (x * z + y * w),
        k * (x * y + z * w),
        1 - k * (x * x + z * z),
        k * (y * z - x * w),
        k * (x * z - y * w),
        k * (y * z + x * w),
        1 - k * (x * x + y * y),
    ]
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def quaternion_from_rotation(rotation: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 4"]:
    """Unit quaternions (x, y, z, w) with w >= 0.

    Of the four closed forms (Shepperd 1978) the best conditioned one is taken, the first of equals.
    """
    m = rotation
    m00, m11, m22 = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    squares = torch.stack([1 + m00 + m11 + m22, 1 + m00 - m11 - m22, 1 - m00 + m11 - m22, 1 - m00 - m11 + m22], dim=-1)
    x_w, y_w, z_w = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    x_y, x_z, y_z = m[..., 1, 0] + m[..., 0, 1], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    squared_w, squared_x, squared_y, squared_z = squares.unbind(-1)
    # row i is 4 q_i (x, y, z, w): dividing by its own component's square root normalises it
    candidates = torch.stack(
        [
            torch.stack([x_w, y_w, z_w, squared_w], dim=-1),
            torch.stack([squared_x, x_y, x_z, x_w], dim=-1),
            torch.stack([x_y, squared_y, y_z, y_w], dim=-1),
            torch.stack([x_z, y_z, squared_z, z_w], dim=-1),
        ],
        dim=-2,
    )
    largest, best = squares.max(dim=-1, keepdim=True)
    chosen = torch.gather(candidates, -2, best[..., None].expand(*best.shape, 4))[..., 0, :]
    quaternion = chosen / (2 * largest.sqrt())
    return torch.where(quaternion[..., 3:] < 0, -quaternion, quaternion)


def encode_pose(
    extrinsics: Float[Tensor, "*b rows 4"], intrinsics: Float[Tensor, "*b 3 3"], image_size: tuple[int, int]
) -> Float[Tensor, "*b 9"]:
    """Pose encodings of cameras; a principal point off the centre is lost.

    Args:
        extrinsics: camera-from-world, 3x4 or 4x4.
        intrinsics: pixels.
        image_size: (height, width) in pixels.
    """
    height, width = image_size
    fov_y = 2 * torch.atan((height / 2) / intrinsics[..., 1, 1])
    fov_x = 2 * torch.atan((width / 2) / intrinsics[..., 0, 0])
    quaternion = quaternion_from_rotation(extrinsics[..., :3, :3])
    return torch.cat([extrinsics[..., :3, 3], quaternion, torch.stack([fov_y, fov_x], dim=-1)], dim=-1)


def decode_pose(encoding: Float[Tensor, "*b 9"], height: int, width: int) -> Cameras:
    """Cameras of pose encodings, for an image of height x width pixels.

    The quaternion need not be a unit one. A field of view of zero, which a network can predict, gives an infinite
    focal length; `Cameras.validate` rejects it.
    """
    focal_y = (height / 2) / torch.tan(encoding[..., 7] / 2)
    focal_x = (width / 2) / torch.tan(encoding[..., 8] / 2)
    extrinsics = rigid(rotation_from_quaternion(encoding[..., 3:7]), encoding[..., :3])
    return Cameras(extrinsics, pinhole(focal_x, focal_y, width / 2, height / 2), height, width)
