"""Linear light from the encoded colours of pictures, for formats whose colours are meant to be lit."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, UInt8


def linear_from_srgb(colors: UInt8[np.ndarray, "N 3"]) -> Float32[np.ndarray, "N 3"]:
    """sRGB bytes to linear values in [0, 1], by the curve of IEC 61966-2-1."""
    encoded = colors.astype(np.float32) / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4).astype(np.float32)
