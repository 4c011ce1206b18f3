"""`Cameras`: pinhole cameras of one image size as an immutable value. See `convention` for axes and pixels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.cameras.convention import exact_matmul, homogeneous, invert_se3

ROTATION_TOLERANCE = 1e-3
"""Largest accepted entry of ``R^T R - 1``: looser than float32 rounding, tighter than any real mistake."""


@dataclass(frozen=True, eq=False)
class Cameras:
    """Pinhole cameras with any leading batch axes ``*b``, all of one image size.

    Constructing is free of checks on values; call `validate` on what a user handed in.
    """

    extrinsics: Float[Tensor, "*b 4 4"]
    """Camera-from-world, OpenCV axes, scene units."""
    intrinsics: Float[Tensor, "*b 3 3"]
    """Pixels; the image spans [0, width] x [0, height], pixel centres at +0.5."""
    height: int
    """Image height in pixels."""
    width: int
    """Image width in pixels."""

    # construction ---------------------------------------------------------------------------------------------

    @classmethod
    def from_fov(
        cls,
        extrinsics: Float[Tensor, "*b rows 4"],
        fov_y: float | Float[Tensor, "..."],
        height: int,
        width: int,
        fov_x: float | Float[Tensor, "..."] | None = None,
    ) -> "Cameras":
        """Cameras with a centred principal point and the given full fields of view in radians.

        Args:
            extrinsics: camera-from-world, 3x4 or 4x4.
            fov_y: vertical field of view, a number or a tensor that broadcasts to the batch axes.
            height: image height in pixels.
            width: image width in pixels.
            fov_x: horizontal field of view; square pixels if left out.
        """
        extrinsics = homogeneous(extrinsics)

        def half_tangent(fov: float | Tensor) -> Tensor:
            angle = torch.as_tensor(fov, dtype=extrinsics.dtype, device=extrinsics.device)
            return torch.tan(angle / 2).expand(extrinsics.shape[:-2])

        focal_y = (height / 2) / half_tangent(fov_y)
        focal_x = focal_y if fov_x is None else (width / 2) / half_tangent(fov_x)
        return cls(extrinsics, pinhole(focal_x, focal_y, width / 2, height / 2), height, width)

    @classmethod
    def from_world_from_camera(
        cls,
        world_from_camera: Float[Tensor, "*b rows 4"],
        intrinsics: Float[Tensor, "*#b 3 3"],
        height: int,
        width: int,
    ) -> "Cameras":
        """Cameras from camera-to-world poses (OpenCV axes); intrinsics may be shared by broadcasting."""
        extrinsics = invert_se3(world_from_camera)
        return cls(extrinsics, intrinsics.expand(*extrinsics.shape[:-2], 3, 3), height, width)

    @classmethod
    def stack(cls, cameras: Sequence["Cameras"]) -> "Cameras":
        """Join cameras of equal shape and image size along a new first axis."""
        sizes = {(c.height, c.width) for c in cameras}
        if len(sizes) != 1:
            raise ValueError(f"cameras to stack must share one image size, got (height, width) {sorted(sizes)}.")
        height, width = sizes.pop()
        return cls(
            torch.stack([c.extrinsics for c in cameras]), torch.stack([c.intrinsics for c in cameras]), height, width
        )

    # reading --------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> torch.Size:
        """The batch axes ``*b``."""
        return self.extrinsics.shape[:-2]

    @property
    def device(self) -> torch.device:
        """Where the matrices live."""
        return self.extrinsics.device

    @property
    def world_from_camera(self) -> Float[Tensor, "*b 4 4"]:
        """Camera-to-world poses: the inverse of the extrinsics."""
        return invert_se3(self.extrinsics)

    @property
    def centers(self) -> Float[Tensor, "*b 3"]:
        """Camera centres in the world, scene units."""
        return self.world_from_camera[..., :3, 3]

    @property
    def fov(self) -> Float[Tensor, "*b 2"]:
        """Full (vertical, horizontal) fields of view in radians, as if the principal point were centred."""
        focal = torch.stack([self.intrinsics[..., 1, 1], self.intrinsics[..., 0, 0]], dim=-1)
        return 2 * torch.atan(focal.new_tensor([self.height / 2, self.width / 2]) / focal)

    def __len__(self) -> int:
        """Size of the first batch axis."""
        if not self.shape:
            raise TypeError("a single camera has no length; index a batch of cameras instead.")
        return self.shape[0]

    def __getitem__(self, index: Any) -> "Cameras":
        """Index the batch axes as a tensor: integers, slices, lists, tensors, masks, `...`, tuples of them."""
        parts = index if isinstance(index, tuple) else (index,)
        if not any(part is Ellipsis for part in parts):
            parts = (*parts, Ellipsis)
        parts = (*parts, slice(None), slice(None))
        return replace(self, extrinsics=self.extrinsics[parts], intrinsics=self.intrinsics[parts])

    # changing (a new value each time) -------------------------------------------------------------------------

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Cameras":
        """The same cameras on another device or in another floating type."""
        return replace(
            self,
            extrinsics=self.extrinsics.to(device=device, dtype=dtype),
            intrinsics=self.intrinsics.to(device=device, dtype=dtype),
        )

    def resize(self, height: int, width: int) -> "Cameras":
        """Cameras of the image resized to height x width; each axis has its own factor."""
        _check_size(height, width)
        scale = self.intrinsics.new_tensor([width / self.width, height / self.height, 1.0])
        return replace(self, intrinsics=self.intrinsics * scale[:, None], height=height, width=width)

    def crop(self, top: int, left: int, height: int, width: int) -> "Cameras":
        """Cameras of the window whose upper left pixel is (top, left). Windows beyond the image pad it."""
        _check_size(height, width)
        shift = self.intrinsics.new_zeros(3, 3)
        shift[0, 2], shift[1, 2] = left, top
        return replace(self, intrinsics=self.intrinsics - shift, height=height, width=width)

    def cover_crop(self, height: int, width: int) -> "Cameras":
        """Cameras of the image resized to just cover height x width and cropped at the centre.

        The resized size is `cover_size`, the crop starts at ``floor((resized - target) / 2)``; images must be treated
        alike.
        """
        resized_height, resized_width = cover_size(self.height, self.width, height, width)
        top, left = (resized_height - height) // 2, (resized_width - width) // 2
        return self.resize(resized_height, resized_width).crop(top, left, height, width)

    def rebased(self, frame: int = 0) -> "Cameras":
        """The same cameras with camera ``frame`` of the last batch axis as the world; that one is exactly identity."""
        if not self.shape:
            raise ValueError("a single camera has no frames to rebase on; add a frame axis first.")
        base = self.world_from_camera[..., frame, :, :].unsqueeze(-3)
        extrinsics = exact_matmul(self.extrinsics, base)
        extrinsics[..., frame, :, :] = torch.eye(4, dtype=extrinsics.dtype, device=extrinsics.device)
        return replace(self, extrinsics=extrinsics)

    def scaled(self, scale: float | Float[Tensor, "*#b"]) -> "Cameras":
        """The cameras of the scene enlarged by ``scale`` about the world origin: translations are multiplied.

        Args:
            scale: a number, or a tensor that broadcasts to the batch axes.
        """
        factor = torch.as_tensor(scale, dtype=self.extrinsics.dtype, device=self.device)
        extrinsics = self.extrinsics.clone()
        extrinsics[..., :3, 3] = extrinsics[..., :3, 3] * factor[..., None]
        return replace(self, extrinsics=extrinsics)

    # checking -------------------------------------------------------------------------------------------------

    def validate(self) -> "Cameras":
        """Return the cameras if they are usable.

        Raises:
            ValueError: naming the first bad camera, for NaN or infinity, extrinsics that are no rotation and
                translation, a focal length that is not positive, or skewed intrinsics.
        """
        _check_size(self.height, self.width)
        if self.intrinsics.shape[:-2] != self.shape:
            raise ValueError(
                f"extrinsics and intrinsics must have the same batch axes, got {tuple(self.shape)} and "
                f"{tuple(self.intrinsics.shape[:-2])}."
            )
        extrinsics, intrinsics = self.extrinsics.detach().double(), self.intrinsics.detach().double()
        _reject(~extrinsics.isfinite().flatten(-2).all(-1), "extrinsics must be finite, got NaN or infinity")
        _reject(~intrinsics.isfinite().flatten(-2).all(-1), "intrinsics must be finite, got NaN or infinity")
        rotation = extrinsics[..., :3, :3]
        identity = torch.eye(3, dtype=rotation.dtype, device=rotation.device)
        error = (rotation.transpose(-1, -2) @ rotation - identity).abs().amax((-1, -2))
        is_rotation = (error < ROTATION_TOLERANCE) & (torch.linalg.det(rotation) > 0)
        _reject(
            ~is_rotation,
            "extrinsics must hold a rotation (orthonormal, determinant +1), got another matrix; give camera-from-world "
            "poses with OpenCV axes and no scale",
        )
        last_row = extrinsics.new_tensor([0.0, 0.0, 0.0, 1.0])
        _reject(
            (extrinsics[..., 3, :] - last_row).abs().amax(-1) > 1e-6,
            "the last row of extrinsics must be [0, 0, 0, 1]; the matrices may be transposed",
        )
        focal = torch.stack([intrinsics[..., 0, 0], intrinsics[..., 1, 1]], dim=-1)
        _reject((focal <= 0).any(-1), "focal lengths must be positive pixels, got zero or less")
        zeros = torch.stack([intrinsics[..., 0, 1], intrinsics[..., 1, 0], *intrinsics[..., 2, :2].unbind(-1)], dim=-1)
        _reject(
            (zeros.abs().amax(-1) > 1e-6) | ((intrinsics[..., 2, 2] - 1).abs() > 1e-6),
            "intrinsics must be [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] without skew",
        )
        return self


def pinhole(
    focal_x: Float[Tensor, "*b"], focal_y: Float[Tensor, "*b"], center_x: float, center_y: float
) -> Float[Tensor, "*b 3 3"]:
    """Intrinsics matrices without skew; focal lengths and principal point in pixels."""
    zero, one = torch.zeros_like(focal_x), torch.ones_like(focal_x)
    rows = [focal_x, zero, one * center_x, zero, focal_y, one * center_y, zero, zero, one]
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def cover_size(height: int, width: int, target_height: int, target_width: int) -> tuple[int, int]:
    """Smallest (height, width) of the same shape as the image that covers the target, rounded to whole pixels."""
    ratio = max(target_height / height, target_width / width)
    return max(target_height, round(height * ratio)), max(target_width, round(width * ratio))


def _check_size(height: int, width: int) -> None:
    if height <= 0 or width <= 0:
        raise ValueError(f"an image size must be positive, got {height}x{width} (height x width).")


def _reject(bad: Tensor, message: str) -> None:
    if bool(bad.any()):
        where = "" if bad.ndim == 0 else f" (camera {', '.join(str(int(i)) for i in bad.nonzero()[0])})"
        raise ValueError(f"{message}{where}.")
