"""Memory profiles: where the networks live, in which type they are held, and how much they do at a time.

Profiles differ in where and when things are computed, not in what: they give the same scene bit by bit wherever
kernels do not depend on how many frames or branches of guidance they get, and to rounding elsewhere. Eight-bit storage,
which rounds more, is for profiles of one's own. ``docs/performance.md`` has the computed peak of each.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from gen3r.hub.networks import ADAPTER, IMAGE_ENCODER, TEXT_ENCODER, TRANSFORMER, VAE, VGGT_FOLDER, Networks
from gen3r.hub.stream import Placement
from gen3r.models.transformer import JointTransformer
from gen3r.pipeline.float8 import store_in_float8
from gen3r.pipeline.guidance import GuidanceMode
from gen3r.pipeline.residency import Residence, Residency

logger = logging.getLogger(__name__)

NETWORKS = (VAE, VGGT_FOLDER, ADAPTER, TRANSFORMER, TEXT_ENCODER, IMAGE_ENCODER)
"""Every network of a model folder, by the name of its folder."""
NARROWED = (VAE, TRANSFORMER, TEXT_ENCODER, IMAGE_ENCODER)
"""Those that half precision is for; VGGT and the adapter, whose depth is an exponential, stay float32."""
_NARROW: Mapping[str, tuple[str, ...]] = {
    TRANSFORMER: (*JointTransformer._skip_layerwise_casting_patterns, "^proj_out$"),
    TEXT_ENCODER: (),
}
"""Networks that can be stored in eight bits, with the layers that cannot: what every token passes through once, and the
time embedding."""
_WORKS_OFTEN = frozenset({TRANSFORMER})
_ONLY: Mapping[Residence, frozenset[str]] = {
    "streams": frozenset({TRANSFORMER, TEXT_ENCODER}),
    "cpu": frozenset({TEXT_ENCODER}),
}
"""Residences that not every network can have: blocks all below one module, inputs and results that are small."""


@dataclass(frozen=True, kw_only=True)
class MemoryProfile:
    """How a pipeline stays within the memory of a device."""

    name: str
    """What ``--vram`` calls it."""
    notes: str
    """What it does, for people."""
    residence: Mapping[str, Residence]
    """Where each of ``NETWORKS`` lives, see ``pipeline.residency``."""
    dtypes: Mapping[str, torch.dtype] = field(default_factory=lambda: dict.fromkeys(NARROWED, torch.bfloat16))
    """Type each network is loaded in; one that is not named, as VGGT and the adapter, is float32."""
    float8: frozenset[str] = frozenset()
    """Networks whose linear layers keep their weights in eight bits (``transformer``, ``text_encoder``): half the
    memory, and weights off by 2.6 %. No profile below needs it, as streamed blocks are small in any type."""
    guidance: GuidanceMode = "passes"
    """How the two branches of guidance are computed; ``batch`` doubles the activations of the transformer."""
    head_frames: int = 8
    """Frames per call of VGGT's dense heads. The VAE and the adapter always work through one latent frame at a time."""

    def __post_init__(self) -> None:
        if set(self.residence) != set(NETWORKS):
            raise ValueError(
                f"profile {self.name} must say where each network lives: {', '.join(NETWORKS)}; "
                f"got {', '.join(self.residence)}."
            )
        for name, home in self.residence.items():
            if name not in _ONLY.get(home, NETWORKS):
                raise ValueError(
                    f"profile {self.name} can have {' and '.join(sorted(_ONLY[home]))} live as {home!r}, got {name}."
                )
        if not self.float8 <= set(_NARROW):
            raise ValueError(
                f"profile {self.name} can store {' and '.join(_NARROW)} in eight bits, got {', '.join(self.float8)}."
            )

    def placements(self, device: torch.device | str) -> dict[str, Placement]:
        """Device and type to load each network with: only what is to live on ``device`` is read straight to it."""
        return {
            name: Placement(
                device=torch.device(device) if home == "device" else torch.device("cpu"), dtype=self.dtypes.get(name)
            )
            for name, home in self.residence.items()
        }

    def residency(self, device: torch.device) -> Residency:
        """What brings networks to ``device`` as this profile says."""
        return Residency(device, self.residence, pinned=_WORKS_OFTEN)

    def store(self, name: str, network: nn.Module) -> None:
        """Narrow the stored weights of a network, in place, if this profile does that."""
        if name in self.float8:
            store_in_float8(network, keep=_NARROW[name])


def networks_by_name(networks: Networks) -> dict[str, nn.Module]:
    """The networks under the names that profiles use."""
    named: dict[str, nn.Module] = {
        VAE: networks.appearance,
        **networks.geometry.parts(),
        TRANSFORMER: networks.transformer,
        TEXT_ENCODER: networks.text,
    }
    return named if networks.image is None else named | {IMAGE_ENCODER: networks.image}


def _everywhere(residence: Residence, **others: Residence) -> dict[str, Residence]:
    return {name: others.get(name, residence) for name in NETWORKS}


PROFILES: Mapping[int, MemoryProfile] = {
    8: MemoryProfile(
        name="8",
        notes="Each network comes while it works, transformer and text encoder block by block. VGGT cannot read a "
        "whole clip at once.",
        residence=_everywhere("visits", transformer="streams", text_encoder="streams"),
        head_frames=2,
    ),
    12: MemoryProfile(
        name="12",
        notes="Each network comes while it works, the text encoder (11.4 GB) block by block.",
        residence=_everywhere("visits", text_encoder="streams"),
        head_frames=2,
    ),
    16: MemoryProfile(
        name="16",
        notes="Each network comes while it works.",
        residence=_everywhere("visits"),
        head_frames=4,
    ),
    24: MemoryProfile(
        name="24",
        notes="Text encoder (11.4 GB) and VGGT (4.8 GB) come while they work, the others stay.",
        residence=_everywhere("device", text_encoder="visits", vggt="visits"),
    ),
    48: MemoryProfile(
        name="48",
        notes="Everything stays on the device (22.2 GB of weights), both branches of guidance in one batch.",
        residence=_everywhere("device"),
        guidance="batch",
    ),
    80: MemoryProfile(
        name="80",
        notes="Everything stays on the device, both branches of guidance in one batch; VGGT's heads read more frames "
        "at a time.",
        residence=_everywhere("device"),
        guidance="batch",
        head_frames=16,
    ),
}
"""By gigabytes (10^9 bytes) of device memory, for the released model at 49 x 560 x 560."""


def profile_for(device: torch.device | str) -> MemoryProfile | None:
    """The profile for the memory of a CUDA device; None for devices that share the memory of the host."""
    device = torch.device(device)
    if device.type != "cuda":
        return None
    return largest_profile(torch.cuda.get_device_properties(device).total_memory / 1e9)


def largest_profile(gigabytes: float) -> MemoryProfile:
    """The largest profile within ``gigabytes`` (10^9 bytes).

    Less memory than the smallest profile asks for gets that one, with a warning: smaller clips may still fit.
    """
    if gigabytes < min(PROFILES):
        logger.warning(
            "%.1f GB of device memory is less than the smallest memory profile asks for (%d GB): make clips shorter or "
            "smaller if memory runs out.",
            gigabytes,
            min(PROFILES),
        )
    return PROFILES[max((size for size in PROFILES if size <= gigabytes), default=min(PROFILES))]
