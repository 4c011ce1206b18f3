"""Masks that lie beside pictures, one file each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from gen3r.data.converters.places import inside
from gen3r.scene.files import check_file

MaskReader = Callable[[], UInt8[np.ndarray, "H W"]]
_SUFFIX = ".png"


def mask_beside(source: Path, folder: Path, name: str) -> MaskReader | None:
    """The mask of picture ``name`` in a folder of masks: NAME.png after COLMAP's habit, or the same name as PNG.

    Raises:
        UnusableScene: if it lies outside ``source``.
    """
    candidates = (folder / f"{name}{_SUFFIX}", (folder / name).with_suffix(_SUFFIX))
    file = next((candidate for candidate in candidates if candidate.is_file()), None)
    return None if file is None else partial(read_mask, inside(source, file, "a mask"))


def read_mask(path: Path) -> UInt8[np.ndarray, "H W"]:
    """A mask as 0..255; `ValueError` naming the file if it cannot be read."""
    check_file(path)
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as picture:
            return np.asarray(picture.convert("L"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} is no readable mask ({error}); get a fresh copy.") from error
