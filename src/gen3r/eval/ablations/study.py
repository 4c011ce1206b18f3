"""A study: which variants of a preset are trained with which seeds, and what they share."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from gen3r.eval.ablations.variants import Group, chosen_groups
from gen3r.hub.networks import ADAPTER, VAE, VGGT_FOLDER
from gen3r.latents.codecs.registry import CODECS
from gen3r.presets import load_preset
from gen3r.presets.loop import LoopConfig
from gen3r.presets.stages import Preset
from gen3r.whole_file import whole_file

STUDY_FILE = "study.json"
"""What all runs in a folder have in common."""
Stage = Literal["vae", "vggt", "adapter", "diffusion"]
FOUNDATIONS: Mapping[Stage, str] = {"vae": VAE, "vggt": VGGT_FOLDER}
"""Stages that every variant builds on, and the network each makes."""


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """What is to be trained and measured. Paths are absolute."""

    out: str
    """Folder of runs and results."""
    preset: str
    """Name of the preset that is varied."""
    seeds: int = 2
    """Runs of every variant: of the seeds 0, 1, ..."""
    groups: tuple[str, ...] = ()
    """Which groups; none: all."""
    scale: float = 1.0
    """Steps of every stage, as a multiple of the preset's."""
    steps: int | None = None
    """Steps of diffusion in place of that; the other stages keep theirs."""
    data: tuple[str, ...] = ()
    """What to train on, see ``train``; none: generated clips."""
    clips: int | None = None
    """At most so many training clips."""
    networks: tuple[str, ...] = ()
    """Where a trained VGGT and VAE are; those that are nowhere are trained. Adapters always are, on equal terms."""
    seed_start: int = 900_000_000
    """Seed of the first held-out clip; the others follow."""
    count: int = 256
    """Held-out clips."""
    pack: str | None = None
    """A pack to take them from; made if there is none."""
    batch: int = 8
    """Clips that are generated together."""
    sampling_steps: int | None = None
    """Denoising steps; None: the preset's."""
    minutes: float | None = None
    """What a run was planned to take where ``steps`` follow from that; a note."""

    def __post_init__(self) -> None:
        for name in ("seeds", "count", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"expected {name} of at least 1, got {getattr(self, name)}.")
        if self.scale <= 0:
            raise ValueError(f"expected a scale of the steps above 0, got {self.scale}.")


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """One training run of a stage."""

    stage: Stage
    """What is trained."""
    preset: Preset
    """With the loop of the run."""
    key: str
    """Says what it is of; two variants that come to the same share the run."""

    @property
    def loop(self) -> LoopConfig:
        """Its schedule."""
        return getattr(self.preset, self.stage).loop

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.stage}-{self.key}"


