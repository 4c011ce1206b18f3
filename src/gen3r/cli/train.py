"""``gen3r train``: one training stage of a preset."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from gen3r.cli.seeds import check_seed
from gen3r.cli.terminal import say
from gen3r.cli.train_all import check_single, train_all

Count = Annotated[int | None, tyro.conf.arg(metavar="N")]


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train one network of a preset, or all of them.

    all follows the preset's recipe: every network in its turn, for its share of the time, in as many sittings of
    --minutes as it takes, on one machine or (--portable, --from) on several. Of the single stages, vggt and vae stand
    alone; adapter builds on both; diffusion on all three; distill teaches the diffusion transformer of --init to go few
    steps; decoders trains the decoders of VAE and adapter on what that of --init makes. Without data, clips are
    generated while training. For several processes, start a stage with accelerate launch -m gen3r.cli train ... With
    --dry-run it only tells the memory and time that a run would take.
    """

    stage: Annotated[Literal["all", "vggt", "vae", "adapter", "diffusion", "distill", "decoders"], tyro.conf.Positional]
    """What to train; all: everything, one after the other, as the recipe of the preset says."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="RUN")] = None
    """Folder of the run: log, sample pictures, checkpoints and, at the end, export/ with the averaged weights."""
    preset: Literal["tiny", "small", "full", "lora", "micro"] = "small"
    """Sizes and schedule: tiny trains on a CPU, small on one GPU, full is Gen3R itself (adapter and diffusion), lora
    fine-tunes its diffusion on one card of 24 GB, micro is tiny with a narrower transformer, for ablations."""
    resume: bool = False
    """Go on from the newest checkpoint in the run's folder, exactly as if it had never stopped; from the start where
    there is none."""
    networks: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="FOLDER ...")] = ()
    """Runs or model folders with the networks this stage builds on, or names of downloaded models. The folders of the
    published VGGT-1B and of the base model Wan2.1-Fun Control-Camera (for its VAE and encoders) will do."""
    init: Annotated[str | None, tyro.conf.arg(metavar="MODEL")] = None
    """Start from the weights of this model folder, run, base model, downloaded model or safetensors file."""
    data: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="PATH ...")] = ()
    """What to train on: dataset folders, mixture files (.toml, .json), packs, or (diffusion) encoded clips."""
    validation: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="PATH ...")] = ()
    """What to validate on. Left out, the validation clips of the datasets to train on."""
    official_strides: bool = False
    """Draw the strides of diffusion clips as the official code does, which never reaches the largest (datasets of
    pictures; for encoded clips see --strides of gen3r data encode)."""
    lora: Annotated[int | None, tyro.conf.arg(metavar="RANK")] = None
    """Train low-rank updates of the diffusion transformer of --init, of this rank, and nothing else."""
    method: Literal["progressive", "perflow", "reflow", "consistency", "phased"] | None = None
    """How a student for few steps is taught (distill; docs/few_steps.md). Left out, the preset's."""
    few_steps: Count = None
    """Steps that the student is to go (distill). Left out, the preset's."""
    teacher_guidance: Annotated[float | None, tyro.conf.arg(metavar="W")] = None
    """Text guidance of the teacher, which the student learns with it (distill). Left out, the preset's."""
    codec: Literal["vggt-adapter", "vggt-adapter-nokl", "xyz", "depth-rays", "none"] | None = None
    """How geometry is coded in the joint latent: by VGGT and the adapter (vggt-adapter, also trained without alignment:
    -nokl), as point maps (xyz) or maps of depth and rays (depth-rays) through the video VAE, or not at all (none:
    VGGT reads the generated frames). Left out, the preset's."""
    clips: Count = None
    """Use at most this many training clips."""
    steps: Count = None
    """Optimizer steps. Left out, the preset's."""
    batch_size: Count = None
    """Items per process and micro-step (images for vggt). Left out, the preset's."""
    accumulate: Count = None
    """Micro-steps per optimizer step, in place of --global-batch. Left out, the preset's."""
    global_batch: Count = None
    """Samples per optimizer step over all processes, in place of --accumulate. Left out, the preset's."""
    sharding: Literal["none", "fsdp2", "deepspeed"] | None = None
    """What each of several processes holds: the whole model (none), its share of weights, gradients, optimizer and
    average (fsdp2), or whole weights and its share of the rest (deepspeed: ZeRO-2, pip install 'gen3r[deepspeed]').
    Left out, the preset's."""
    recompute: Literal["yes", "no"] | None = None
    """Compute activations again in the backward pass instead of keeping them. Left out, the preset's."""
    prefetch: Count = None
    """Micro-batches prepared ahead by threads. Left out, the preset's."""
    skip_nonfinite: Count = None
    """Steps with a NaN or infinite loss or gradient that are left out before the run stops. Left out, the preset's."""
    lr: Annotated[float | None, tyro.conf.arg(metavar="RATE")] = None
    """Peak learning rate. Left out, the preset's."""
    precision: Literal["fp32", "bf16"] | None = None
    """Arithmetic of the forward pass. Left out, the preset's."""
    threads: Count = None
    """CPU threads. Left out, the preset's."""
    seed: Count = None
    """Seed of weights, data order and noise. Left out, the preset's."""
    checkpoint_every: Count = None
    """Steps between checkpoints. Left out, the preset's."""
    validate_every: Count = None
    """Steps between validations; 0 for none. Left out, the preset's."""
    ema: Annotated[float | None, tyro.conf.arg(metavar="DECAY")] = None
    """Decay of the average of the weights that is exported, below 1; 0 for none. Left out, the preset's."""

    minutes: Annotated[float | None, tyro.conf.arg(metavar="M")] = None
    """Rest after so many minutes, everything saved before; the same command goes on (all). Left out, until the end."""
    total: Annotated[float | None, tyro.conf.arg(metavar="M")] = None
    """Minutes of training that all stages share, over any number of sittings (all). Left out, the preset's."""
    portable: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Keep a copy for another machine here: a few files below 15 MB, without optimizer state (all)."""
    portable_mb: Annotated[float | None, tyro.conf.arg(metavar="MB")] = None
    """Above this the copy has of the network under way its averaged weights alone (all). Left out, 56."""
    sources: Annotated[tuple[Path, ...], tyro.conf.arg(name="from", metavar="FOLDER ...")] = ()
    """Go on from portable copies, in a new --out; of each stage from the one that is furthest (all)."""

    dry_run: bool = False
    """Tell the memory of each device, the time of a step and the hours of the whole schedule; train nothing."""
    devices: Annotated[int, tyro.conf.arg(metavar="N")] = 1
    """Devices to plan for (--dry-run)."""
    device: Literal["rtx4090", "a100", "h20", "h100", "h200"] = "h100"
    """Kind of device to plan for (--dry-run)."""
    mfu: Annotated[float | None, tyro.conf.arg(metavar="SHARE")] = None
    """Share of the device's data-sheet speed to plan with (--dry-run). Left out, an assumption."""
    measured: Annotated[Path | None, tyro.conf.arg(metavar="RESULTS.json")] = None
    """Plan with the speed that benchmarks/training_step.py measured instead (--dry-run)."""

    def run(self) -> None:
        """Train to the end, or from the newest checkpoint to the end.

        Raises:
            ValueError: for a folder already in use, unusable packs, missing earlier networks, or options of a plan.
        """
        if self.dry_run and self.stage == "all":
            raise ValueError("a plan is of one stage; name it in place of all.")
        if self.dry_run:
            say(self.plan())
            return
        self._check_no_plan()
        if self.out is None:
            raise ValueError("expected --out RUN, the folder of the run; only --dry-run does without.")
        if self.out.exists() and not self.out.is_dir():
            raise ValueError(f"--out expects a folder, but {self.out} is a file; name another one.")
        if self.seed is not None:
            check_seed(self.seed)
        if self.stage == "all":
            train_all(self, self.overrides())
            return
        check_single(self)
        from rich.console import Console

        from gen3r.train.processes import Processes
        from gen3r.train.stages import train

        export = train(
            self.stage,
            self.preset,
            self.out,
            resume=self.resume,
            data=self.data,
            validation=self.validation,
            networks=self.networks,
            initial=self.init,
            lora=self.lora,
            distill=self.distillation(),
            official_strides=self.official_strides,
            codec=self.codec,
            overrides=self.overrides(),
            clips=self.clips,
            console=Console(stderr=True),
        )
        if Processes().main:
            say(f"Averaged weights in {export}")

    def plan(self) -> str:
        """What the run would take.

        Raises:
            ValueError: for settings that do not go together, a results file of something else, or distill.
        """
        if self.stage in ("distill", "decoders"):
            raise ValueError(f"there is no plan for {self.stage} yet; run a few steps of it, and look at the pace.")
        from gen3r.train.planning.devices import DEVICES, measured_speeds, speed_of
        from gen3r.train.planning.plan import clip_lengths, plan
        from gen3r.train.planning.words import describe
        from gen3r.train.stages import settings

        preset, loop = settings(self.stage, self.preset, self.overrides(), lora=self.lora, codec=self.codec)
        device = DEVICES[self.device]
        speed = speed_of(device, self.mfu)
        if self.measured is not None:
            frames = [count for count, _ in clip_lengths(self.stage, preset)]
            speed = measured_speeds(self.measured, self.stage, preset.name, device, frames, recompute=loop.recompute)
        return describe(plan(self.stage, preset, loop, devices=self.devices, speed=speed), device)

    def _check_no_plan(self) -> None:
        """Options that would be ignored are refused."""
        usual = {"devices": 1, "device": "h100", "mfu": None, "measured": None}
        given = [f"--{name}" for name, value in usual.items() if getattr(self, name) != value]
        if given:
            raise ValueError(f"{', '.join(given)}: for a plan alone, which --dry-run tells; a run uses what it finds.")

    def distillation(self) -> dict[str, int | float | str]:
        """The settings of distillation given on the command line."""
        given = {"method": self.method, "steps": self.few_steps, "guidance": self.teacher_guidance}
        return {name: value for name, value in given.items() if value is not None}

    def overrides(self) -> dict[str, int | float | str]:
        """The loop settings given on the command line."""
        given = {
            "steps": self.steps,
            "batch_size": self.batch_size,
            "accumulate": self.accumulate,
            "global_batch": self.global_batch,
            "sharding": self.sharding,
            "recompute": None if self.recompute is None else self.recompute == "yes",
            "prefetch": self.prefetch,
            "skip_nonfinite": self.skip_nonfinite,
            "lr": self.lr,
            "precision": self.precision,
            "threads": self.threads,
            "seed": self.seed,
            "checkpoint_every": self.checkpoint_every,
            "validate_every": self.validate_every,
            "ema_decay": self.ema,
        }
        return {name: value for name, value in given.items() if value is not None}
