"""How a model is found, loaded and run: the options that every command running one has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from gen3r.cli.terminal import warn
from gen3r.hub.registry import DEFAULT_MODEL

if TYPE_CHECKING:
    import torch

    from gen3r.hub.layout import ModelFolder
    from gen3r.pipeline import Gen3RPipeline
    from gen3r.pipeline.acceleration import Acceleration
    from gen3r.pipeline.memory import MemoryProfile
    from gen3r.pipeline.parallel import Parallel

AUTO, NONE = "auto", "none"
CACHE_TEXT_FROM = 10**9
"""Bytes of a text encoder from which on its features are kept, if nobody says: reading it takes longer than a file."""


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Which model, where, and how exactly."""

    model: Annotated[str, tyro.conf.arg(metavar="NAME|REPO|DIR")] = DEFAULT_MODEL
    """Name of a model (gen3r models list), a repository on the hub (owner/name), or a model folder."""
    revision: Annotated[str | None, tyro.conf.arg(metavar="COMMIT")] = None
    """Commit, branch or tag of the repository instead of the pinned one; a model folder has none."""
    device: str = AUTO
    """auto, cpu, cuda or cuda:1; auto takes a GPU if there is one. With --parallel every process has its own."""
    vram: Literal["auto", "none", "8", "12", "16", "24", "48", "80"] = AUTO
    """Gigabytes of GPU memory to stay within (docs/performance.md). auto asks the GPU; none keeps everything there in
    float32."""
    dtype: Literal["float32", "bfloat16"] | None = None
    """Type of all networks but geometry, which stays float32. Left out: bfloat16 within a memory profile, else
    float32."""
    numerics: Literal["default", "official"] = "default"
    """official does what the official code does where something else is better (docs/parity.md)."""
    text_cache: Annotated[str, tyro.conf.arg(metavar="DIR|auto|none")] = AUTO
    """Where features of prompts are kept, so that the text encoder is read for new prompts only. auto does so for
    large text encoders, in the user's cache folder."""

    def find(self) -> ModelFolder:
        """The model's folder, downloaded if need be."""
        from gen3r.cli.download import announce_download
        from gen3r.hub.registry import resolve_model

        return resolve_model(self.model, revision=self.revision, announce=announce_download)

    def load(
        self, folder: ModelFolder, *, acceleration: Acceleration | None = None, parallel: Parallel | None = None
    ) -> Gen3RPipeline:
        """The pipeline, ready to run.

        Raises:
            ValueError: for a device that is not here, or a folder that does not fit.
        """
        import torch

        from gen3r.cli.device import resolve_device
        from gen3r.pipeline import Gen3RPipeline

        device = resolve_device(self.device) if parallel is None else parallel.device
        return Gen3RPipeline.from_pretrained(
            folder,
            device=device,
            dtype=None if self.dtype is None else getattr(torch, self.dtype),
            memory=self._memory(device),
            numerics=self.numerics,
            acceleration=acceleration,
            parallel=parallel,
            text_cache=self.text_cache_folder(folder),
        )

    def _memory(self, device: torch.device) -> MemoryProfile | None:
        from gen3r.pipeline.memory import PROFILES, profile_for

        if self.vram == AUTO:
            return profile_for(device)
        if self.vram != NONE and device.type == "cpu":
            warn(f"there is no GPU in use: --vram {self.vram} changes the networks' type, not where they are.")
        return None if self.vram == NONE else PROFILES[int(self.vram)]

    def text_cache_folder(self, folder: ModelFolder) -> Path | None:
        from gen3r.conditioning.text_cache import default_text_cache

        if self.text_cache == NONE:
            return None
        if self.text_cache != AUTO:
            return Path(self.text_cache)
        weights = (folder.path / "text_encoder").glob("*.safetensors")
        large = sum(file.stat().st_size for file in weights) >= CACHE_TEXT_FROM
        return default_text_cache() if large else None


@dataclass(frozen=True, kw_only=True)
class SpeedOptions:
    """What to trade for speed: nothing, unless asked (docs/performance.md)."""

    compile: bool = False
    """Compile the transformer's blocks: slow once, faster ever after."""
    attention: Annotated[str | None, tyro.conf.arg(metavar="BACKEND")] = None
    """Attention kernels by diffusers' name, such as native, _flash_3 or sage; an unknown name lists them."""
    step_cache: Literal["none", "first_block", "taylorseer"] = NONE
    """Reuse what neighbouring steps computed; changes the result a little. taylorseer computes the first three steps
    and every third one after them."""
    guidance_skip: Annotated[float, tyro.conf.arg(metavar="SHARE")] = 0.0
    """The last share of the steps that goes without text guidance, 0 to 1."""
    parallel: Literal["none", "guidance", "context", "both"] = NONE
    """Share the denoising between processes started by torchrun, one per GPU: a branch of guidance each, or the
    tokens."""

    def acceleration(self) -> Acceleration | None:
        """The options as the pipeline takes them; None if there are none, which needs no library.

        Raises:
            ValueError: for an unknown attention backend, or a share outside 0 to 1.
        """
        if self == SpeedOptions(parallel=self.parallel):
            return None

        from gen3r.pipeline.acceleration import Acceleration
        from gen3r.pipeline.step_cache import STEP_CACHES

        cache = None if self.step_cache == NONE else STEP_CACHES[self.step_cache]()
        return Acceleration(
            compile=self.compile, attention=self.attention, cache=cache, guidance_skip=self.guidance_skip
        )

    def check(self, steps: int) -> None:
        """Tell on stderr if a run of so many steps is too short for the step cache to do anything."""
        from gen3r.pipeline.step_cache import TaylorCache

        if self.step_cache == "taylorseer" and steps <= TaylorCache.warmup:
            warn(f"--step-cache taylorseer computes the first {TaylorCache.warmup} steps, and there are only {steps}.")

    def join(self, device: str = AUTO) -> Parallel | None:
        """This process's part of the work, None if it works alone.

        Raises:
            ValueError: if torchrun did not start the processes, their number does not fit, or a ``device`` is named,
                which cannot be that of each of them.
        """
        if self.parallel == NONE:
            return None

        from gen3r.pipeline.parallel import setup_parallel

        if device != AUTO:
            raise ValueError(
                f"--parallel gives every process a device of its own, got --device {device} too; leave it out, and "
                "choose among GPUs with CUDA_VISIBLE_DEVICES."
            )
        return setup_parallel(self.parallel)
