"""Noise on conditions in training: they alone change, as often as is said, and as a function of the sample."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from gen3r.cameras.cameras import Cameras
from gen3r.conditioning.condition import Conditioner, ConditioningConfig, DropRates
from gen3r.conditioning.views import ViewSampler
from gen3r.latents.appearance import AppearanceCodec
from gen3r.models.transformer import TransformerConfig
from gen3r.models.vae import LinearShortcutVAE, VAEConfig
from gen3r.presets.condition_noise import ConditionNoise
from gen3r.presets.stages import DiffusionStage, TextConfig
from gen3r.train import augment
from gen3r.train.condition_noise import spoiled_views, wrong_cameras
from gen3r.train.latent_batches import ClipVideos, LatentBatches
from gen3r.train.latents import LatentCache
from gen3r.train.latents.views import FIXED_CHOICES, NOTHING, view_choices
from gen3r.train.objectives.vggt import ViewBatches
from gen3r.train.rng import generator
from gen3r.train.sources import PackedClips
from gen3r.train.spoiled_latents import SpoiledLatents, encode_spoiled
from gen3r.train.tokenizer import small_text_encoder
from train.tiny_run import loop_config, write_pack

CLIPS, FRAMES, SIDE, SUBSETS = 2, 5, 32, 1
TEXT = TextConfig(length=8, width=16, layers=1, heads=2, ffn=16, vocabulary=300)
BARELY = ConditionNoise(views=1.0, view_strengths=(("defocus", 1e-6),))
NOISE = ConditionNoise(cameras=1.0, views=1.0, view_strengths=(("low-light", 4.0),))
EVENLY = ViewSampler(anything=1.0, nothing=1.0)


def stage_of(noise: ConditionNoise, **changes: Any) -> DiffusionStage:
    network = TransformerConfig(
        num_attention_heads=2, attention_head_dim=12, num_layers=1, ffn_dim=16, text_dim=16, text_length=8, freq_dim=16,
        image_dim=None, camera_downsample_first=True, camera_residual_kernel=1,
    )  # fmt: skip
    return DiffusionStage(network=network, text=TEXT, loop=loop_config(2), condition_noise=noise, **changes)


def conditioner() -> Conditioner:
    torch.manual_seed(0)
    config = VAEConfig(
        base_dim=4, dim_mult=(1, 1, 1), num_res_blocks=1, temporal_downsample=(True, True), is_residual=True,
        patch_size=2, linear=False, latents_mean=(0.0,) * 16, latents_std=(1.0,) * 16,
    )  # fmt: skip
    codec = AppearanceCodec(LinearShortcutVAE(config), config.latents_mean, config.latents_std)
    return Conditioner(codec.eval().requires_grad_(False), ConditioningConfig(rays_at_latent_size=True))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> PackedClips:
    return PackedClips([write_pack(tmp_path_factory.mktemp("pack") / "pack.safetensors", CLIPS, FRAMES, SIDE)])


@pytest.fixture(scope="module")
def cache(source: PackedClips, tmp_path_factory: pytest.TempPathFactory) -> LatentCache:
    """Both clips, then both mirrored, as a run encodes them; what is to be made is noise here."""
    clips = source.get(range(CLIPS))
    versions = (clips, augment.mirror(clips))
    video = torch.cat([augment.video(version) for version in versions])
    given = view_choices(len(video), FRAMES, SUBSETS, generator("test"))
    encode = conditioner()
    control = torch.stack([encode.control(video, choice)[:, :16] for choice in given.unbind(1)], dim=1).chunk(2, -1)[0]
    shape = (len(video), 16, 2, SIDE // 8, SIDE // 8)
    rng = generator("posteriors")
    parts = {
        f"{half}_{part}": torch.randn(shape, generator=rng).half()
        for half in ("appearance", "geometry")
        for part in ("mean", "logvar")
    }
    parts |= {
        "given": given,
        "control": control.half().contiguous(),
        "extrinsics": torch.cat([version.extrinsics for version in versions]),
        "intrinsics": torch.cat([version.intrinsics for version in versions]),
        "clip": torch.arange(CLIPS).repeat(2),
    }
    path = tmp_path_factory.mktemp("cache") / "latents.safetensors"
    save_file(parts, path, {"captions": '["a", "b", "a", "b"]', "height": str(SIDE), "width": str(SIDE)})
    return LatentCache(path)


@pytest.fixture(scope="module")
def spoiled(source: PackedClips, cache: LatentCache, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spoiled") / "spoiled.safetensors"
    encode_spoiled(source, cache, conditioner(), path, replace(NOISE, variants=2), frames=FRAMES, seed=0)
    return path


def batch_of(store: Any, noise: ConditionNoise) -> dict[str, Any]:
    stage = stage_of(noise, views=EVENLY, drops=DropRates(text=0.0, camera=0.0))
    return LatentBatches(store, small_text_encoder(["a", "b"], TEXT), stage, batch_size=16, seed=0).at(0)


def path_of_cameras(count: int) -> Cameras:
    extrinsics = torch.eye(4).repeat(count, FRAMES, 1, 1)
    extrinsics[..., 2, 3] = torch.linspace(0, 1, FRAMES)
    return Cameras.from_fov(extrinsics, 1.0, SIDE, SIDE)


def test_only_cameras_and_views_change(cache: LatentCache, spoiled: Path) -> None:
    clean = batch_of(cache, ConditionNoise())
    noisy = batch_of(SpoiledLatents(cache, spoiled, 1.0), NOISE)
    assert set(clean) == set(noisy)
    for name in set(clean) - {"control", "camera"}:
        assert torch.equal(clean[name], noisy[name]), name
    assert torch.equal(clean["control"][:, 16:], noisy["control"][:, 16:])
    nothing = ~clean["control"][:, 16:].flatten(1).any(1)
    same_views = (clean["control"] == noisy["control"]).flatten(1).all(1)
    assert 0 < nothing.sum() < len(nothing)
    assert torch.equal(same_views, nothing)
    assert not (clean["camera"] == noisy["camera"]).flatten(1).all(1).any()


def test_noise_is_as_frequent_as_it_says(cache: LatentCache, spoiled: Path) -> None:
    clean = batch_of(cache, ConditionNoise())
    never = batch_of(SpoiledLatents(cache, spoiled, 0.0), ConditionNoise())
    assert all(torch.equal(clean[name], never[name]) for name in clean)
    cameras = path_of_cameras(300)
    wrong = wrong_cameras(cameras, ConditionNoise(cameras=0.3), generator(0))
    changed = (wrong.extrinsics != cameras.extrinsics).flatten(1).any(1)
    changed |= (wrong.intrinsics != cameras.intrinsics).flatten(1).any(1)
    assert 0.2 < changed.float().mean() < 0.4
    wrong.validate()
    assert wrong_cameras(cameras, ConditionNoise(), generator(0)) is cameras


def test_noise_is_a_function_of_the_position(cache: LatentCache, spoiled: Path) -> None:
    stage = stage_of(NOISE)
    text = small_text_encoder(["a", "b"], TEXT)
    batches = LatentBatches(SpoiledLatents(cache, spoiled, 0.5), text, stage, batch_size=4, seed=0)
    whole, part = batches.at(3), batches.at(3, first=2, size=2, total=4)
    assert all(torch.equal(whole[name][2:], part[name]) for name in whole)


def test_validation_is_clean(cache: LatentCache) -> None:
    text = small_text_encoder(["a", "b"], TEXT)
    clean, noisy = (
        LatentBatches(cache, text, stage_of(noise), batch_size=4, seed=1, validation=True).at(0)
        for noise in (ConditionNoise(), NOISE)
    )
    assert all(torch.equal(clean[name], noisy[name]) for name in clean)


def test_barely_spoiled_views_are_encoded_as_the_clean_ones(
    source: PackedClips, cache: LatentCache, tmp_path: Path
) -> None:
    """Mirrored clips, versions and choices of views stand where they belong."""
    path = tmp_path / "spoiled.safetensors"
    seen: list[tuple[int, int]] = []
    encode_spoiled(
        source, cache, conditioner(), path, BARELY, frames=FRAMES, seed=0, progress=lambda *step: seen.append(step)
    )
    assert seen == [(item + 1, len(cache)) for item in range(len(cache))]
    store, items = SpoiledLatents(cache, path, 1.0), list(range(len(cache)))
    for choice in range(FIXED_CHOICES + SUBSETS):
        choices = torch.full((len(items),), choice)
        clean, other = cache.conditions(items, choices), store.conditions(items, choices, generator(0))
        torch.testing.assert_close(clean.control, other.control, atol=2e-3, rtol=2e-3)
        assert torch.equal(clean.given, other.given)
        assert torch.equal(clean.control, store.conditions(items, choices).control)
        if choice == NOTHING:
            assert torch.equal(clean.control, other.control)


def test_clips_encoded_in_the_step_keep_their_targets(source: PackedClips) -> None:
    clean, noisy = (
        ClipVideos(source, stage_of(noise), frames=FRAMES, batch_size=2, seed=0).at(0)
        for noise in (ConditionNoise(), NOISE)
    )
    assert "views" not in clean
    assert set(noisy) == {*clean, "views"}
    for name in set(clean) - {"extrinsics", "intrinsics", "prompts"}:
        assert torch.equal(clean[name], noisy[name]), name
    assert clean["prompts"] == noisy["prompts"]
    assert not torch.equal(noisy["views"], noisy["video"])
    changed = (clean["extrinsics"] != noisy["extrinsics"]).any() or (clean["intrinsics"] != noisy["intrinsics"]).any()
    assert changed


def test_vggt_sees_spoiled_pictures_of_the_same_scenes(source: PackedClips) -> None:
    clean, noisy = (
        ViewBatches(source, images=4, steps=1, frames=2, seed=0, noise=noise).at(0)
        for noise in (ConditionNoise(), NOISE)
    )
    assert not torch.equal(clean["images"], noisy["images"])
    assert all(torch.equal(clean[name], noisy[name]) for name in set(clean) - {"images"})


def test_unknown_names_and_odd_settings_are_refused() -> None:
    video = torch.rand(1, FRAMES, 3, 8, 8)
    with pytest.raises(ValueError, match="unknown perturbation 'fog'"):
        spoiled_views(video, ConditionNoise(views=1.0, view_strengths=(("fog", 1.0),)), generator(0))
    with pytest.raises(ValueError, match=r"probability of wrong cameras in \[0, 1\], got 2"):
        ConditionNoise(cameras=2.0)
    with pytest.raises(ValueError, match="can go wrong"):
        ConditionNoise(views=0.5, view_strengths=())
    with pytest.raises(ValueError, match="above 0"):
        ConditionNoise(camera_strengths=(("focal", 0.0),))
    with pytest.raises(ValueError, match="at least one spoiled version"):
        ConditionNoise(variants=0)
