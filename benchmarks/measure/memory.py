"""Device memory of a scene, computed: weights that are there at once, and activations counted without values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gen3r.cameras import Cameras
from gen3r.conditioning.cameras import camera_rays_packed, relative_cameras
from gen3r.hub.networks import ADAPTER, IMAGE_ENCODER, TEXT_ENCODER, TRANSFORMER, VAE, VGGT_FOLDER
from gen3r.latents.codecs import VGGTAdapterCodec
from gen3r.latents.grid import LatentGrid
from gen3r.pipeline.decode import eight_bit
from gen3r.pipeline.memory import PROFILES, MemoryProfile
from gen3r.train.planning.tracing import ASIDE, LiveBytes
from measure.counting import SHAPES, shapes_alone, transformer_inputs
from measure.networks import MAKERS, Place, appearance_codec
from measure.sizes import Sizes

STREAMED_BLOCKS = 2
"""Blocks of a streaming network on the device at once: the one that works and the next."""
SPARE = 10**9
"""Bytes of a card that are left to driver, libraries and the allocator when views are reckoned."""


def peak_bytes(work: Callable[[], object]) -> int:
    """The most that ``work`` holds at once beyond what was there before."""
    with torch.no_grad(), LiveBytes() as live:
        work()
    return live.peak


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of a scene's making."""

    at_work: Mapping[str, tuple[nn.Module, ...]]
    """What is brought where it works, by the network it belongs to."""
    activations: Callable[[MemoryProfile], int]
    """Bytes besides weights, inputs included."""


def estimate(sizes: Sizes, grid: LatentGrid) -> dict[str, Any]:
    """Bytes for each profile and stage: weights and activations; what stays, and what is in host memory.

    Counted on tensors without values on a CPU, so that what kernels need for themselves is not in it.
    """
    with shapes_alone():
        networks = {
            name: make(sizes, Place(device=SHAPES.device, dtype=PROFILES[48].dtypes.get(name, torch.float32)))
            for name, make in MAKERS.items()
        }
        stages = _stages(sizes, grid, networks)
        profiles = {str(size): _profile(size, grid, networks, stages) for size in PROFILES}
        return {"weights": {name: weight_bytes(network) for name, network in networks.items()}, "profiles": profiles}


def _profile(
    size: int, grid: LatentGrid, networks: Mapping[str, nn.Module], stages: Mapping[str, Stage]
) -> dict[str, Any]:
    profile = PROFILES[size]
    stays = sum(weight_bytes(networks[name]) for name, home in profile.residence.items() if home == "device")
    host = sum(weight_bytes(networks[name]) for name, home in profile.residence.items() if home != "device")
    rows = {}
    for key, stage in stages.items():
        weights = stays + sum(
            brought_bytes(profile.residence[name], networks[name], parts) for name, parts in stage.at_work.items()
        )
        activations = stage.activations(profile)
        rows[key] = {"weights": weights, "activations": activations, "total": weights + activations}
    one, all_views = rows["one_view"], rows.pop("all_views")
    per_view = (all_views["activations"] - one["activations"]) / (grid.frames - 1)
    room = size * 10**9 - SPARE - one["weights"] - one["activations"]
    return {
        "residence": dict(profile.residence),
        "guidance": profile.guidance,
        "head_frames": profile.head_frames,
        "stays": stays,
        "host": host,
        "stages": rows,
        "views_at_once": max(0, int(1 + room / per_view)),
    }


def weight_bytes(module: nn.Module) -> int:
    """Bytes of the parameters of a network; tied ones count once."""
    return sum(parameter.numel() * parameter.element_size() for parameter in module.parameters())


def brought_bytes(home: str, network: nn.Module, parts: Iterable[nn.Module]) -> int:
    """Bytes that come to the device when ``parts`` of a network work."""
    if home == "visits":
        return sum(map(weight_bytes, parts))
    if home != "streams":
        return 0
    stack = next(m for m in network.modules() if any(isinstance(child, nn.ModuleList) for child in m.children()))
    lists = [child for child in stack.children() if isinstance(child, nn.ModuleList)]
    blocks = sorted((weight_bytes(block) for blocks in lists for block in blocks), reverse=True)
    return weight_bytes(stack) - sum(blocks) + sum(blocks[:STREAMED_BLOCKS])


# what each stage holds ----------------------------------------------------------------------------------------------


