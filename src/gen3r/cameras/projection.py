"""Between depth maps, world points and pixels."""

from jaxtyping import Float
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.convention import PIXEL_CENTRES, exact_matmul
from gen3r.cameras.rays import pixel_directions


def unproject(
    depth: Float[Tensor, "*b H W"], cameras: Cameras, pixel_offset: float = PIXEL_CENTRES
) -> Float[Tensor, "*b H W 3"]:
    """Lift z-depth to world points, in scene units.

    Args:
        depth: z-depth; where it is 0 (no surface) the point is the camera centre, for the caller to mask.
        cameras: one per depth map, of the depth map's size.
        pixel_offset: where in a pixel its depth was measured: 0.5 the centre (ours), 0 for the official code's
            integer pixels.

    Raises:
        ValueError: if the depth maps have another size than the cameras.
    """
    if depth.shape[-2:] != (cameras.height, cameras.width):
        raise ValueError(
            f"depth must have the size of its cameras, {cameras.height}x{cameras.width}, got "
            f"{depth.shape[-2]}x{depth.shape[-1]}; resize the cameras with Cameras.resize."
        )
    points = pixel_directions(cameras, pixel_offset) * depth[..., None]
    translation = cameras.extrinsics[..., None, None, :3, 3]
    return exact_matmul(points - translation, cameras.extrinsics[..., None, :3, :3])  # row vectors: R^T (X - t)


def project(points: Float[Tensor, "*b N 3"], cameras: Cameras) -> tuple[Float[Tensor, "*b N 2"], Float[Tensor, "*b N"]]:
    """Project world points: (pixels, z-depth).

    Pixels are (x, y) = (column, row) positions in the image plane [0, width] x [0, height], pixel centres at +0.5, not
    clipped to the image. They mean nothing where z-depth is not positive: such points are not in front of the camera.
    """
    rotation, translation = cameras.extrinsics[..., :3, :3], cameras.extrinsics[..., None, :3, 3]
    camera_points = exact_matmul(points, rotation.transpose(-1, -2)) + translation
    depth = camera_points[..., 2]
    homogeneous_pixels = exact_matmul(camera_points, cameras.intrinsics.transpose(-1, -2))
    return homogeneous_pixels[..., :2] / depth[..., None], depth
