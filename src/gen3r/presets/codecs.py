"""The same model with another geometry codec: one name sets everything that goes with it."""

from __future__ import annotations

from dataclasses import replace

from gen3r.latents.codecs import CodecName
from gen3r.latents.codecs.registry import CODECS
from gen3r.presets.stages import Preset


def with_codec(preset: Preset, codec: CodecName) -> Preset:
    """``preset`` with this codec; sizes, schedule and data stay what they are.

    ``vggt-adapter-nokl`` trains its adapter without alignment. A joint latent of one half is one picture, whose columns
    are counted once: the rotary positions of the transformer are not shared. It has as many weights as before. Codecs
    that do not encode the geometry of images alone are not told that of the given views.

    Raises:
        ValueError: for an unknown codec, listing the known ones.
    """
    if codec not in CODECS:
        raise ValueError(f"unknown codec {codec!r}; choose one of {', '.join(CODECS)}.")
    network, conditioning, kind = preset.diffusion.network, preset.diffusion.conditioning, CODECS[codec]
    if kind.halves == 1:
        network = replace(network, shared_rope=False)
    if kind.halves == 1 or kind.needs_truth:
        conditioning = replace(conditioning, control_geometry="zeros")
    adapter = replace(preset.adapter, alignment=0.0) if codec == "vggt-adapter-nokl" else preset.adapter
    diffusion = replace(preset.diffusion, codec=codec, network=network, conditioning=conditioning)
    return replace(preset, diffusion=diffusion, adapter=adapter)
