"""``gen3r data encode``: datasets as latent shards, which diffusion training reads instead of video."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from gen3r.cli.data.running import Running, run_units
from gen3r.cli.sizes import parse_size
from gen3r.cli.terminal import say, warn
from gen3r.hub.registry import DEFAULT_MODEL

Choice = Literal["model", "yes", "no"]
_CHOICES: dict[Choice, bool | None] = {"model": None, "yes": True, "no": False}


@dataclass(frozen=True, kw_only=True)
class Encode:
    """Encode clips once, so that training runs the transformer alone (docs/latents.md).

    Stopped half way, the same command goes on; shards appear whole.
    """

    datasets: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="DATASET ...")]
    """Datasets: folders of clip folders, or of tar shards."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """New folder for the latent shards, or one to go on with."""
    model: Annotated[str, tyro.conf.arg(metavar="NAME|REPO|DIR")] = DEFAULT_MODEL
    """Model whose encoders are used: VAE, VGGT, geometry adapter, text and image encoder."""
    networks: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="FOLDER ...")] = ()
    """Runs or folders with a vggt, vae or geometry_adapter to use in place of the model's."""
    split: Literal["train", "validation", "held-out", "all"] = "train"
    """Which clips."""
    frames: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Frames per clip, 4k+1. Left out, the model's."""
    size: Annotated[str | None, tyro.conf.arg(metavar="HxW")] = None
    """Height and width in pixels; frames are resized to cover it and cut. Left out, the model's."""
    strides: Annotated[tuple[int, int], tyro.conf.arg(metavar="LEAST MOST")] = (1, 2)
    """Distance of neighbouring frames of a clip in its scene, drawn anew for each clip."""
    windows: int = 1
    """Clips drawn from every scene."""
    mirrored: bool = False
    """Encode every clip mirrored as well."""
    subsets: int = 1
    """Random choices of given views per clip, beside first frame, both ends, all and none; the presets full and lora
    need none."""
    no_text: bool = False
    """Leave out text features: a text encoder is to be trained along."""
    keep_prefixes: bool = False
    """Keep captions word by word, instead of rewording "The image shows a ..." in most of them."""
    control_geometry: Literal["model", "zeros", "encoded"] = "model"
    """Geometry half of the control latents: zeros as in sampling, encoded as in the official training."""
    sample_control: Choice = "model"
    """Sample the control latents instead of taking their mean."""
    normalize_scale: Choice = "model"
    """Divide camera translations by the first view's mean depth; clips without depth are measured by VGGT."""
    shard_clips: int = 32
    """Clips in a shard; about 15 MB each at 49 frames of 560x560."""
    seed: int = 0
    """Seed of frames, views and wordings."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:1; auto takes a GPU if there is one."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type of all encoders but geometry, which stays float32; auto is bfloat16 on a GPU."""
    running: Running = field(default_factory=Running)
    """Where the work is done."""

    def run(self) -> None:
        """Encode what is not encoded yet.

        Raises:
            ValueError: for unusable datasets, models or sizes, a folder with other latents, or if shards are missing at
                the end.
        """
        from gen3r.prepare.encoding.config import EncodeConfig
        from gen3r.prepare.encoding.plan import encoded_shards, plan_encoding
        from gen3r.prepare.encoding.work import EncodeShard

        device = self._device()
        config = EncodeConfig(
            datasets=tuple(str(path.resolve()) for path in self.datasets),
            out=str(self.out.resolve()),
            model=self.model,
            networks=tuple(str(path.resolve()) for path in self.networks),
            split=None if self.split == "all" else self.split,
            frames=self.frames,
            size=None if self.size is None else parse_size(self.size),
            strides=self.strides,
            windows=self.windows,
            mirrored=self.mirrored,
            subsets=self.subsets,
            seed=self.seed,
            clean_prefixes=not self.keep_prefixes,
            text=not self.no_text,
            clips_per_shard=self.shard_clips,
            control_geometry=None if self.control_geometry == "model" else self.control_geometry,
            sample_control=_CHOICES[self.sample_control],
            normalize_scale=_CHOICES[self.normalize_scale],
            device=device,
            dtype=self._dtype(device),
        )
        items = plan_encoding(config)
        if items:
            settings, gpus = config.settings(), self.running.gpus(device)
            report = run_units("Encoding", EncodeShard, settings, items, self.out, self.running, gpus=gpus)
            if report.failed:
                raise ValueError(f"{len(report.failed)} shards could not be encoded; see above, and run it again.")
        done, total = encoded_shards(self.out)
        self._tell_left_out()
        say(f"{done} of {total} latent shards in {self.out}")

    def _tell_left_out(self) -> None:
        from gen3r.prepare.encoding.plan import shards_of
        from gen3r.train.latents.shards import left_out

        reasons = left_out(self.out)
        for key, reason in list(reasons.items())[:10]:
            warn(f"{key} was left out: {reason}")
        if len(reasons) > 10:
            warn(f"{len(reasons) - 10} more clips were left out; the headers of the shards say why.")
        if reasons:
            shards = sorted(shards_of(self.out, reasons))
            warn(f"To encode them once they are mended, delete {', '.join(shards[:10])} and run the command again.")

    def _device(self) -> str:
        from gen3r.cli.device import AUTO, resolve_device

        if self.running.backend == "ray" and self.device == AUTO:
            return "cuda" if self.running.gpus(self.device) else "cpu"
        return str(resolve_device(self.device))

    def _dtype(self, device: str) -> Literal["float32", "bfloat16"]:
        if self.dtype != "auto":
            return self.dtype
        return "float32" if device == "cpu" else "bfloat16"
