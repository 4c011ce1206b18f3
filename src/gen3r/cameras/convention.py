"""The one camera convention, and conversions to and from others.

* Axes: OpenCV. x right, y down, z forward; a point is in front of the camera when its z is positive.
* Extrinsics: camera-from-world, ``x_camera = R x_world + t``, as 4x4 matrices ``[[R, t], [0, 1]]``.
* Pixels: integer pixel ``i`` has its centre at ``i + 0.5``; an image of width W spans ``[0, W]``.
* Depth: z-depth in scene units, not the distance along the ray.
"""

import torch
from jaxtyping import Float
from torch import Tensor

INTEGER_PIXELS = 0.0
"""``pixel_offset`` of conventions that put the centre of pixel ``i`` at ``i``."""
PIXEL_CENTRES = 0.5
"""``pixel_offset`` of ours: the centre of pixel ``i`` is at ``i + 0.5``."""


def homogeneous(matrix: Float[Tensor, "*b rows 4"]) -> Float[Tensor, "*b 4 4"]:
    """Append the row [0, 0, 0, 1] to 3x4 matrices; 4x4 matrices pass unchanged.

    Raises:
        ValueError: if the matrices have neither 3 nor 4 rows.
    """
    rows = matrix.shape[-2]
    if rows == 4:
        return matrix
    if rows != 3:
        raise ValueError(f"rigid transforms must be 3x4 or 4x4 matrices, got shape {tuple(matrix.shape)}.")
    last = matrix.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(*matrix.shape[:-2], 1, 4)
    return torch.cat([matrix, last], dim=-2)


def rigid(rotation: Float[Tensor, "*b 3 3"], translation: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 4 4"]:
    """The 4x4 matrix of ``x -> rotation x + translation``."""
    return homogeneous(torch.cat([rotation, translation[..., None]], dim=-1))


def exact_matmul(a: Float[Tensor, "*#b I K"], b: Float[Tensor, "*#b K J"]) -> Float[Tensor, "..."]:
    """Matrix product for small K by multiplying and adding: autocast and TF32 do not make it coarse."""
    total = a[..., :, 0, None] * b[..., None, 0, :]
    for k in range(1, a.shape[-1]):
        total = total + a[..., :, k, None] * b[..., None, k, :]
    return total


def rotate(rotation: Float[Tensor, "*#b 3 3"], vectors: Float[Tensor, "*#b 3"]) -> Float[Tensor, "*b 3"]:
    """``rotation @ vector`` for matching batches of both."""
    return exact_matmul(rotation, vectors[..., None])[..., 0]


def invert_se3(matrix: Float[Tensor, "*b rows 4"]) -> Float[Tensor, "*b 4 4"]:
    """Inverse of rigid transforms (3x4 or 4x4): ``[R^T | -R^T t]``, exact and cheaper than a general inverse."""
    rotation_inverse = matrix[..., :3, :3].transpose(-1, -2)
    translation = matrix[..., :3, 3]
    return rigid(rotation_inverse, -rotate(rotation_inverse, translation))


def _flip_y_and_z(camera_columns: Float[Tensor, "*b 4 4"]) -> Float[Tensor, "*b 4 4"]:
    return camera_columns * camera_columns.new_tensor([1.0, -1.0, -1.0, 1.0])


def opengl_from_extrinsics(extrinsics: Float[Tensor, "*b rows 4"]) -> Float[Tensor, "*b 4 4"]:
    """Our extrinsics to OpenGL / Blender / NeRF poses: world-from-camera, camera axes x right, y up, z backward.

    The world frame is kept; only the camera's own axes turn.
    """
    return _flip_y_and_z(invert_se3(extrinsics))


def extrinsics_from_opengl(world_from_camera: Float[Tensor, "*b rows 4"]) -> Float[Tensor, "*b 4 4"]:
    """OpenGL world-from-camera poses (x right, y up, z backward) to our extrinsics."""
    return invert_se3(_flip_y_and_z(homogeneous(world_from_camera)))


def relative_to_first(world_from_camera: Float[Tensor, "*b F 4 4"]) -> Float[Tensor, "*b F 4 4"]:
    """Poses seen from frame 0: ``inverse(T_0) T_i``, with frame 0 set to the exact identity."""
    relative = exact_matmul(invert_se3(world_from_camera[..., :1, :, :]), world_from_camera)
    identity = torch.eye(4, dtype=relative.dtype, device=relative.device).expand_as(relative[..., :1, :, :])
    return torch.cat([identity, relative[..., 1:, :, :]], dim=-3)
