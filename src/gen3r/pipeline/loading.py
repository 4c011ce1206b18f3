"""A model by name to networks: where each goes, in which type, and the text encoder only if a prompt is new."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import torch

from gen3r.conditioning.text import TextEncoder
from gen3r.conditioning.text_cache import CachedTextEncoder, TextCache, files_identity
from gen3r.hub.layout import ModelFolder
from gen3r.hub.load import load_networks
from gen3r.hub.networks import TEXT_ENCODER, TOKENIZER_FILE, Networks, OpenModel, load_text_part
from gen3r.hub.registry import resolve_model
from gen3r.hub.source import DownloadPlan
from gen3r.hub.stream import Placement
from gen3r.pipeline.config import PipelineConfig
from gen3r.pipeline.memory import NARROWED, NETWORKS, PROFILES, MemoryProfile, profile_for


def read_networks(
    model: str | Path | ModelFolder,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    memory: MemoryProfile | None = None,
    text_cache: Path | None = None,
    revision: str | None = None,
    local_files_only: bool = False,
    announce: Callable[[DownloadPlan], None] | None = None,
) -> tuple[Networks, PipelineConfig]:
    """The networks and settings of a model; see ``Gen3RPipeline.from_pretrained`` for the arguments."""
    folder = resolve_model(model, revision=revision, local_files_only=local_files_only, announce=announce)
    places = one_place(device, dtype) if memory is None else memory.placements(device)
    traits = () if memory is None or TEXT_ENCODER not in memory.float8 else ("float8",)
    return load_networks(folder, PipelineConfig, places, None if text_cache is None else cached(text_cache, *traits))


def one_place(device: torch.device | str, dtype: torch.dtype | None) -> dict[str, Placement]:
    """Everything on ``device``, geometry in float32 and the others in ``dtype`` (None: float32 too)."""
    place = torch.device(device)
    return {name: Placement(device=place, dtype=dtype if name in NARROWED else None) for name in NETWORKS}


def chosen_memory(memory: object, device: torch.device | str, dtype: torch.dtype | None) -> MemoryProfile | None:
    """The profile that ``from_pretrained`` means: "auto" asks ``device``, and ``dtype`` replaces the profile's own.

    Raises:
        ValueError: for what is neither "auto" nor None nor a profile, such as the name of one.
    """
    profile = profile_for(device) if memory == "auto" else memory
    if profile is not None and not isinstance(profile, MemoryProfile):
        raise ValueError(
            f"expected memory to be 'auto', None or a profile such as gen3r.pipeline.memory.PROFILES[{min(PROFILES)}], "
            f"got {memory!r}."
        )
    return profile if profile is None or dtype is None else in_type(profile, dtype)


def in_type(memory: MemoryProfile, dtype: torch.dtype) -> MemoryProfile:
    """The profile with ``dtype`` in place of its own type for all networks but geometry."""
    return dataclasses.replace(memory, dtypes={**memory.dtypes, **dict.fromkeys(NARROWED, dtype)})


def cached(folder: Path, *traits: str) -> Callable[[OpenModel, int, Placement | None], TextEncoder]:
    """A maker of text encoders that keep their features in ``folder`` and are read for new prompts only.

    ``traits`` tell apart what changes features besides the files and the type.
    """

    def make(model: OpenModel, length: int, placement: Placement | None) -> TextEncoder:
        part = model.parts[TEXT_ENCODER]
        files = {tensor.file for tensor in part.weights.values()} | {model.tokenizer / TOKENIZER_FILE}
        dtype = None if placement is None else placement.dtype
        cache = TextCache(folder, files_identity(files, repr(part.config), str(dtype), *traits), length)
        return CachedTextEncoder(cache, lambda: load_text_part(model, length, placement))

    return make
