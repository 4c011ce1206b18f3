"""``gen3r import``: a folder of COLMAP, nerfstudio or your own to a scene folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from gen3r.cli.input_paths import check_paths
from gen3r.cli.sizes import parse_size
from gen3r.cli.terminal import say, working
from gen3r.scene.export.output_folder import check_output_folder


@dataclass(frozen=True, kw_only=True)
class Import:
    """Make a scene folder of pictures, cameras, and depth or points that are known already.

    Takes a COLMAP model or a nerfstudio dataset with its pictures, or any folder with images, cameras
    and depth or points.ply. Where there is no depth, the points are projected.
    """

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")]
    """Folder with the pictures and the cameras: sparse/0, transforms.json, cameras.json."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """New folder for the scene. Look at preview.png in it first."""
    size: Annotated[str | None, tyro.conf.arg(metavar="HxW")] = None
    """Height and width in pixels, such as 224x224. Left out, that of the pictures."""
    frames: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Take at most this many frames, evenly spread. Left out, all."""
    depth_scale: Annotated[float | None, tyro.conf.arg(metavar="LENGTH")] = None
    """Scene units per step of the 16-bit depth pictures, where they do not say it or are wrong."""
    camera_axes: Literal["opengl", "opencv"] = "opengl"
    """Camera axes of a transforms.json that does not say them: nerfstudio's, or those of Gen3R's training data."""

    def run(self) -> None:
        """Read everything, then write the scene folder.

        Raises:
            ValueError: for whatever cannot be used; nothing has been written then.
        """
        check_output_folder(self.out)
        size = parse_size(self.size)
        check_paths([str(self.source)])
        if (self.source / "scene.safetensors").is_file():
            raise ValueError(f"{self.source} is a scene already; give it to gen3r view or gen3r export as it is.")
        if self.frames is not None and self.frames < 1:
            raise ValueError(f"--frames expects at least 1, got {self.frames}.")

        from gen3r.scene.export.folder import write_scene_folder
        from gen3r.scene.importing.scenes import read_scene
        from gen3r.scene.importing.track import ReadOptions

        with working("Reading"):
            scene = read_scene(
                self.source,
                size=size,
                max_frames=self.frames,
                depth_scale=self.depth_scale,
                options=ReadOptions(axes=self.camera_axes),
            )
        with working("Writing the files"):
            write_scene_folder(scene, self.out)
        share = float(scene.mask.float().mean())
        say(f"{scene.frames} frames of {scene.height}x{scene.width} in {self.out}; depth at {share:.0%} of the pixels")
        say(f"Look first at {self.out / 'preview.png'}")
