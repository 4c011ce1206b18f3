"""Every objective learns: a few steps on one tiny set of clips, through the stages users call."""

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from gen3r.cameras.cameras import Cameras
from gen3r.conditioning.condition import Condition, Conditioner
from gen3r.conditioning.text import TextEncoder, encode_ids
from gen3r.hub.load import load_text, load_vae
from gen3r.hub.networks import KINDS
from gen3r.latents.appearance import AppearanceCodec
from gen3r.models.adapter import AdapterConfig
from gen3r.models.transformer import TransformerConfig
from gen3r.models.vae import VAEConfig
from gen3r.models.vggt import VGGTConfig
from gen3r.pipeline import Gen3RPipeline
from gen3r.presets.decoders import DecodersStage
from gen3r.presets.distill import DistillStage
from gen3r.presets.stages import AdapterStage, DiffusionStage, Preset, TextConfig, VAEStage, VGGTStage
from gen3r.train import augment
from gen3r.train.hooks import read_log
from gen3r.train.latents import LatentCache
from gen3r.train.objectives.diffusion import DiffusionObjective, LatentBatches
from gen3r.train.objectives.vggt import ViewBatches, targets
from gen3r.train.release import ReleaseConfig, release
from gen3r.train.sources import PackedClips
from gen3r.train.stages import STAGES, train
from gen3r.train.tokenizer import small_text_encoder, train_tokenizer
from train.tiny_run import loop_config, write_pack

UNIT = {"latents_mean": (0.0,) * 16, "latents_std": (1.0,) * 16}
TRAINED = tuple(stage for stage in STAGES if stage not in ("distill", "decoders"))  # which have tests of their own
TEXT = TextConfig(vocabulary=300, length=12, width=32, layers=1, heads=2, ffn=32)


