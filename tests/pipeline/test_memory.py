"""Memory profiles: the same scenes by other ways."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from gen3r.conditioning.text_cache import CachedTextEncoder, TextCache
from gen3r.hub.load import TEXT_ENCODER, TRANSFORMER
from gen3r.latents.grid import LatentGrid
from gen3r.pipeline import Gen3RPipeline
from gen3r.pipeline.acceleration import Acceleration
from gen3r.pipeline.decode import eight_bit
from gen3r.pipeline.loading import chosen_memory
from gen3r.pipeline.memory import NETWORKS, PROFILES, MemoryProfile, largest_profile, profile_for
from gen3r.pipeline.step_cache import FirstBlockCache, StepCache, TaylorCache
from gen3r.scene.scene import Scene

from .conftest import SIDE, build_pipeline
from .live import peak_bytes

CPU = torch.device("cpu")
CALL = {"prompt": "a red ball", "cameras": "orbit", "guidance": 3.0, "generator": 1}


def equal(first: Scene, second: Scene) -> bool:
    return all(torch.equal(getattr(first, name), getattr(second, name)) for name in ("rgb", "depth", "points", "mask"))


def close(first: Scene, second: Scene) -> None:
    torch.testing.assert_close(first.depth, second.depth, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(first.points, second.points, rtol=1e-3, atol=1e-3)
    assert (first.rgb.int() - second.rgb.int()).abs().max() <= 1


def narrow(size: int, *networks: str) -> MemoryProfile:
    return dataclasses.replace(PROFILES[size], float8=frozenset(networks))


@pytest.fixture(scope="module")
def expected() -> Scene:
    photo = torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(7))
    return build_pipeline()([photo], **CALL)


@pytest.mark.parametrize("size", PROFILES)
def test_profiles_give_the_same_scene(photo, expected: Scene, size: int) -> None:
    """Bit by bit, but for the kernels of twice the batch where both branches of guidance are in one."""
    scene = build_pipeline(memory=PROFILES[size])([photo], **CALL)
    close(scene, expected)
    assert PROFILES[size].guidance == ("batch" if size >= 48 else "passes")
    if PROFILES[size].guidance == "batch":
        memory = dataclasses.replace(PROFILES[size], guidance="passes")
        assert equal(build_pipeline(memory=memory)([photo], **CALL), expected)
    else:
        assert equal(scene, expected)
    assert scene.provenance["settings"]["memory"] == str(size)


def test_the_text_encoder_may_work_on_the_cpu(photo, expected: Scene) -> None:
    residence = {**PROFILES[16].residence, TEXT_ENCODER: "cpu"}
    assert equal(
        build_pipeline(memory=dataclasses.replace(PROFILES[16], residence=residence))([photo], **CALL), expected
    )


@pytest.mark.parametrize("networks", [(TEXT_ENCODER,), (TRANSFORMER, TEXT_ENCODER)])
def test_eight_bits_stay_close(photo, expected: Scene, networks: tuple[str, ...]) -> None:
    scene = build_pipeline(memory=narrow(16, *networks))([photo], **CALL)
    error = (scene.points - expected.points).norm() / expected.points.norm()
    assert 0 < error < 0.05
    assert (scene.rgb.float() - expected.rgb.float()).abs().mean() < 4


def test_streaming_and_eight_bits_go_together(photo) -> None:
    visiting, streaming = (build_pipeline(memory=narrow(size, TRANSFORMER, TEXT_ENCODER)) for size in (16, 8))
    assert equal(visiting([photo], **CALL), streaming([photo], **CALL))


@pytest.mark.parametrize("cache", [FirstBlockCache(threshold=0.5), TaylorCache()])
def test_step_caches_work_on_streaming_blocks(photo, cache: StepCache) -> None:
    scenes = []
    for memory in (None, PROFILES[8]):
        plain = build_pipeline()
        pipeline = Gen3RPipeline(plain.networks, plain.config, memory=memory, acceleration=Acceleration(cache=cache))
        scenes.append(pipeline([photo], **CALL, steps=6))
    assert equal(*scenes)


def test_half_precision_stays_close(photo, expected: Scene) -> None:
    plain = build_pipeline().to("cpu", torch.bfloat16)
    pipeline = Gen3RPipeline(plain.networks, plain.config, memory=PROFILES[8], device="cpu")
    scene = pipeline([photo], **CALL)
    assert next(pipeline.geometry.vggt.parameters()).dtype == torch.float32
    assert all(torch.isfinite(values).all() for values in (scene.depth, scene.points, scene.cameras.extrinsics))
    assert (scene.rgb.float() - expected.rgb.float()).abs().mean() < 8
    assert (scene.points - expected.points).norm() < 0.2 * expected.points.norm()


def test_a_cached_prompt_needs_no_text_encoder(photo, expected: Scene, tmp_path: Path) -> None:
    loads = []

    def cached(profile: MemoryProfile | None) -> Gen3RPipeline:
        plain = build_pipeline()
        cache = TextCache(tmp_path, "tiny", plain.text.length)
        text = CachedTextEncoder(cache, lambda: loads.append(1) or plain.text)
        return Gen3RPipeline(dataclasses.replace(plain.networks, text=text), plain.config, memory=profile)

    for profile in (PROFILES[8], PROFILES[16], None):
        pipeline = cached(profile)
        assert equal(pipeline([photo], **CALL), expected)
        assert not list(pipeline.text.parameters())
    assert len(loads) == 1
    cached(PROFILES[8])([photo], "another", generator=1)
    assert len(loads) == 2


def test_a_pipeline_with_a_profile_is_saved_whole_or_not_at_all(photo, expected: Scene, tmp_path: Path) -> None:
    pipeline = build_pipeline(memory=PROFILES[8])
    assert equal(pipeline([photo], **CALL), expected)
    pipeline.save_pretrained(tmp_path / "model")
    assert equal(pipeline([photo], **CALL), expected)
    assert equal(Gen3RPipeline.from_pretrained(tmp_path / "model")([photo], **CALL), expected)
    with pytest.raises(ValueError, match="text_encoder in eight bits under memory profile 8"):
        build_pipeline(memory=narrow(8, TEXT_ENCODER)).save_pretrained(tmp_path / "narrow")


def test_a_pipeline_with_a_profile_does_not_move() -> None:
    pipeline = build_pipeline(memory=PROFILES[12])
    assert pipeline.device == CPU
    with pytest.raises(ValueError, match="without memory profile to move, got profile 12"):
        pipeline.to("cpu")


def test_placements_put_on_the_device_what_stays_there() -> None:
    for profile in PROFILES.values():
        placements = profile.placements("cuda:1")
        assert set(placements) == set(NETWORKS)
        for name, placement in placements.items():
            stays = profile.residence[name] == "device"
            assert placement.device == (torch.device("cuda:1") if stays else CPU)
        assert placements[TRANSFORMER].dtype == torch.bfloat16
        assert placements["vggt"].dtype is placements["geometry_adapter"].dtype is None


def test_profiles_without_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="where each network lives"):
        MemoryProfile(name="none", notes="", residence={"vae": "cpu"})
    with pytest.raises(ValueError, match="text_encoder and transformer live as 'streams', got vae"):
        dataclasses.replace(PROFILES[8], residence={**PROFILES[8].residence, "vae": "streams"})
    with pytest.raises(ValueError, match="eight bits, got vae"):
        narrow(8, "vae")


def test_a_device_without_memory_of_its_own_has_no_profile() -> None:
    assert profile_for("cpu") is None
    assert chosen_memory("auto", "cpu", torch.bfloat16) is None


def test_a_cuda_device_gets_a_profile_unless_none_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device: SimpleNamespace(total_memory=12_880_000_000)
    )
    assert chosen_memory("auto", "cuda", None) is PROFILES[12]
    assert chosen_memory(None, "cuda", torch.bfloat16) is None
    assert chosen_memory(PROFILES[8], "cuda", None) is PROFILES[8]
    whole = chosen_memory("auto", "cuda:0", torch.float32)
    assert whole == dataclasses.replace(PROFILES[12], dtypes=whole.dtypes)
    assert {whole.dtypes[name] for name in ("vae", TRANSFORMER, TEXT_ENCODER, "image_encoder")} == {torch.float32}


@pytest.mark.parametrize("other", ["12", 12])
def test_what_is_no_profile_is_refused(other: object) -> None:
    with pytest.raises(ValueError, match=rf"PROFILES\[8\], got {other!r}"):
        chosen_memory(other, "cpu", None)


def test_loading_asks_the_device_unless_told(photo, expected: Scene, tmp_path: Path) -> None:
    build_pipeline().save_pretrained(tmp_path / "model")
    plain = Gen3RPipeline.from_pretrained(tmp_path / "model")
    assert plain.memory is None
    held = Gen3RPipeline.from_pretrained(tmp_path / "model", memory=PROFILES[8], dtype=torch.float32)
    assert held.memory.name == "8"
    assert equal(plain([photo], **CALL), expected)
    assert equal(held([photo], **CALL), expected)


@pytest.mark.parametrize(("gigabytes", "size"), [(8.4, 8), (11.9, 8), (12.6, 12), (25.4, 24), (85.0, 80), (200.0, 80)])
def test_a_device_gets_the_largest_profile_that_fits(gigabytes: float, size: int, caplog) -> None:
    assert largest_profile(gigabytes) is PROFILES[size]
    assert not caplog.text


def test_a_small_device_gets_the_smallest_profile_and_a_warning(caplog) -> None:
    assert largest_profile(6.2) is PROFILES[8]
    assert "6.2 GB" in caplog.text


def test_decoding_holds_no_more_for_longer_clips() -> None:
    """On the device, that is beside results: latents and camera tokens alone grow with the frames."""
    pipeline = build_pipeline()
    latents = torch.randn(1, 16, 6, SIDE // 8, SIDE // 8, generator=torch.Generator().manual_seed(0))
    grid = LatentGrid(21, SIDE, SIDE)
    aside = torch.device("meta")

    def frames_of(part: torch.Tensor) -> None:
        for chunk in pipeline.appearance.stream_decode(part):
            eight_bit(chunk).to(aside)

    def geometry_of(part: torch.Tensor) -> None:
        pipeline.geometry.decode(part, grid.token_grid, grid.size, 2, aside)

    added = latents[:, :, 3:].numel() * latents.element_size()
    for work in (frames_of, geometry_of):
        short, long = peak_bytes(work, latents[:, :, :3]), peak_bytes(work, latents)
        assert long - short <= 3 * added
        assert added < 0.1 * short
