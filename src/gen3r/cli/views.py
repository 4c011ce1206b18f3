"""Input pictures, videos and folders of the command line."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from gen3r.scene.images import IMAGE_SUFFIXES, list_folder, read_image, read_images
from gen3r.scene.limits import evenly_spread
from gen3r.scene.video_reader import VIDEO_SUFFIXES


@dataclass(frozen=True, kw_only=True)
class InputPictures:
    """Pictures in the order given."""

    pictures: tuple[Float[Tensor, "3 _ _"], ...]
    """sRGB in [0, 1], each at its own size."""
    is_clip: bool
    """They are the frames of one video or folder rather than single pictures."""

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of the first picture; None if there is none."""
        return (self.pictures[0].shape[-2], self.pictures[0].shape[-1]) if self.pictures else None


def read_pictures(paths: Sequence[str], *, max_frames: int | None) -> InputPictures:
    """Read single pictures, or one video or folder of which at most ``max_frames`` evenly spread frames are kept.

    Raises:
        ValueError: for unreadable files (see ``gen3r.scene.images``), or a video or folder beside other inputs.
    """
    files = [Path(path) for path in paths]
    clips = [file for file in files if file.is_dir() or file.suffix.lower() in VIDEO_SUFFIXES]
    if clips and len(files) > 1:
        raise ValueError(
            f"a video or folder must be the only input, got {len(files)} inputs with {clips[0]} among them; "
            f"name either one of those or pictures ({', '.join(IMAGE_SUFFIXES)})."
        )
    if clips and not files[0].is_dir():
        return InputPictures(pictures=tuple(read_images(files[0], max_frames=max_frames).images), is_clip=True)
    if clips:
        listed = list_folder(files[0])
        files = [listed[index] for index in evenly_spread(len(listed), max_frames)]
    return InputPictures(pictures=tuple(read_image(file) for file in files), is_clip=bool(clips))
