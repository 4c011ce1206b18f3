"""Reading what users hand in (pictures, videos, folders) as float images, and refusing the rest clearly."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from natsort import natsorted
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from gen3r.scene.crop import CoverCrop, cover_crop
from gen3r.scene.files import VIDEO_SUFFIXES, check_file, reading
from gen3r.scene.limits import MAX_CLIP_PIXELS, check_picture_size, evenly_spread

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")

_DECODERS = ("PNG", "JPEG", "WEBP")
_PNG = b"\x89PNG\r\n\x1a\n"
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, TypeError, IndexError, struct.error, zlib.error)

_OTHER_TYPES = (
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"%PDF", "PDF"),
    (b"8BPS", "Photoshop"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"<svg", "SVG"),
)
_OTHER_BRANDS = {b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIF", b"avif": "AVIF", b"avis": "AVIF"}
_OTHER_SUFFIXES = (".heic", ".heif", ".avif", ".gif", ".bmp", ".tif", ".tiff", ".exr", ".hdr", ".dng", ".raw")
_ADVICE = "convert it to PNG, JPEG or WebP"


@dataclass(frozen=True, kw_only=True)
class LoadedImages:
    """Pictures ready for a model, and where they came from."""

    images: Float32[Tensor, "F 3 H W"]
    """sRGB in [0, 1]."""
    crops: tuple[CoverCrop, ...]
    """Per picture: original size and the resize + crop that was applied (identity if no size was asked for)."""
    names: tuple[str, ...]
    """File name of each picture, or `video.mp4#17` for frame 17 of a video."""


def read_images(
    inputs: str | Path | Sequence[str | Path],
    *,
    size: tuple[int, int] | None = None,
    max_frames: int | None = None,
) -> LoadedImages:
    """Read one or several pictures, videos or folders, in the order given.

    Args:
        inputs: a path or a sequence of paths. A folder stands for its pictures in natural order
            (2.png before 10.png); a video for its frames.
        size: (height, width) every picture is brought to by cover-resize and centre crop. Without it
            all pictures must have one size already.
        max_frames: keep at most this many pictures, evenly spread, first and last included.

    Raises `ValueError` (with the path and what to do) for whatever cannot be read; see `read_image`.
    """
    if max_frames is not None and max_frames < 1:
        raise ValueError(f"max_frames must be at least 1, got {max_frames}.")
    paths = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    if not paths:
        raise ValueError("no input given: name at least one picture, video or folder.")
    files = [file for path in paths for file in _expand(Path(path))]
    videos = [file for file in files if file.suffix.lower() in VIDEO_SUFFIXES]
    if videos and len(files) > 1:
        raise ValueError(f"a video must be the only input, got {len(files)} inputs with {videos[0]} among them.")
    if not videos:
        files = [files[i] for i in evenly_spread(len(files), max_frames)]
    images: list[Float32[Tensor, "3 H W"]] = []
    crops: list[CoverCrop] = []
    names: list[str] = []
    for name, image in _pictures(files, max_frames):
        height, width = image.shape[-2:]
        crop = cover_crop(height, width, *(size or (height, width)))
        if images and tuple(images[0].shape[-2:]) != (crop.height, crop.width):
            raise ValueError(
                f"{name} is {height}x{width} but {names[0]} is {images[0].shape[-2]}x{images[0].shape[-1]} (HxW); "
                "pass a size to bring pictures of different sizes together."
            )
        if (len(images) + 1) * crop.height * crop.width > MAX_CLIP_PIXELS:
            raise ValueError(
                f"more than {MAX_CLIP_PIXELS // 10**6} million pixels in all after {len(images)} pictures; "
                "ask for a smaller size or fewer frames."
            )
        images.append(crop.apply(image))
        crops.append(crop)
        names.append(name)
    return LoadedImages(images=torch.stack(images), crops=tuple(crops), names=tuple(names))


def read_image(path: str | Path) -> Float32[Tensor, "3 H W"]:
    """Read one PNG, JPEG or WebP as sRGB in [0, 1], upright (EXIF), transparency over white.

    Grey, palette, 16-bit grey and CMYK pictures become RGB; animations give their first frame; colour
    profiles are not applied. Raises `ValueError` for a missing, empty, truncated or damaged file,
    another file type, and more than 100 million pixels (seen before decoding).
    """
    path = Path(path)
    check_file(path)
    with _open(path) as opened:
        check_picture_size(str(path), opened.height, opened.width)
        try:
            opened.load()
            upright = ImageOps.exif_transpose(opened)
        except _DAMAGED as error:
            raise ValueError(f"{path} is truncated or damaged ({error}); get a fresh copy.") from error
        return _to_rgb(upright)


def image_size(path: str | Path) -> tuple[int, int]:
    """(height, width) of the picture that `read_image` gives, upright; the same errors."""
    path = Path(path)
    check_file(path)
    with _open(path) as opened:
        check_picture_size(str(path), opened.height, opened.width)
        try:
            sideways = opened.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
        except _DAMAGED as error:
            raise ValueError(f"{path} is truncated or damaged ({error}); get a fresh copy.") from error
        return (opened.width, opened.height) if sideways else (opened.height, opened.width)


def list_folder(folder: Path) -> list[Path]:
    """The pictures directly inside `folder`, in natural order; other files such as captions are left alone.

    Raises `ValueError` if there are none, or if a picture or video there cannot be used.
    """
    with reading(folder):
        files = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    pictures = natsorted((f for f in files if f.suffix.lower() in IMAGE_SUFFIXES), key=lambda f: f.name)
    refused = sorted(f.name for f in files if f.suffix.lower() in (*_OTHER_SUFFIXES, *VIDEO_SUFFIXES))
    if refused:
        raise ValueError(
            f"{folder} also holds {', '.join(refused[:3])}{', ...' if len(refused) > 3 else ''}: a folder may hold "
            "only PNG, JPEG or WebP pictures; convert or move the others, and pass a video by itself."
        )
    if not pictures:
        raise ValueError(f"{folder} holds no picture ({', '.join(IMAGE_SUFFIXES)}).")
    return pictures


def _expand(path: Path) -> list[Path]:
    return list_folder(path) if path.is_dir() else [path]


def _pictures(files: list[Path], max_frames: int | None) -> Iterator[tuple[str, Float32[Tensor, "3 H W"]]]:
    from gen3r.scene.video_reader import read_video_frames  # FFmpeg's libraries: training does without

    for file in files:
        if file.suffix.lower() in VIDEO_SUFFIXES:
            check_file(file)
            for index, frame in read_video_frames(file, max_frames=max_frames):
                yield f"{file.name}#{index}", _float_rgb(frame, 255)
        else:
            yield file.name, read_image(file)


def _open(path: Path) -> Image.Image:
    """Read the header only: nothing is decoded yet."""
    try:
        with warnings.catch_warnings():
            # Pillow warns somewhat below our own limit, which is checked next.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(path, formats=_DECODERS)
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path} has too many pixels to be opened safely: {error}.") from error
    except UnidentifiedImageError as error:
        raise ValueError(_why_unreadable(path)) from error
    except _DAMAGED as error:
        raise ValueError(f"{path} is truncated or damaged ({error}); get a fresh copy.") from error


def _why_unreadable(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(24)
    if head.startswith(_PNG):
        width, height = struct.unpack_from(">II", head.ljust(24, b"\1"), 16)
        check_picture_size(str(path), height, width)
    names = [name for magic, name in _OTHER_TYPES if head.startswith(magic)]
    if head[4:8] == b"ftyp":
        names = [_OTHER_BRANDS.get(head[8:12], "a video")]
    if names == ["a video"]:
        return f"{path} looks like a video; give it its suffix back ({', '.join(VIDEO_SUFFIXES)})."
    if names:
        return f"{path} is of unsupported type {names[0]}; {_ADVICE}."
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return f"{path} is not an image, or damaged from its first bytes on; expected PNG, JPEG or WebP."
    return f"{path} is of unsupported type; expected PNG, JPEG, WebP, a video or a folder of pictures."


def _to_rgb(picture: Image.Image) -> Float32[Tensor, "3 H W"]:
    if picture.mode.startswith("I"):
        return _float_rgb(np.asarray(picture, dtype=np.int64)[..., None].repeat(3, axis=-1), 65535)
    if picture.has_transparency_data:
        layers = np.asarray(picture.convert("RGBA"), dtype=np.float32)
        alpha = layers[..., 3:] / 255
        return _float_rgb(layers[..., :3] * alpha + 255 * (1 - alpha), 255)
    return _float_rgb(np.asarray(picture.convert("RGB")), 255)


def _float_rgb(pixels: np.ndarray, white: int) -> Float32[Tensor, "3 H W"]:
    scaled = pixels.astype(np.float32) / np.float32(white)
    return torch.from_numpy(scaled).permute(2, 0, 1).clamp(0, 1).contiguous()
