"""Cameras by structure from motion: pycolmap's incremental mapping, on the CPU."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gen3r.data.converters.pictures import PictureHeader, turned
from gen3r.data.converting.raw import RawCamera, UnusableScene
from gen3r.extras import Extra

_READ_BY_COLMAP = (".png", ".jpg", ".jpeg")
GLOBAL_GROWTH = 1.4
"""By how much a model grows until all of it is adjusted again: what COLMAP itself takes for videos."""
PYCOLMAP = Extra(name="data", modules=("pycolmap",))


@dataclass(frozen=True, kw_only=True)
class PycolmapPoses:
    """Finds cameras from matched points. Pictures are taken to be of one camera and, where many, in temporal order."""

    camera_model: str = "SIMPLE_RADIAL"
    """COLMAP's name of the lens that is fitted; pictures are undistorted by it."""
    exhaustive_up_to: int = 40
    """Up to so many pictures each is matched with each; above, with ``overlap`` neighbours and those at 2, 4, 8, ..."""
    overlap: int = 10
    """Neighbours of a picture that it is matched with."""
    max_picture_side: int = 1600
    """Pixels; larger pictures are shrunk for finding points."""
    max_points: int = 4096
    """Points that are looked for in a picture; time grows with them."""
    threads: int = -1
    """-1: all cores."""
    seed: int = 0
    """Of the random draws; the same pictures give nearly the same cameras, threads aside."""

    def __call__(self, pictures: tuple[Path, ...]) -> tuple[RawCamera | None, ...]:
        """One camera per picture of the largest model, None for pictures that it does not hold.

        Raises:
            ValueError: if pycolmap is not installed.
            UnusableScene: if no model comes about.
        """
        PYCOLMAP.require("finding cameras by pycolmap")
        import pycolmap

        from gen3r.data.converters.colmap_models import raw_camera

        with tempfile.TemporaryDirectory(prefix="gen3r-") as name:
            folder = Path(name)
            names = _links(pictures, folder / "images")
            with _quiet(pycolmap):
                models = self._map(pycolmap, folder, names)
        if not models:
            raise UnusableScene(
                f"no cameras could be found for its {len(pictures)} pictures: too few points match; they need texture, "
                "overlap and a camera that moves. --poses vggt needs less of that."
            )
        model = max(models, key=lambda candidate: candidate.num_reg_images())
        found = {
            image.name: raw_camera(model.cameras[image.camera_id], image.cam_from_world())
            for image in model.images.values()
            if image.has_pose
        }
        return tuple(found.get(name) for name in names)

    def _map(self, pycolmap: Any, folder: Path, names: list[str]) -> list[Any]:
        database, images = folder / "database.db", folder / "images"
        pycolmap.set_random_seed(self.seed)
        extraction = pycolmap.FeatureExtractionOptions()
        extraction.use_gpu, extraction.num_threads = False, self.threads
        extraction.max_image_size = self.max_picture_side
        extraction.sift.max_num_features = self.max_points
        pycolmap.extract_features(
            database,
            images,
            image_names=names,
            camera_mode=pycolmap.CameraMode.SINGLE,
            reader_options=pycolmap.ImageReaderOptions(camera_model=self.camera_model),
            extraction_options=extraction,
            device=pycolmap.Device.cpu,
        )
        matching = pycolmap.FeatureMatchingOptions()
        matching.use_gpu, matching.num_threads = False, self.threads
        if len(names) <= self.exhaustive_up_to:
            pycolmap.match_exhaustive(database, matching_options=matching, device=pycolmap.Device.cpu)
        else:
            pairing = pycolmap.SequentialPairingOptions(overlap=self.overlap, quadratic_overlap=True)
            pycolmap.match_sequential(
                database, matching_options=matching, pairing_options=pairing, device=pycolmap.Device.cpu
            )
        options = pycolmap.IncrementalPipelineOptions()
        options.num_threads = self.threads
        options.random_seed = self.seed
        options.ba_global_frames_ratio = options.ba_global_points_ratio = GLOBAL_GROWTH
        models = pycolmap.incremental_mapping(database, images, folder / "models", options=options)
        return list(models.values())


@contextmanager
def _quiet(pycolmap: Any) -> Iterator[None]:
    """Without COLMAP's page of log for every picture; what fails is told by an exception."""
    level = pycolmap.logging.minloglevel
    pycolmap.logging.minloglevel = int(pycolmap.logging.FATAL)
    try:
        yield
    finally:
        pycolmap.logging.minloglevel = level


def _links(pictures: tuple[Path, ...], folder: Path) -> list[str]:
    """Make every picture one of a folder, under a name that keeps their order: a link, or an upright copy."""
    folder.mkdir()
    names: list[str] = []
    for index, picture in enumerate(pictures):
        source = PictureHeader.read(picture, picture.name).upright(picture)
        as_it_is = isinstance(source, Path) and picture.suffix.lower() in _READ_BY_COLMAP
        names.append(f"frame{index:05d}{picture.suffix.lower() if as_it_is else '.png'}")
        if as_it_is:
            (folder / names[-1]).symlink_to(picture.resolve())
        else:
            (folder / names[-1]).write_bytes(turned(picture))
    return names