class Study:
    """The runs of a ``StudyConfig``.

    Args:
        config: what is asked for.
        preset: takes the place of the one that ``config`` names.

    Raises:
        ValueError: for an unknown preset or group, or a preset of published networks.
    """

    def __init__(self, config: StudyConfig, preset: Preset | None = None) -> None:
        self.config, self.out, self._given = config, Path(config.out), preset
        self.groups: dict[str, Group] = chosen_groups(config.groups)
        self.base = prepared(preset or load_preset(config.preset), config)
        if self.base.diffusion.text is None or self.base.pretrained:
            raise ValueError(
                f"expected a preset that trains all its networks, such as micro, tiny or small, got {self.base.name}."
            )

    def whole(self) -> Study:
        """The same with all groups."""
        return Study(replace(self.config, groups=()), self._given)

    def run_of(self, group: str, variant: str, seed: int) -> PlannedRun:
        """The diffusion run of a variant and a seed."""
        preset = self.groups[group].variant(variant).change(self.base)
        loop = replace(preset.diffusion.loop, seed=seed)
        preset = replace(preset, diffusion=replace(preset.diffusion, loop=loop))
        return PlannedRun(stage="diffusion", preset=preset, key=_key(preset, *self._stages_behind(preset)))

    def adapter_of(self, run: PlannedRun) -> PlannedRun | None:
        """The adapter that a diffusion run builds on; None for codecs without. It has one seed for all runs."""
        if ADAPTER not in CODECS[run.preset.diffusion.codec].networks:
            return None
        return PlannedRun(stage="adapter", preset=run.preset, key=_key(run.preset, "adapter"))

    def encoding_of(self, run: PlannedRun) -> str:
        """Key of the encoded clips that a diffusion run is trained on: the same for all its seeds."""
        adapter, stage = self.adapter_of(run), run.preset.diffusion
        facts = [stage.codec, told(stage.conditioning), stage.subsets, stage.mirrored]
        return _digest([*facts, None if adapter is None else adapter.key])

    @cached_property
    def runs(self) -> dict[str, PlannedRun]:
        """Every diffusion run once, by key: group after group, in each seed after seed, so that rows fill evenly."""
        planned = [
            self.run_of(name, variant.name, seed)
            for name, group in self.groups.items()
            for seed in range(self.config.seeds)
            for variant in group.variants
        ]
        return {run.key: run for run in planned}

    @cached_property
    def adapters(self) -> dict[str, PlannedRun]:
        """Every adapter once, by key."""
        found = [self.adapter_of(run) for run in self.runs.values()]
        return {run.key: run for run in found if run is not None}

    @cached_property
    def foundations(self) -> dict[str, PlannedRun]:
        """VGGT and VAE by stage, for those that have to be trained here."""
        return {stage: PlannedRun(stage=stage, preset=self.base, key=_key(self.base, stage)) for stage in FOUNDATIONS}

    def begin(self, facts: Mapping[str, Any]) -> None:
        """Note in the folder what its runs have in common.

        Args:
            facts: JSON that says of what data and networks they are, see ``training.sources_of``.

        Raises:
            ValueError: if its runs are of another study. More groups, seeds and clips may be asked for at any time.
        """
        own = json.loads(json.dumps(self.identity() | dict(facts)))
        path = self.out / STUDY_FILE
        if path.is_file():
            known = json.loads(path.read_text(encoding="utf-8"))
            other = sorted(name for name in {**own, **known} if own.get(name) != known.get(name))
            if other:
                raise ValueError(
                    f"the runs in {self.out} are of a study with other {', '.join(other)}; go on with the same, or "
                    "use another folder."
                )
            return
        self.out.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.write_text(json.dumps(own, indent=2) + "\n", encoding="utf-8")

    def identity(self) -> dict[str, Any]:
        """What a folder's runs have in common, beside data and networks; where these lie does not matter."""
        facts = dataclasses.asdict(self.config)
        for name in ("out", "groups", "seeds", "count", "data", "networks", "pack"):
            del facts[name]
        return facts | {"loops": {stage: told(getattr(self.base, stage).loop) for stage in _STAGES}}

    def _stages_behind(self, preset: Preset) -> tuple[Stage, ...]:
        coded = CODECS[preset.diffusion.codec].networks
        return ("adapter", "diffusion") if ADAPTER in coded else ("diffusion",)


_STAGES: tuple[Stage, ...] = ("vae", "vggt", "adapter", "diffusion")


def prepared(preset: Preset, config: StudyConfig) -> Preset:
    """The preset with the steps of the study, without validation and pictures, and encoded alike for all seeds."""
    changes: dict[str, Any] = {}
    for name in _STAGES:
        stage = getattr(preset, name)
        steps = max(1, round(stage.loop.steps * config.scale))
        if name == "diffusion" and config.steps is not None:
            steps = config.steps
        warmup = min(stage.loop.warmup, max(1, steps // 10))
        loop = replace(stage.loop, steps=steps, warmup=warmup, seed=0, validate_every=0, sample_every=0)
        changes[name] = replace(stage, loop=loop)
    changes["diffusion"] = replace(changes["diffusion"], encoding_seed=0)
    return replace(preset, **changes)


def _key(preset: Preset, *stages: Stage) -> str:
    size = [preset.frames, preset.height, preset.width]
    return _digest([size, *(told(getattr(preset, stage)) for stage in stages)])


def told(value: Any) -> Any:
    """A config as JSON, without fields that have their defaults: fields that are added later change no key."""
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    return {
        field.name: told(getattr(value, field.name))
        for field in dataclasses.fields(value)
        if getattr(value, field.name) != _default(field)
    }


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
