"""What tells one run from another: JSON, kept in its checkpoints and compared when it goes on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gen3r.hub.networks import IMAGE_ENCODER, TEXT_ENCODER, VAE, VGGT_FOLDER
from gen3r.latents.codecs import DEFAULT_CODEC
from gen3r.latents.codecs.registry import encoders_of
from gen3r.presets.condition_noise import CLEAN
from gen3r.presets.stages import Preset
from gen3r.train.data_identity import data_identity
from gen3r.train.earlier import Parts
from gen3r.train.encoded import EncodedClips, identities
from gen3r.train.stage_data import FLOW_STAGES, Data

BUILT_ON: Mapping[str, Callable[[Preset], tuple[str, ...]]] = {
    "adapter": lambda preset: (VAE, VGGT_FOLDER),
    **dict.fromkeys(FLOW_STAGES, lambda preset: encoders_of(preset.diffusion.codec)),
}
"""Networks that say what a stage learns, beside text and image encoders that are not trained."""
_LATER: Mapping[str, Any] = {
    "codec": DEFAULT_CODEC,
    "alignment": 1.0,
    "view_curriculum": None,
    "statistics_clips": 64,
    "following": 0.0,
    "following_blocks": (),
    "encoding_seed": None,
    "condition_noise": dataclasses.asdict(CLEAN),
}
"""Settings that runs of before do not know, and what those did; only another value is a fact of a run."""


def facts_of(
    stage: str, preset: Preset, data: Data, encoders: Mapping[str, str], initial: str | Path | None
) -> dict[str, Any]:
    """The facts of a run of one stage; ``encoders`` as of `encoders_of_run`, ``initial``: where weights come from."""
    facts = {
        "stage": stage,
        "preset": preset.name,
        "network": dataclasses.asdict(preset.network_of(stage)),
        "data": data_identity(data),
        "encoders": dict(encoders),
        "settings": _settings_of(preset, stage),
    }
    if stage == "diffusion" and preset.diffusion.lora is not None:
        facts["lora"] = dataclasses.asdict(preset.diffusion.lora) | {"on": str(initial)}
    if stage in ("distill", "decoders"):
        facts["teacher"] = str(initial)
    return facts


def encoders_of_run(stage: str, preset: Preset, data: Data, parts: Parts, tokenizer: Path | None) -> Mapping[str, str]:
    """sha256 of the networks that say what is learnt: of encoded clips theirs, else of those that will encode."""
    if isinstance(data, EncodedClips):
        return data.latents.networks
    kinds = BUILT_ON[stage](preset) if stage in BUILT_ON else ()
    if stage in FLOW_STAGES and preset.diffusion.text is None:
        kinds = (*kinds, TEXT_ENCODER, IMAGE_ENCODER)
    return identities({kind: part for kind, part in parts.items() if kind in kinds}, tokenizer)


def _settings_of(preset: Preset, stage: str) -> dict[str, Any]:
    """What is not in the other facts."""
    settings = dataclasses.asdict(getattr(preset, stage))
    if stage in ("distill", "decoders"):  # the clips and conditions are those of stage 2
        settings = dataclasses.asdict(preset.diffusion) | settings
    if stage == "distill":
        settings["rank"] = preset.distill.lora
    return {
        name: value
        for name, value in settings.items()
        if name not in ("network", "loop", "lora") and (name not in _LATER or value != _LATER[name])
    }
