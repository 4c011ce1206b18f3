"""What the transformer is told, and whole denoising runs, against the official pipeline and training code."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from gen3r.cameras import Cameras
from gen3r.conditioning.condition import Conditioner, ConditioningConfig
from gen3r.conditioning.temporal import fold_frames
from gen3r.conditioning.text import TextEncoder
from gen3r.conditioning.views import official_view_frames
from gen3r.hub.load import Networks
from gen3r.latents.codecs import VGGTAdapterCodec
from gen3r.latents.grid import LatentGrid
from gen3r.latents.joint import both, pair, split
from gen3r.latents.tokens import pack_tokens
from gen3r.models.adapter import AdapterConfig, GeometryAdapter
from gen3r.models.posterior import Posterior
from gen3r.models.vggt import VGGT, VGGTConfig
from gen3r.pipeline import Gen3RPipeline, PipelineConfig
from gen3r.pipeline.numerics import NUMERICS
from parity._goldens import Golden, goldens
from parity._networks import (
    StoredDraw,
    StoredNoise,
    appearance_codec,
    image_encoder,
    text_encoder,
    text_features,
    transformer,
)

OFFICIAL = NUMERICS["official"].conditioning(ConditioningConfig(normalize_scale=False))
NEGATIVE = "the other branch of guidance"


def tasks_of(golden: Golden) -> list[str]:
    """Names of the tasks in a golden: 1view, 2view, allview."""
    return [key.removesuffix("_control") for key in golden.tensors if key.endswith("view_control")]


def given_frames(task: str, frames: int) -> Tensor:
    """[1, F]: which frames a task shows."""
    views = {"1view": 1, "2view": 2, "allview": frames}[task]
    given = torch.zeros(1, frames, dtype=torch.bool)
    given[0, official_view_frames(views, frames)] = True
    return given


class StoredGeometry:
    """Stands in for VGGT and adapter: returns the stored latents and remembers which frames were not black."""

    def __init__(self, latents: Tensor) -> None:
        self.latents = latents
        self.frames_seen = torch.empty(0)

    def encode(self, images: Tensor, /) -> Posterior:
        self.frames_seen = images.flatten(2).abs().amax(-1)[0] > 0
        zeros = torch.zeros_like(self.latents)
        return StoredDraw(mean=self.latents, logvar=zeros, noise=zeros)


@pytest.mark.parametrize("golden", goldens("pipeline_packing"), ids=str)
@torch.no_grad()
def test_control_and_cameras(golden: Golden) -> None:
    video = golden["images_u8"][None] / 255
    codec = appearance_codec(golden.used("vae"))
    conditioner = Conditioner(StoredNoise(codec, golden["eps"]), OFFICIAL)
    tasks = tasks_of(golden)
    assert len(tasks) == 3
    for task in tasks:
        given = given_frames(task, video.shape[1])
        golden.check(f"{task}_control", conditioner.control(video, given))
        masked = video * given[:, :, None, None, None]
        golden.check(f"{task}_posterior_mean", codec.encode(masked).mean)
    packed = both(fold_frames(golden["plucker"]))
    golden.check("y_camera", packed, exact=True)
    encoder = text_encoder(golden.used("t5"))
    for ids, features in (("negative_ids", "context_uncond"), ("prompt_ids", "context_cond")):
        golden.check(features, text_features(encoder, golden[ids])[0])


@pytest.mark.parametrize("golden", goldens("train_control"), ids=str)
@torch.no_grad()
def test_training_control_encodes_geometry(golden: Golden) -> None:
    video = golden["pixel_values_u8"][None] / 255
    codec = appearance_codec(golden.used("vae"))
    geometry = StoredGeometry(golden["geometry_latents"])
    config = ConditioningConfig(control_geometry="encoded", sample_control=True)
    conditioner = Conditioner(StoredNoise(codec, golden["eps"]), config, geometry=geometry)
    tasks = tasks_of(golden)
    assert len(tasks) == 3
    for task in tasks:
        golden.check(f"{task}_control", conditioner.control(video, given_frames(task, video.shape[1])))
        golden.check(f"{task}_frames_seen", geometry.frames_seen)
    layers = {int(key.rsplit("_", 1)[1]): golden[key] for key in golden.tensors if key.startswith("vggt_tokens_")}
    grid = golden.shape("vggt_latents")[-2:]
    golden.check("vggt_latents", pack_tokens([layers[index] for index in sorted(layers)], grid), exact=True)
    clean = StoredNoise(codec, golden["eps_latents"]).encode(video).sample()
    golden.check("combined_latents", pair(clean, golden["geometry_latents"]))


class StoredPrompts(TextEncoder):
    """Stored features by prompt: goldens hold token ids, not words."""

    def __init__(self, features: dict[str, Tensor]) -> None:
        torch.nn.Module.__init__(self)
        self.features = features

    def encode(self, prompts: Sequence[str]) -> Tensor:
        return torch.stack([self.features[prompt] for prompt in prompts])


def small_geometry() -> VGGTAdapterCodec:
    """What a pipeline needs besides, and denoising does not use."""
    vggt = VGGTConfig(
        image_size=28, embed_dim=16, patch_embed="conv", depth=4, heads=2, kept_layers=(0, 1, 2, 3), camera_depth=1,
        camera_heads=2, dense_features=8, dense_channels=(8, 8, 8, 8), dense_hidden=4,
    )  # fmt: skip
    return VGGTAdapterCodec(VGGT(vggt), GeometryAdapter(AdapterConfig(hidden=4, token_channels=160, resample_scale=4)))


def runs_of(golden: Golden) -> list[str]:
    """Names of the denoising runs in a golden, such as 1view_camera or allview_free."""
    keys = [key for key in golden.entry["tensors"] if key.endswith("_latents") and not key.endswith("_step_latents")]
    return [key.removesuffix("_latents") for key in keys]


RUNS = [
    pytest.param(golden, run, id=f"{golden}-{run}") for golden in goldens("pipeline_e2e") for run in runs_of(golden)
]


@pytest.mark.parametrize(("golden", "run"), RUNS)
@torch.no_grad()
def test_denoising_run(golden: Golden, run: str) -> None:
    task, cameras = run.split("_")
    call = golden.entry["call"]
    grid = LatentGrid(call["num_frames"], call["height"], call["width"], patch=16)
    codec = appearance_codec(golden.used("vae"))
    model = transformer(golden.used("transformer"))
    poses = Cameras.from_world_from_camera(golden["c2w"][None], golden["K"][None], *grid.size)
    video = golden["images_u8"][None] / 255
    prompts = text_features(text_encoder(golden.used("t5")), golden["negative_ids"], golden["prompt_ids"])
    networks = Networks(
        appearance=codec,
        geometry=small_geometry(),
        transformer=model,
        text=StoredPrompts({NEGATIVE: prompts[0]}),
        image=image_encoder(golden.used("clip")),
    )
    config = PipelineConfig(
        name="official", negative_prompt=NEGATIVE, conditioning=ConditioningConfig(normalize_scale=False)
    )
    pipeline = Gen3RPipeline(networks, config, numerics="official")
    conditioner = pipeline.conditioner
    assert conditioner.config == OFFICIAL
    conditioner.appearance = StoredNoise(codec, golden["eps"])
    condition = conditioner(
        video, given_frames(task, grid.frames), prompts[1:], poses if cameras == "camera" else None, grid=grid
    )
    golden.check(f"{task}_control", condition.control)
    head = golden["clip_fea_head"]
    assert condition.image is not None
    golden.check("clip_fea_head", condition.image[:, : head.shape[1]])

    calls: list[tuple[Tensor, Tensor]] = []
    model.register_forward_hook(lambda _model, inputs, velocity: calls.append((inputs[0], velocity)))
    latents = pipeline.denoise(
        golden["noise"], condition, steps=call["num_inference_steps"], guidance=float(call["guidance_scale"])
    )
    (seen, positive), (_, negative) = (tuple(zip(*calls[branch::2], strict=True)) for branch in (0, 1))
    predicted = [torch.cat([negative[step], positive[step]]) for step in (0, -1)]
    golden.check(f"{run}_noise_pred", torch.stack(predicted))
    golden.check(f"{run}_step_latents", torch.stack(seen[1:]))
    golden.check(f"{run}_latents", latents)
    if f"{run}_rgb" in golden.tensors:
        golden.check(f"{run}_rgb", codec.decode(split(latents)[0]).transpose(1, 2))
