"""``gen3r generate``: views, words and cameras to a scene folder."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from gen3r.cli.data.running import Running
from gen3r.cli.generate_batch import BatchOptions, check_alone, run_batch
from gen3r.cli.input_paths import check_paths
from gen3r.cli.model_options import ModelOptions, SpeedOptions
from gen3r.cli.seeds import check_seed
from gen3r.cli.sizes import parse_size
from gen3r.cli.terminal import progress_bar, say, working
from gen3r.scene.export.output_folder import check_output_folder

FREE = "free"


@dataclass(frozen=True, kw_only=True)
class Generate:
    """Turn any number of views, a text, or both into a scene: video, depth, cameras and a point cloud.

    One view becomes the first frame, two become the first and the last, as many as there are frames become all
    of them; --at places any other number. A video or a folder stands for its frames, evenly spread over the clip.
    """

    views: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="VIEW ...")] = ()
    """Pictures (PNG, JPEG, WebP), or one video or folder. None at all needs --prompt."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """New folder for the results. Look at preview.png in it first."""
    at: Annotated[tuple[int, ...], tyro.conf.arg(metavar="FRAME ...")] = ()
    """Frame index of each view, counted from 0; of each picture, for a folder."""
    prompt: str = ""
    """What to see, in words."""
    cameras: Annotated[str, tyro.conf.arg(metavar="PATH|TRAJECTORY|free")] = FREE
    """cameras.json, transforms.json, COLMAP folder or TUM file with a pose per frame (docs/cameras.md), the name of a
    trajectory such as orbit_right or dolly_in (an unknown name lists them all), or free to let the model choose."""
    camera_scale: Annotated[float | None, tyro.conf.arg(metavar="LENGTH")] = None
    """Mean depth of the first view in the unit of the camera file. Left out, it is estimated. Needs a camera file."""
    frames: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Length of the clip: 1, 5, 9, ... (4k+1). Left out, what the model was trained for."""
    size: Annotated[str | None, tyro.conf.arg(metavar="HxW")] = None
    """Height and width in pixels, such as 224x224. Left out, what the model was trained for."""
    steps: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Denoising steps; time grows with it. Left out, the model's own: on a CPU those of its few-step transformer, if it
    has one. That is taken for its number of steps, too."""
    fast: bool = False
    """Take the model's few-step transformer, which goes without guidance (docs/few_steps.md)."""
    guidance: Annotated[float | None, tyro.conf.arg(metavar="W")] = None
    """Weight of the text; 1 turns guidance off and halves the time. Left out, the model's own."""
    scene_cameras: Literal["predicted", "requested"] | None = None
    """Cameras of the scene where --cameras asked for some: read from the generated geometry, or those asked for. Left
    out, what suits the model."""
    seed: int = 0
    """Same seed, same scene."""
    loading: ModelOptions = field(default_factory=ModelOptions)
    """Which model, where, and how exactly."""
    speed: SpeedOptions = field(default_factory=SpeedOptions)
    """What to trade for speed."""
    batch: Annotated[Path | None, tyro.conf.arg(metavar="FILE.jsonl")] = None
    """Make a scene for each line, such as {"prompt": "a red ball", "images": ["ball.png"]}, into folders below --out.
    The same command again goes on where it ended."""
    selection: BatchOptions = field(default_factory=BatchOptions)
    """With --batch: which scenes are kept."""
    running: Running = field(default_factory=Running)
    """With --batch: where the work is done."""

    def run(self) -> None:
        """Check everything cheap first, then load, generate and write.

        Raises:
            ValueError: for whatever cannot be used; nothing has been written then.
        """
        if self.batch is not None:
            run_batch(self)
            return
        check_alone(self)
        started = time.perf_counter()
        check_output_folder(self.out)
        size = parse_size(self.size)
        check_paths(self.views)
        if not self.views and not self.prompt:
            raise ValueError(
                "expected at least one VIEW or a --prompt, got neither; name a picture or say what to see."
            )
        check_seed(self.seed)

        from gen3r.cli.camera_paths import check_cameras, resolve_cameras

        check_cameras(self.cameras)
        acceleration, parallel = self.speed.acceleration(), self.speed.join(self.loading.device)
        folder = self.loading.find()

        from gen3r.cli.views import read_pictures, view_frames
        from gen3r.scene.export.folder import write_scene_folder

        with working("Loading the model"):
            pipeline = self.loading.load(folder, acceleration=acceleration, parallel=parallel)
        self.speed.check(pipeline.choice(self.steps, self.guidance, self.fast or None).steps)
        grid = pipeline.grid(self.frames, size)
        inputs = read_pictures(self.views, size=grid.size, max_frames=grid.frames)
        at = view_frames(inputs, self.at, grid.frames)
        cameras = resolve_cameras(self.cameras, grid.frames, pipeline.config.fov_degrees)
        if self.camera_scale is not None and isinstance(cameras, str):
            raise ValueError(
                f"--camera-scale expects --cameras FILE, whose unit it explains, got --cameras {cameras}; leave it out."
            )
        loaded = time.perf_counter()
        with progress_bar("Generating") as advance:
            scene = pipeline(
                inputs.images,
                self.prompt,
                at=at,
                cameras=cameras,
                camera_scale=self.camera_scale,
                frames=grid.frames,
                size=grid.size,
                steps=self.steps,
                guidance=self.guidance,
                fast=self.fast or None,
                scene_cameras=self.scene_cameras,
                generator=self.seed,
                callback=advance,
            )
        generated = time.perf_counter()
        if parallel is not None:
            leads = parallel.leader
            parallel.close()
            if not leads:
                return
        with working("Writing the files"):
            write_scene_folder(
                scene,
                self.out,
                views=inputs.images,
                view_frames=at or scene.provenance["settings"]["views_at"],
            )
        written = time.perf_counter()
        say(f"{scene.frames} frames of {scene.height}x{scene.width} in {self.out}")
        say(
            f"{written - started:.1f} s: loading {loaded - started:.1f}, generating {generated - loaded:.1f}, "
            f"writing {written - generated:.1f}"
        )
        say(f"Look first at {self.out / 'preview.png'}")
