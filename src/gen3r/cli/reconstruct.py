"""``gen3r reconstruct``: pictures to depth, cameras and points by VGGT alone."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from gen3r.cli.input_paths import check_paths
from gen3r.cli.model_options import ModelOptions
from gen3r.cli.sizes import parse_size
from gen3r.cli.terminal import say, working
from gen3r.scene.export.output_folder import check_output_folder


@dataclass(frozen=True, kw_only=True)
class Reconstruct:
    """Depth, cameras and a point cloud of given pictures, without generating anything (VGGT alone)."""

    images: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE ...|VIDEO|FOLDER")]
    """Pictures (PNG, JPEG, WebP) in order, or one video, or one folder (natural order)."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """New folder for the results. Look at preview.png in it first."""
    frames: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Use at most this many frames of a video or folder, evenly spread. Left out, what the model was trained for."""
    size: Annotated[str | None, tyro.conf.arg(metavar="HxW")] = None
    """Height and width in pixels, such as 224x224. Left out, what the model was trained for."""
    loading: ModelOptions = field(default_factory=ModelOptions)
    """Which model, where, and how exactly."""

    def run(self) -> None:
        """Check everything cheap first, then load, reconstruct and write.

        Raises:
            ValueError: for whatever cannot be used; nothing has been written then.
        """
        started = time.perf_counter()
        check_output_folder(self.out)
        size = parse_size(self.size)
        if not self.images:
            raise ValueError("expected at least one picture, video or folder, got none.")
        check_paths(self.images)
        if self.frames is not None and self.frames < 1:
            raise ValueError(f"--frames expects at least 1, got {self.frames}.")
        folder = self.loading.find()

        from gen3r.cli.views import read_pictures
        from gen3r.scene.export.folder import write_scene_folder

        with working("Loading the model"):
            pipeline = self.loading.load(folder)
        grid = pipeline.grid(1, size)
        inputs = read_pictures(self.images, size=grid.size, max_frames=self.frames or pipeline.config.frames)
        loaded = time.perf_counter()
        with working("Reconstructing"):
            scene = pipeline.reconstruct(inputs.images, size=grid.size)
        reconstructed = time.perf_counter()
        with working("Writing the files"):
            write_scene_folder(scene, self.out)
        written = time.perf_counter()
        say(f"{scene.frames} frames of {scene.height}x{scene.width} in {self.out}")
        say(
            f"{written - started:.1f} s: loading {loaded - started:.1f}, reconstructing {reconstructed - loaded:.1f}, "
            f"writing {written - reconstructed:.1f}"
        )
        say(f"Look first at {self.out / 'preview.png'}")
