"""``gen3r data caption``: prompts for clips, by a vision-language model or from the dataset's labels."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from gen3r.cli.data.running import RUN_FOLDER, Running, run_units
from gen3r.cli.terminal import note, say, warn

SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class Caption:
    """Write captions.txt of every clip that has no captions yet (docs/captions.md).

    Stopped half way, the same command goes on. What a model says is checked; bad answers are asked for again, then
    listed, and never written.
    """

    dataset: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DATASET")]
    """Folder of clip folders. Tar shards are not changed: caption before packing."""
    source: Literal["model", "labels"] = "model"
    """A vision-language model, or sentences made of what the dataset says of a clip."""
    model: Annotated[str, tyro.conf.arg(metavar="REPO|DIR")] = "Qwen/Qwen2.5-VL-7B-Instruct"
    """An image-text-to-text model of transformers; Qwen/Qwen2.5-VL-3B-Instruct needs half the memory."""
    revision: Annotated[str | None, tyro.conf.arg(metavar="COMMIT")] = None
    """Commit, branch or tag of the repository."""
    prompts: int = 3
    """Captions per clip."""
    frames: int = 4
    """Frames of a clip that the model is shown."""
    side: int = 448
    """Longer side in pixels that frames are reduced to; more is slower."""
    batch: int = 4
    """Clips described at a time."""
    attempts: int = 3
    """How often an answer is asked for before it is given up."""
    replace_given: bool = False
    """Caption clips that came with captions, too."""
    seed: int = 0
    """Seed of answers that are sampled: those asked for again."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:1; auto takes a GPU if there is one."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type of the model's weights; auto is bfloat16 on a GPU."""
    running: Running = field(default_factory=Running)
    """Where the work is done."""

    def run(self) -> None:
        """Caption what has no captions yet.

        Raises:
            ValueError: for an unusable dataset or model.
        """
        from gen3r.prepare.captioning.config import CaptionConfig
        from gen3r.prepare.captioning.plan import plan_captions
        from gen3r.prepare.captioning.work import CaptionClips

        device = self._device()
        dtype = self.dtype if self.dtype != "auto" else "float32" if device == "cpu" else "bfloat16"
        config = CaptionConfig(
            dataset=str(self.dataset.resolve()),
            source=self.source,
            model=str(Path(self.model).resolve()) if Path(self.model).is_dir() else self.model,
            revision=self.revision,
            prompts=self.prompts,
            frames=self.frames,
            side=self.side,
            batch=self.batch,
            attempts=self.attempts,
            replace_given=self.replace_given,
            seed=self.seed,
            device=device,
            dtype=dtype,
        )
        items = plan_captions(config)
        if items and self.source == "model" and not Path(self.model).is_dir():
            note(f"{self.model} comes from the hub: it is downloaded once, gigabytes, to the cache of huggingface_hub.")
        if items:
            gpus = self.running.gpus(device)
            run_units("Captioning", CaptionClips, config.settings(), items, self.dataset, self.running, gpus=gpus)
        left = [name for item in plan_captions(config) for name in item["clips"]]
        if not left:
            say(f"All clips in {self.dataset} have captions.")
            return
        if self.source == "labels":
            say(
                f"{len(left)} clips in {self.dataset} have no labels to make sentences of, such as {left[0]}; "
                "training takes clips without captions. To give them prompts, run the command with --source model, "
                "write one per line into a clip's captions.txt, or convert the data with gen3r data convert --captions."
            )
            return
        for name in left[:SHOWN]:
            warn(f"{name} has no captions.")
        say(
            f"{len(left)} clips have no captions; {self.dataset / RUN_FOLDER} says why. Run the command again to retry."
        )

    def _device(self) -> str:
        from gen3r.cli.device import AUTO, resolve_device

        if self.source == "labels":
            return "cpu"
        if self.running.backend == "ray" and self.device == AUTO:
            return "cuda" if self.running.gpus(self.device) else "cpu"
        return str(resolve_device(self.device))
