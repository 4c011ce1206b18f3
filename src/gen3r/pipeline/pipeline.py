"""Gen3RPipeline: text, any views and optional cameras to scenes."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, get_args

import torch
from jaxtyping import UInt8
from torch import Tensor

from gen3r.cameras import Cameras
from gen3r.hub.layout import ModelFolder
from gen3r.hub.load import save_networks
from gen3r.hub.source import DownloadPlan
from gen3r.latents.grid import LatentGrid
from gen3r.pipeline.acceleration import Acceleration
from gen3r.pipeline.cameras import camera_path
from gen3r.pipeline.config import SceneCameras
from gen3r.pipeline.decode import eight_bit, scenes_from_output
from gen3r.pipeline.denoise import StepCallback
from gen3r.pipeline.few_steps import Choice, choose
from gen3r.pipeline.loading import chosen_memory, read_networks
from gen3r.pipeline.memory import MemoryProfile
from gen3r.pipeline.numerics import Numerics, NumericsName
from gen3r.pipeline.parallel import Parallel
from gen3r.pipeline.provenance import acceleration_record, generation_settings, record
from gen3r.pipeline.request import SceneRequest, Views, crop_views, noise_generator, place_request
from gen3r.pipeline.stages import Stages
from gen3r.scene.scene import Scene

PreviewCallback = Callable[[UInt8[Tensor, "H W 3"]], None]
"""Called after each denoising step, before the `StepCallback`, with a picture of how the clip will end."""


class Gen3RPipeline(Stages):
    """Generates scenes with a joint appearance-geometry diffusion transformer (Gen3R, arXiv 2601.04090).

    Options of the constructor and of ``from_pretrained``: see ``pipeline.stages.Stages``.
    """

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path | ModelFolder,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype | None = None,
        memory: MemoryProfile | Literal["auto"] | None = "auto",
        numerics: NumericsName | Numerics = "default",
        acceleration: Acceleration | None = None,
        parallel: Parallel | None = None,
        text_cache: str | Path | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        announce: Callable[[DownloadPlan], None] | None = None,
    ) -> Gen3RPipeline:
        """Load a model by name or from its folder, the official one included; see the class for what is not here.

        Args:
            model: a registered name ("tiny", "gen3r"), a repository id on the hub, or a model folder of either layout.
            device: where the networks run.
            memory: how to stay within the memory of ``device``. "auto" takes the profile for a CUDA device's memory, in
                bfloat16, and none elsewhere; None keeps everything on ``device``. See ``pipeline.memory``.
            dtype: type of the transformer, the VAE and the text and image encoders, e.g. ``torch.bfloat16``; left out,
                what the memory profile says, else float32. Geometry stays float32.
            text_cache: folder that keeps text features, so that the text encoder is read for new prompts only.
            revision: commit, branch or tag on the hub instead of the pinned one.
            local_files_only: never use the network.
            announce: called with what is to be downloaded before it begins.

        Raises:
            ValueError: unknown name, failed download, incomplete folder, or tensors that do not fit (named).
        """
        memory = chosen_memory(memory, device, dtype)
        networks, config = read_networks(
            model,
            device=device,
            dtype=dtype,
            memory=memory,
            text_cache=None if text_cache is None else Path(text_cache),
            revision=revision,
            local_files_only=local_files_only,
            announce=announce,
        )
        return cls(
            networks,
            config,
            numerics=numerics,
            memory=memory,
            acceleration=acceleration,
            parallel=parallel,
            device=device,
        )

    def save_pretrained(self, folder: str | Path) -> None:
        """Write a model folder that ``from_pretrained`` reads: ``pipeline.json`` and one folder per network.

        Raises:
            ValueError: if the memory profile has narrowed the weights.
        """
        if self.memory is not None and self.memory.float8:
            raise ValueError(
                f"expected whole weights to save, got {' and '.join(sorted(self.memory.float8))} in eight bits under "
                f"memory profile {self.memory.name}; load the model without it."
            )
        save_networks(self.networks, self.config, Path(folder))

    def grid(self, frames: int | None = None, size: tuple[int, int] | None = None) -> LatentGrid:
        """Sizes of a clip; left out, those the weights were trained for.

        Raises:
            ValueError: with the nearest valid number, for sizes off the grid.
        """
        height, width = size or (self.config.height, self.config.width)
        frames = self.config.frames if frames is None else frames
        reader = self.geometry.reader
        patch = LatentGrid.patch if reader is None else reader.config.patch_size
        return LatentGrid(frames, height, width, patch, self.geometry.halves)

    def choice(self, steps: int | None = None, guidance: float | None = None, fast: bool | None = None) -> Choice:
        """Which transformer makes a scene, and in how many steps, see ``few_steps.choose``."""
        return choose(
            self.config.few_steps,
            steps=steps,
            guidance=guidance,
            usual=(self.config.steps, self.config.guidance),
            fast=fast,
            device=self.device.type,
        )

    # generation -----------------------------------------------------------------------------------------------

    def __call__(
        self,
        views: Views | None = None,
        prompt: str = "",
        *,
        at: Sequence[int] | None = None,
        cameras: Cameras | str | None = None,
        camera_scale: float | None = None,
        frames: int | None = None,
        size: tuple[int, int] | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        fast: bool | None = None,
        scene_cameras: SceneCameras | None = None,
        generator: torch.Generator | int | None = None,
        callback: StepCallback | None = None,
        preview: PreviewCallback | None = None,
    ) -> Scene:
        """One scene from text, any views and optional cameras.

        Args:
            views: RGB pictures in [0, 1], ``[V, 3, H, W]`` or a list of different sizes; None = text only.
            prompt: what to see.
            at: frame index (0..F-1) of each view; left out: one view is the first frame, two are the ends, F are all.
            cameras: ``[F]`` cameras of the uncropped views, a trajectory name, or None / "free" (the model chooses).
            camera_scale: mean depth of the first view in the unit of ``cameras``; None estimates it.
            frames: clip length, 4k+1.
            size: (height, width) in pixels.
            steps: denoising steps.
            guidance: text guidance; 1 is off.
            fast: take the transformer for few steps, or do not; left out, it is taken where the model says so (on
                CPUs), and for its number of steps.
            scene_cameras: cameras of the scene where ``cameras`` asked for some: "predicted" from the generated
                geometry, or as "requested"; left out, what suits the weights.
            generator: a CPU generator or a seed; the same one gives the same scene in any batch.
            callback: called after each step with (finished, total).
            preview: called before it with a picture of how the last frame looks so far; one more decoding a step.

        Raises:
            ValueError: for anything in the request that does not fit, before any network runs.
        """
        request = SceneRequest(
            views=views, prompt=prompt, at=at, cameras=cameras, camera_scale=camera_scale, generator=generator
        )
        return self.generate_batch(
            [request],
            frames=frames,
            size=size,
            steps=steps,
            guidance=guidance,
            fast=fast,
            scene_cameras=scene_cameras,
            callback=callback,
            preview=preview,
        )[0]

    @torch.no_grad()
    def generate_batch(
        self,
        requests: Sequence[SceneRequest],
        *,
        frames: int | None = None,
        size: tuple[int, int] | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        fast: bool | None = None,
        scene_cameras: SceneCameras | None = None,
        callback: StepCallback | None = None,
        preview: PreviewCallback | None = None,
    ) -> list[Scene]:
        """Several scenes of one size in one batch; see ``__call__`` for the arguments. ``preview`` shows the first."""
        if not requests:
            raise ValueError("expected at least one scene request, got none.")
        grid = self.grid(frames, size)
        chosen = self.choice(steps, guidance, fast)
        steps, guidance = chosen.steps, chosen.guidance
        if steps < 1:
            raise ValueError(f"expected at least one denoising step, got {steps}.")
        scene_cameras = self.config.scene_cameras if scene_cameras is None else scene_cameras
        if scene_cameras not in get_args(SceneCameras):
            raise ValueError(f"expected scene_cameras to be predicted or requested, got {scene_cameras!r}.")
        if not math.isfinite(guidance):
            raise ValueError(f"expected a finite guidance, got {guidance}; 1 is off, 3 to 7 are common.")
        placed = [place_request(request, grid) for request in requests]
        generators, seeds = zip(*(noise_generator(request.generator) for request in requests), strict=True)

        started = time.perf_counter()
        prompts = [request.prompt for request in requests]
        others = [self.config.negative_prompt] if guidance != 1.0 else []
        with self._text_at_work([*prompts, *others]):
            text = self._text_features(prompts)
            negative = self._text_features(others) if others else None
        paths = [
            camera_path(
                request,
                views,
                grid,
                None if self.geometry.reader is None else self.read_geometry,
                self.numerics.path_settings(self.config),
                crop_intrinsics=self.numerics.crop_intrinsics,
            )
            for request, views in zip(requests, placed, strict=True)
        ]
        noise = torch.stack([torch.randn(grid.joint_shape, generator=generator) for generator in generators])
        condition = self.encode_conditions(requests, placed, paths, grid, generators, text=text)
        encoded = time.perf_counter()
        latents = self.denoise(
            noise.to(self.device),
            condition,
            steps=steps,
            guidance=guidance,
            negative=negative,
            few=chosen.few,
            generators=generators,
            callback=callback,
            watch=None if preview is None else lambda latents: preview(self.last_picture(latents[:1])[0]),
        )
        del condition
        denoised = time.perf_counter()
        settings = generation_settings(self, grid, chosen) | {
            "device": str(self.device),
            "acceleration": acceleration_record(self.acceleration),
        }
        timings = {"encode_seconds": encoded - started, "denoise_seconds": denoised - encoded}
        pictures, output = self.decode(latents, grid)
        timings["decode_seconds"] = time.perf_counter() - denoised
        scenes = scenes_from_output(
            pictures,
            output,
            scales=[path.scale for path in paths],
            config=self.config,
            rebase=self.numerics.rebase_scene,
            provenance=[
                record(
                    self.config,
                    kind="generated",
                    settings=settings
                    | {
                        "prompt": request.prompt,
                        "seed": seed,
                        "views_at": list(views.at),
                        "cameras": path.source,
                        "scene_cameras": "predicted" if path.cameras is None else scene_cameras,
                    },
                    timings=timings,
                )
                for request, views, path, seed in zip(requests, placed, paths, seeds, strict=True)
            ],
        )
        if scene_cameras == "predicted":
            return scenes
        return [
            scene if path.cameras is None else dataclasses.replace(scene, cameras=path.cameras.scaled(path.scale))
            for scene, path in zip(scenes, paths, strict=True)
        ]

    # reconstruction -------------------------------------------------------------------------------------------

    @torch.no_grad()
    def reconstruct(self, images: Views, *, size: tuple[int, int] | None = None) -> Scene:
        """Depth, points and cameras of given pictures by VGGT alone, without diffusion; any number of pictures.

        Args:
            images: RGB pictures in [0, 1], in order; resized to cover ``size`` and cropped at the centre.
            size: (height, width); left out, the size the weights were trained for.
        """
        grid = self.grid(1, size)
        pictures = list(images)
        if not pictures:
            raise ValueError("expected at least one picture to reconstruct, got none.")
        video = crop_views(pictures, grid.size)
        started = time.perf_counter()
        output = self.read_geometry(video[None])
        return scenes_from_output(
            eight_bit(video[None]),
            output,
            scales=[1.0],
            config=self.config,
            provenance=[
                record(
                    self.config,
                    kind="reconstructed",
                    settings={"frames": len(pictures), "size": list(grid.size)},
                    timings={"vggt_seconds": time.perf_counter() - started},
                )
            ],
        )[0]
