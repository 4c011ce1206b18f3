"""Memory of each device, time of a step and hours in all, from a preset alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gen3r.presets.loop import LoopConfig
from gen3r.presets.stages import Preset
from gen3r.train.loading import micro_steps
from gen3r.train.planning.devices import Speed
from gen3r.train.planning.footprint import Footprint, Memory, footprint, step_flops
from gen3r.train.planning.steps import STEPS, Clips


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A part of a run with clips of one length."""

    frames: int
    """Frames per clip."""
    share: float
    """Of the steps."""
    clips: int
    """Of a micro-batch."""
    speed: Speed
    """Of each device."""
    flops: int
    """Of one micro-batch, forward and backward, none of them twice."""
    stored: Memory
    """With activations kept for the backward pass."""
    recomputed: Memory | None
    """With those of blocks computed again; None where a network cannot."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run will take."""

    preset: str
    """Its name."""
    stage: str
    """Its name."""
    loop: LoopConfig
    """The schedule."""
    devices: int
    """One process each."""
    accumulate: int
    """Micro-batches of each per step."""
    samples: int
    """Clips per step (micro-batches of images for vggt)."""
    trained: int
    """Numbers in trained weights."""
    frozen: int
    """Numbers in weights that are at work and not trained."""
    phases: tuple[Phase, ...]
    """In their order."""

    def memory(self, phase: Phase) -> Memory:
        """As the run is configured."""
        return phase.recomputed if self.loop.recompute and phase.recomputed is not None else phase.stored

    @property
    def worst(self) -> Phase:
        """The phase that needs most memory."""
        return max(self.phases, key=lambda phase: self.memory(phase).total)

    @property
    def most(self) -> int:
        """Bytes on each device in the phase that needs most."""
        return self.memory(self.worst).total

    def seconds(self, phase: Phase) -> float:
        """Of an optimizer step; exchanging gradients is taken to hide behind computing."""
        return self.accumulate * phase.flops / phase.speed.flops

    @property
    def device_hours(self) -> float:
        """Of all devices together, for the whole schedule."""
        return sum(phase.share * self.loop.steps * self.seconds(phase) for phase in self.phases) * self.devices / 3600


def plan(stage: str, preset: Preset, loop: LoopConfig, *, devices: int, speed: Speed | Mapping[int, Speed]) -> Plan:
    """Trace the micro-step of a stage at full size, on tensors without values.

    Args:
        stage: its name.
        preset: sizes and schedules.
        loop: the stage's schedule after overrides.
        devices: how many processes train, each on its own.
        speed: of each device, or that by the number of frames per clip.

    Raises:
        ValueError: for an unknown stage, or if the samples of a step cannot be shared by so many devices.
    """
    if stage not in STEPS:
        raise ValueError(f"unknown stage {stage!r}; choose one of {', '.join(STEPS)}.")
    if devices < 1:
        raise ValueError(f"expected at least one device, got {devices}.")
    accumulate = micro_steps(loop, loop.batch_size, devices)
    phases = []
    for frames, share in clip_lengths(stage, preset):
        clips = Clips(max(1, loop.batch_size // frames) if stage == "vggt" else loop.batch_size, frames)

        def needs(recompute: bool, clips: Clips = clips) -> Footprint:
            return footprint(stage, preset, clips, loop, devices=devices, accumulate=accumulate, recompute=recompute)

        stored = needs(False)
        recomputed = None if stage == "vae" else needs(True).memory
        flops = step_flops(stage, preset, clips, loop)
        phases.append(
            Phase(
                frames=frames,
                share=share,
                clips=clips.count,
                speed=speed[frames] if isinstance(speed, Mapping) else speed,
                flops=flops,
                stored=stored.memory,
                recomputed=recomputed,
            )
        )
    return Plan(
        preset=preset.name,
        stage=stage,
        loop=loop,
        devices=devices,
        accumulate=accumulate,
        samples=accumulate * loop.batch_size * devices,
        trained=stored.trained,
        frozen=stored.frozen,
        phases=tuple(phases),
    )


def clip_lengths(stage: str, preset: Preset) -> list[tuple[int, float]]:
    """Frames per clip and share of the steps, in their order."""
    curriculum = preset.adapter.curriculum if stage == "adapter" else ()
    starts = [start for start, _ in curriculum] + [1.0]
    listed = [(frames, after - start) for (start, frames), after in zip(curriculum, starts[1:], strict=True)]
    return listed or [(preset.frames, 1.0)]
