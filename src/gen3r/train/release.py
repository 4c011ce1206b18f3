"""From finished runs to a model folder that ``Gen3RPipeline.from_pretrained`` reads.

python -m gen3r.train.release --runs RUN_VGGT RUN_VAE RUN_ADAPTER RUN_DIFFUSION --preset tiny --out FOLDER
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from gen3r.hub.folder import load_network
from gen3r.hub.load import ADAPTER, TRANSFORMER, VAE, VGGT_FOLDER, Networks, load_text, load_vae, save_networks
from gen3r.latents.appearance import AppearanceCodec
from gen3r.latents.geometry import GeometryCodec
from gen3r.models.adapter import AdapterConfig, GeometryAdapter
from gen3r.models.transformer import JointTransformer, TransformerConfig
from gen3r.models.vggt import VGGT, VGGTConfig
from gen3r.pipeline.config import PipelineConfig
from gen3r.presets import load_preset
from gen3r.presets.stages import Preset


@dataclass(frozen=True, kw_only=True)
class ReleaseConfig:
    """What to put together."""

    runs: tuple[Path, ...]
    """Runs of all four stages, or their exports; the first that has a network provides it."""
    preset: str
    """Preset the stages were trained with."""
    out: Path
    """Model folder to write; an older model folder there is replaced."""
    revision: str
    """Which training this is, for provenance."""
    max_travel: float | None = None
    """Farthest camera displacement in the training clips, in mean depths of the first view."""
    steps: int | None = None
    """Default denoising steps; the preset's if left out."""
    half: bool = True
    """Store weights as float16: half the size; networks still run in float32."""


def release(config: ReleaseConfig, preset: Preset | None = None) -> Path:
    """Collect the networks of ``config.runs`` into ``config.out``; ``preset`` replaces the named one.

    Raises:
        ValueError: naming the network that no run has.
    """
    preset = preset or load_preset(config.preset)
    vae = load_vae(_find(config.runs, VAE))
    stage = preset.diffusion
    transformer_folder = _find(config.runs, TRANSFORMER)
    networks = Networks(
        appearance=AppearanceCodec(vae, vae.config.latents_mean, vae.config.latents_std),
        geometry=GeometryCodec(
            load_network(VGGT, VGGTConfig, _find(config.runs, VGGT_FOLDER)),
            load_network(GeometryAdapter, AdapterConfig, _find(config.runs, ADAPTER)),
        ),
        transformer=load_network(JointTransformer, TransformerConfig, transformer_folder),
        text=load_text(transformer_folder.parent, stage.text.length),
    )
    settings = PipelineConfig(
        name=preset.name,
        revision=config.revision,
        frames=preset.frames,
        height=preset.height,
        width=preset.width,
        steps=preset.steps if config.steps is None else config.steps,
        guidance=preset.guidance,
        shift=stage.shift,
        text_length=stage.text.length,
        max_travel=config.max_travel,
        scene_cameras=preset.scene_cameras,
        conditioning=stage.conditioning,
    )
    save_networks(networks, settings, config.out, torch.float16 if config.half else None)
    return config.out


def _find(runs: tuple[Path, ...], name: str) -> Path:
    for run in runs:
        for folder in (run / name, run / "export" / name):
            if (folder / "config.json").is_file():
                return folder
    raise ValueError(
        f"expected a run with an exported {name}, found none in {', '.join(map(str, runs))}; train it first."
    )


def main() -> None:
    """Command line of this module."""
    import tyro

    release(tyro.cli(ReleaseConfig))


if __name__ == "__main__":
    main()