def tiny_preset() -> Preset:
    """The smallest networks that fit each other: 5 frames of 112x112."""
    loop = loop_config(12, log_every=1, checkpoint_every=12, ema_decay=0.5)
    return Preset(
        name="test",
        frames=5,
        height=112,
        width=112,
        clips=4,
        vggt=VGGTStage(
            network=VGGTConfig(
                image_size=112,
                patch_embed="conv",
                embed_dim=32,
                depth=4,
                heads=2,
                layer_scale=0.2,
                kept_layers=(0, 1, 2, 3),
                camera_depth=1,
                camera_heads=2,
                camera_iterations=2,
                initial_pose=(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0),
                dense_features=16,
                dense_channels=(16, 16, 16, 16),
                dense_hidden=8,
                head_downsample=4,
            ),
            loop=dataclasses.replace(loop, batch_size=6),
        ),
        vae=VAEStage(
            network=VAEConfig(
                base_dim=4,
                dim_mult=(1, 1, 1),
                num_res_blocks=1,
                temporal_downsample=(True, True),
                is_residual=True,
                patch_size=2,
                linear=True,
                **UNIT,
            ),
            loop=dataclasses.replace(loop, lr=1e-3),
            crop=None,
            fit_clips=6,
        ),
        adapter=AdapterStage(
            network=AdapterConfig(hidden=4, token_channels=320, resample_scale=20, res_blocks=1, io_kernel=1, **UNIT),
            loop=loop,
            dense_frames=1,
        ),
        diffusion=DiffusionStage(
            network=TransformerConfig(
                num_attention_heads=2,
                attention_head_dim=16,
                num_layers=1,
                ffn_dim=32,
                text_dim=TEXT.width,
                text_length=TEXT.length,
                freq_dim=32,
                image_dim=None,
                camera_downsample_first=True,
                camera_residual_kernel=1,
            ),
            text=TEXT,
            loop=loop,
        ),
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All four stages, one after the other."""
    folder = tmp_path_factory.mktemp("runs")
    pack = write_pack(folder / "pack.safetensors", count=6, frames=5, side=112)
    validation = write_pack(folder / "validation.safetensors", count=6, frames=5, side=112, first_seed=800_000_000)
    for stage in ("vggt", "vae", "adapter", "diffusion"):
        pictures = {"validate_every": 12, "validation_batches": 1, "sample_every": 12}
        networks = [folder / name for name in ("vggt", "vae", "adapter")]
        train(
            stage,
            tiny_preset(),
            folder / stage,
            data=[pack],
            validation=[validation],
            networks=networks,
            overrides=pictures if stage != "vae" else {},
        )
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("stage", TRAINED)
def test_loss_falls(runs: Path, stage: str) -> None:
    totals = [line["total"] for line in read_log(runs / stage) if "total" in line]
    assert len(totals) == 12
    assert sum(totals[-4:]) < sum(totals[:4])


@pytest.mark.slow
def test_exports_load_and_latents_are_measured(runs: Path) -> None:
    from gen3r.hub.folder import load_network
    from gen3r.models.adapter import GeometryAdapter
    from gen3r.models.transformer import JointTransformer

    vae = load_vae(runs / "vae" / "export" / "vae")
    adapter = load_network(GeometryAdapter, AdapterConfig, runs / "adapter" / "export" / "geometry_adapter")
    for statistics in (vae.config.latents_std, adapter.config.latents_std):
        assert min(statistics) > 0
        assert statistics != UNIT["latents_std"]
    load_network(JointTransformer, TransformerConfig, runs / "diffusion" / "export" / "transformer")
    assert load_text(runs / "diffusion" / "export", TEXT.length).encode(["a room"]).shape == (1, 12, 32)


@pytest.mark.slow
def test_cached_controls_are_what_sampling_makes(runs: Path) -> None:
    cache = LatentCache(runs / "diffusion" / "latents.safetensors")
    given, control = cache.tensors["given"], cache.tensors["control"].float()
    assert len(cache) == 12  # each clip and its mirror image
    assert torch.equal(given[:, 0].sum(1), torch.ones(12, dtype=torch.int64))
    assert given[:, 2].all()
    assert not given[:, 3].any()
    vae = load_vae(runs / "vae" / "export" / "vae")
    codec = AppearanceCodec(vae, vae.config.latents_mean, vae.config.latents_std).eval()
    conditioner = Conditioner(codec, tiny_preset().diffusion.conditioning)
    images = augment.video(PackedClips([runs / "pack.safetensors"]).get(range(6)))
    for choice in range(given.shape[1]):
        with torch.no_grad():
            expected = conditioner.control(images, given[:6, choice])[:, :16, ..., : control.shape[-1]]
        torch.testing.assert_close(control[:6, choice], expected, atol=2e-3, rtol=2e-3)
    assert [caption.replace("right", "left") for caption in cache.captions[6:]] == cache.captions[:6]


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["vggt", "adapter", "diffusion"])
def test_pictures_are_written(runs: Path, stage: str) -> None:
    assert list((runs / stage / "samples").glob("*.png"))


@pytest.mark.slow
def test_a_release_generates_what_training_pictured(runs: Path, tmp_path: Path) -> None:
    config = ReleaseConfig(
        runs=tuple(runs / stage for stage in TRAINED),
        preset="test",
        out=tmp_path / "model",
        revision="test",
        half=False,
    )
    pipeline = Gen3RPipeline.from_pretrained(release(config, tiny_preset()))
    assert (pipeline.config.name, pipeline.config.revision) == ("test", "test")
    scene = pipeline(torch.rand(1, 3, 112, 112), "a room", steps=2, generator=0)
    assert scene.rgb.shape == (5, 112, 112, 3)
    assert torch.isfinite(scene.depth).all()

    stage = tiny_preset().diffusion
    cache = LatentCache(runs / "diffusion" / "latents.safetensors")
    batch = LatentBatches(cache, pipeline.text, stage, batch_size=2, seed=0).at(0)
    with torch.no_grad():
        objective = DiffusionObjective(pipeline.transformer, pipeline.text, stage, None)
        pictured = objective.sample(batch, torch.Generator().manual_seed(3), steps=3)
        condition = Condition(
            control=batch["control"],
            text=encode_ids(pipeline.text.encoder, batch["ids"], batch["ids_mask"]),
            camera=batch["camera"],
        )
        noise = torch.randn(batch["clean"].shape, generator=torch.Generator().manual_seed(3))
        torch.testing.assert_close(pipeline.denoise(noise, condition, steps=3, guidance=1.0), pictured)


@pytest.mark.slow
@pytest.mark.parametrize("lora", [None, 2])
def test_a_student_is_released_beside_its_teacher(runs: Path, tmp_path: Path, lora: int | None) -> None:
    preset = dataclasses.replace(
        tiny_preset(), distill=DistillStage(loop=loop_config(2, batch_size=1), steps=2, substeps=2)
    )
    done = [runs / stage for stage in TRAINED]
    told = {"data": [runs / "pack.safetensors"], "networks": done, "initial": runs / "diffusion", "lora": lora}
    train("distill", preset, tmp_path / "student", distill={"method": "phased"}, **told)
    train("distill", preset, tmp_path / "student", distill={"method": "phased"}, resume=True, **told)
    with pytest.raises(ValueError, match="other settings"):
        train("distill", preset, tmp_path / "student", distill={"method": "reflow"}, resume=True, **told)
    with pytest.raises(ValueError, match="name its model folder or run with --init"):
        train("distill", preset, tmp_path / "none", **told | {"initial": None})
    config = ReleaseConfig(runs=(*done, tmp_path / "student"), preset="test", out=tmp_path / "model", revision="test")
    pipeline = Gen3RPipeline.from_pretrained(release(config, preset))
    assert pipeline.config.few_steps is not None
    assert pipeline.config.few_steps.steps == 2
    scene = pipeline(torch.rand(1, 3, 112, 112), "a room", generator=0)
    assert (scene.provenance["settings"]["steps"], scene.provenance["settings"]["few_steps"]) == (2, True)


@pytest.mark.slow
def test_decoders_learn_from_the_transformer_and_no_latent_changes(runs: Path, tmp_path: Path) -> None:
    loop = loop_config(12, batch_size=2, ema_decay=0.5, checkpoint_every=6)
    preset = dataclasses.replace(tiny_preset(), decoders=DecodersStage(loop=loop, steps=2, clean=0.2, dense_frames=1))
    done, out = [runs / stage for stage in TRAINED], tmp_path / "decoders"
    told = {"data": [runs / "pack.safetensors"], "networks": done, "initial": runs / "diffusion"}
    held = {"validation": [runs / "validation.safetensors"], "overrides": {"validate_every": 12, "sample_every": 12}}
    train("decoders", preset, out, **told, **held)
    log = read_log(out)
    totals = [line["total"] for line in log if "total" in line]
    assert sum(totals[-4:]) < sum(totals[:4])
    assert {"val/psnr", "val/clean_psnr", "val/absrel", "val/clean_degrees"} <= set(log[-1])
    for kind, run in (("vae", runs / "vae"), ("geometry_adapter", runs / "adapter")):
        before, after = (load_file(each / "export" / kind / "model.safetensors") for each in (run, out))
        changed = {name for name in before if not torch.equal(before[name].float(), after[name].float())}
        assert changed
        assert not [name for name in changed if KINDS[kind].encodes(name)]
    config = ReleaseConfig(runs=(out, *done), preset="test", out=tmp_path / "model", revision="test")
    scene = Gen3RPipeline.from_pretrained(release(config, preset))(torch.rand(1, 3, 112, 112), "a room", generator=0)
    assert scene.rgb.shape == (5, 112, 112, 3)


def test_decoders_need_a_transformer_an_adapter_and_what_clips_show(tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "pack.safetensors", count=2, frames=5, side=112)
    told = {"data": [pack], "overrides": {"validate_every": 0}}
    with pytest.raises(ValueError, match="name its model or run with --init"):
        train("decoders", tiny_preset(), tmp_path / "one", **told)
    with pytest.raises(ValueError, match="codec none has no geometry adapter"):
        train("decoders", tiny_preset(), tmp_path / "two", codec="none", initial=tmp_path, **told)


@pytest.mark.slow
def test_a_release_names_the_missing_network(runs: Path, tmp_path: Path) -> None:
    config = ReleaseConfig(runs=(runs / "vae", runs / "vggt"), preset="tiny", out=tmp_path / "model", revision="test")
    with pytest.raises(ValueError, match="exported geometry_adapter, found none"):
        release(config)
    assert not config.out.exists()


def test_later_stages_ask_for_earlier_networks(tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "pack.safetensors", side=112)
    with pytest.raises(ValueError, match="builds on a trained vggt"):
        train("adapter", tiny_preset(), tmp_path / "run", data=[pack])
    with pytest.raises(ValueError, match="unknown stage"):
        train("everything", tiny_preset(), tmp_path / "run", data=[pack])


@pytest.mark.parametrize("stage", STAGES)
def test_stages_take_only_clips_of_their_split(tmp_path: Path, stage: str) -> None:
    train_pack, held_out = (write_pack(tmp_path / f"{seed}.safetensors", first_seed=seed) for seed in (0, 900_000_000))
    with pytest.raises(ValueError, match="expected train clips"):
        train(stage, tiny_preset(), tmp_path / "run", data=[held_out])
    with pytest.raises(ValueError, match="expected validation clips"):
        train(
            stage, tiny_preset(), tmp_path / "run", data=[train_pack], validation=[train_pack],
            overrides={"validate_every": 1},
        )  # fmt: skip
    assert not (tmp_path / "run").exists()


def test_targets_are_in_units_of_the_first_view(tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "pack.safetensors")
    batches = ViewBatches(PackedClips([pack]), images=10, steps=1, frames=5, seed=0, augmented=False)
    batch = batches.at(0)
    target = targets(batch, far=20.0)
    assert torch.allclose(target["depth"][:, 0].mean(dim=(1, 2)), torch.ones(2), atol=1e-3)
    larger = targets(batch | {"depth": 3 * batch["depth"], "extrinsics": _scaled(batch["extrinsics"], 3.0)}, far=20.0)
    for name in ("depth", "points", "pose"):
        torch.testing.assert_close(larger[name], target[name], atol=1e-4, rtol=1e-4)
    Cameras(batch["extrinsics"], batch["intrinsics"], 32, 32).validate()


def _scaled(extrinsics: torch.Tensor, scale: float) -> torch.Tensor:
    scaled = extrinsics.clone()
    scaled[..., :3, 3] *= scale
    return scaled


@pytest.mark.parametrize("text", ["", "a red house", "ünïcödé 漢字 🙂", "tab\tand\nline"])
def test_any_text_can_be_written(text: str) -> None:
    tokenizer = train_tokenizer(["a red house with a tree"] * 4, vocabulary=280, length=64)
    ids = tokenizer(text)["input_ids"]
    assert ids[-1] == tokenizer.eos_token_id
    assert tokenizer.unk_token_id is None or tokenizer.unk_token_id not in ids
    assert tokenizer.decode(ids, skip_special_tokens=True).strip() == text.lower().strip()


def test_text_encoder_pads_with_zeros_and_ignores_padding() -> None:
    encoder = small_text_encoder(["a red house with a tree"] * 4, TEXT).eval()
    assert isinstance(encoder, TextEncoder)
    with torch.no_grad():
        alone, beside = encoder.encode(["a red"])[0], encoder.encode(["a red", "a red house with"])[0]
    assert alone.shape == (12, 32)
    assert torch.all(alone[-1] == 0)
    torch.testing.assert_close(alone, beside)