def _stages(sizes: Sizes, grid: LatentGrid, networks: Mapping[str, Any]) -> dict[str, Stage]:
    text, image, transformer = networks[TEXT_ENCODER], networks[IMAGE_ENCODER], networks[TRANSFORMER]
    vggt, adapter = networks[VGGT_FOLDER], networks[ADAPTER]
    codec, geometry = appearance_codec(sizes, networks[VAE], SHAPES.device), VGGTAdapterCodec(vggt, adapter)
    heads = (vggt.depth_head, vggt.point_head, vggt.camera_head)
    half = (1, grid.joint_shape[0], grid.latent_frames, *grid.latent_size)

    def video() -> Tensor:
        return torch.empty(1, grid.frames, 3, *grid.size)

    def encode_text() -> None:
        ids = torch.zeros(1, sizes.transformer.text_length, dtype=torch.long)
        text.encoder(input_ids=ids, attention_mask=torch.ones_like(ids))

    def read(views: int) -> Callable[[], object]:
        return lambda: vggt.aggregate(torch.empty(1, views, 3, *grid.size))

    def encode_image() -> None:
        shown, side = video(), sizes.image.image_size
        image.vision(pixel_values=torch.empty(1, 3, side, side, dtype=networks[IMAGE_ENCODER].vision.dtype))
        del shown

    def make_rays() -> None:
        shown = video()
        cameras = Cameras.from_fov(torch.eye(4).expand(1, grid.frames, 4, 4), 1.0, grid.height, grid.width)
        camera_rays_packed(relative_cameras(cameras, None), grid.size).to(transformer.dtype)
        del shown

    def denoise(batch: int) -> Callable[[], object]:
        def work() -> None:
            inputs = transformer_inputs(sizes, grid)
            told = {name: inputs[name].to(transformer.dtype) for name in ("text", "camera", "image")}
            del inputs["camera"]
            statics = []
            for _ in range(2 // batch):  # both branches are kept
                several = {name: torch.cat([part] * batch) for name, part in told.items()} if batch > 1 else told
                statics.append(transformer.prepare(several["text"], several["camera"], several["image"]))
            several = {name: inputs[name].repeat(batch, *[1] * (inputs[name].ndim - 1)) for name in inputs}
            for static in statics * 2:
                transformer(several["latents"], several["timestep"], several["control"], static=static)

        return work

    def decode_frames() -> None:
        for frames in codec.stream_decode(torch.empty(half)):
            eight_bit(frames).to(ASIDE)

    counted = {
        "text": peak_bytes(encode_text),
        "one_view": peak_bytes(read(1)),
        "vae_encode": peak_bytes(lambda: codec.encode(video())),
        "image": peak_bytes(encode_image),
        "rays": peak_bytes(make_rays),
        "vae_decode": peak_bytes(decode_frames),
        "all_views": peak_bytes(read(grid.frames)),
    }
    passes = {mode: peak_bytes(denoise(batch)) for mode, batch in (("passes", 1), ("batch", 2))}
    decoded = {
        frames: peak_bytes(
            lambda frames=frames: geometry.decode(torch.empty(half), grid.token_grid, grid.size, frames, ASIDE)
        )
        for frames in sorted({profile.head_frames for profile in PROFILES.values()})
    }

    def stage(key: str, **at_work: tuple[nn.Module, ...]) -> Stage:
        return Stage(at_work=at_work, activations=lambda profile: counted[key])

    return {
        "text": stage("text", **{TEXT_ENCODER: (text,)}),
        "one_view": stage("one_view", **{VGGT_FOLDER: (vggt.aggregator,)}),
        "vae_encode": stage("vae_encode", **{VAE: (codec,)}),
        "image": stage("image", **{IMAGE_ENCODER: (image,)}),
        "rays": stage("rays"),
        "transformer": Stage(
            at_work={TRANSFORMER: (transformer,)},
            activations=lambda profile: passes[profile.guidance],
        ),
        "vae_decode": stage("vae_decode", **{VAE: (codec,)}),
        "geometry_decode": Stage(
            at_work={ADAPTER: (adapter,), VGGT_FOLDER: heads},
            activations=lambda profile: decoded[profile.head_frames],
        ),
        "all_views": stage("all_views", **{VGGT_FOLDER: (vggt.aggregator,)}),
    }
