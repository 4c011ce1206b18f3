"""The diffusion objective: noise levels, stored features, and video that it encodes itself."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from hypothesis import given, settings
from hypothesis import strategies as st

from gen3r.conditioning.condition import ConditioningConfig, DropRates
from gen3r.conditioning.views import ViewSampler
from gen3r.models.transformer import JointTransformer, TransformerConfig
from gen3r.prepare.encoding.networks import EncodingModel
from gen3r.presets.stages import DiffusionStage, NoiseConfig, TextConfig
from gen3r.train.latent_batches import ClipVideos, LatentBatches
from gen3r.train.latents import FrozenEncoders, LatentShards, open_latents
from gen3r.train.objectives.diffusion import DiffusionObjective
from gen3r.train.objectives.noise import TIMESTEPS, draw_levels, stratum
from gen3r.train.order import DataOrder
from gen3r.train.rng import sample_generators
from gen3r.train.sources import Clips, ClipSource
from gen3r.train.tokenizer import small_text_encoder
from pipeline.conftest import build_pipeline
from prepare.clip_folders import write_dataset
from prepare.encoding.conftest import config_of, encode
from train.tiny_run import loop_config

TABLE = NoiseConfig(table=True)
SHIFT = 2.0


def stage_of(**changes: Any) -> DiffusionStage:
    network = TransformerConfig(
        num_attention_heads=2, attention_head_dim=16, num_layers=1, ffn_dim=32, text_dim=16, text_length=8, freq_dim=32,
        image_dim=16,
    )  # fmt: skip
    conditioning = ConditioningConfig()
    return DiffusionStage(
        network=network, text=TextConfig(length=8, width=16, layers=1, heads=2, ffn=16, vocabulary=300),
        loop=loop_config(2), conditioning=conditioning, **changes,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A dataset, a model of the released kind, and its latents."""
    root = tmp_path_factory.mktemp("diffusion")
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_CACHE_HOME", str(root / "cache"))
    model, dataset = root / "model", write_dataset(root / "clips", count=3, frames=5)
    build_pipeline(image_dim=16).save_pretrained(model)
    encode(config_of(dataset, root / "latents", model))
    patch.undo()
    return dataset, model, root / "latents"


@pytest.fixture(scope="module")
def latents(folders: tuple[Path, Path, Path]) -> LatentShards:
    return open_latents(folders[2])


def objective_of(stage: DiffusionStage, **changes: Any) -> DiffusionObjective:
    torch.manual_seed(0)
    transformer = JointTransformer(stage.network)
    torch.nn.init.normal_(transformer.proj_out.weight, std=0.1)
    return DiffusionObjective(transformer, None, stage, **changes)


# noise ------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 300))
def test_samples_of_a_step_share_all_levels_evenly(total: int) -> None:
    parts = [stratum(place, total) for place in range(total)]
    assert len(set(parts)) == math.gcd(total, TIMESTEPS)
    assert sorted(parts) == parts
    assert (parts[0][0], parts[-1][1]) == (0.0, 1.0)
    counts = {part: parts.count(part) for part in parts}
    assert len(set(counts.values())) == 1
    for (_, end), (start, _) in zip(sorted(counts), sorted(counts)[1:], strict=False):
        assert end == start


def test_official_shares() -> None:
    assert [len({stratum(rank, world) for rank in range(world)}) for world in (1, 4, 8, 16, 24, 32)] == [
        1, 4, 8, 8, 8, 8,
    ]  # fmt: skip


@pytest.mark.parametrize("config", [NoiseConfig(), TABLE])
def test_levels_stay_in_their_stratum_and_are_each_samples_own(config: NoiseConfig) -> None:
    strata = torch.tensor([stratum(place, 8) for place in range(8)])
    rng = sample_generators("noise", positions=range(8))
    levels = draw_levels(8, config, SHIFT, rng, "cpu", strata)
    assert levels.sigma.tolist() == sorted(levels.sigma.tolist(), reverse=True)
    table = FlowMatchEulerDiscreteScheduler(shift=SHIFT).sigmas
    for place, sigma in enumerate(levels.sigma.tolist()):
        assert table[min(999, 125 * (place + 1))] - 1e-3 <= sigma <= table[125 * place] + 1e-3
    few = draw_levels(3, config, SHIFT, sample_generators("noise", positions=range(2, 5)), "cpu", strata[2:5])
    assert torch.equal(few.sigma, levels.sigma[2:5])


def test_table_levels_are_the_schedules_and_rounding_spares_the_timestep() -> None:
    exact = draw_levels(256, TABLE, SHIFT, torch.Generator().manual_seed(0))
    rounded = draw_levels(256, dataclasses.replace(TABLE, bfloat16=True), SHIFT, torch.Generator().manual_seed(0))
    schedule = FlowMatchEulerDiscreteScheduler(shift=SHIFT)
    assert set(exact.timestep.tolist()) <= set(schedule.timesteps.tolist())
    torch.testing.assert_close(exact.timestep, exact.sigma * TIMESTEPS)
    assert torch.equal(rounded.timestep, exact.timestep)
    assert torch.equal(rounded.sigma, exact.sigma.bfloat16().float())
    assert not torch.equal(rounded.sigma, exact.sigma)


# encoded clips ----------------------------------------------------------------------------------------------------


def test_only_the_transformer_is_trained_on_stored_features(latents: LatentShards, tmp_path: Path) -> None:
    stage = stage_of()
    batches = LatentBatches(latents, None, stage, batch_size=2, seed=0)
    objective = objective_of(stage)
    batch = batches.at(0)
    assert batch["text"].shape == (2, 8, 16)
    terms = objective(batch, sample_generators("loss", positions=batches.positions(0)))
    terms.total.backward()
    assert set(objective.networks) == {"transformer"}
    assert all(bool(value.grad.isfinite().all()) for value in objective.parameters() if value.grad is not None)
    assert any(bool(value.grad.any()) for value in objective.parameters() if value.grad is not None)
    objective.export(tmp_path, [])
    assert [path.name for path in tmp_path.iterdir()] == ["transformer"]


def test_a_text_encoder_can_be_trained_along_on_shards(latents: LatentShards) -> None:
    stage = stage_of(drops=DropRates(text=0.5, camera=0.0))
    torch.manual_seed(0)
    text = small_text_encoder([caption for lines in latents.prompts for caption in lines], stage.text)
    batches = LatentBatches(latents, text, stage, batch_size=4, seed=0)
    transformer = JointTransformer(stage.network)
    torch.nn.init.normal_(transformer.proj_out.weight, std=0.1)
    objective = DiffusionObjective(transformer, text, stage)
    objective(batches.at(0), sample_generators("loss", positions=range(4))).total.backward()
    assert any(bool(value.grad.any()) for value in text.encoder.parameters() if value.grad is not None)


def test_drops_are_each_samples_own(latents: LatentShards) -> None:
    stage = stage_of(drops=DropRates(text=0.5, camera=0.5))
    batch = LatentBatches(latents, None, stage, batch_size=64, seed=0).at(0)
    empty = latents.text(0, None)
    dropped = torch.tensor(
        [bool(torch.equal(text[: len(empty)], empty) and not text[len(empty) :].any()) for text in batch["text"]]
    )
    known = batch["camera_known"]
    assert 16 < int(dropped.sum()) < 48
    assert 16 < int(known.sum()) < 48
    assert 8 < int((dropped & known).sum()) < 24
    rays = objective_of(stage).condition({name: value[:8] for name, value in batch.items()}).camera
    assert [bool(ray.any()) for ray in rays] == known[:8].tolist()


def test_all_captions_of_a_clip_are_read(latents: LatentShards) -> None:
    stage = stage_of(drops=DropRates(text=0.0, camera=0.0))
    batch = LatentBatches(latents, None, stage, batch_size=48, seed=0).at(0)
    expected = {tuple(latents.text(item, line)[:, 0].tolist()) for item in range(3) for line in range(2)}
    seen = {tuple(text[text.abs().amax(dim=1) > 0][:, 0].tolist()) for text in batch["text"]}
    assert seen == expected
    held = LatentBatches(latents, None, stage, batch_size=8, seed=0, validation=True).at(0)
    first = {tuple(latents.text(item, 0)[:, 0].tolist()) for item in range(3)}
    assert {tuple(text[text.abs().amax(dim=1) > 0][:, 0].tolist()) for text in held["text"]} <= first


def test_strata_do_not_depend_on_how_a_step_is_split(latents: LatentShards) -> None:
    batches = LatentBatches(latents, None, stage_of(noise=NoiseConfig(stratified=True)), batch_size=4, seed=0)
    whole = batches.at(3)["stratum"]
    parts = [batches.at(3, first, 1, 4)["stratum"] for first in range(4)]
    assert torch.equal(torch.cat(parts), whole)
    assert len(whole.unique(dim=0)) == 4


@settings(max_examples=4)
@given(st.integers(0, 50), st.integers(0, 3))
def test_a_sample_does_not_depend_on_its_batch(latents: LatentShards, step: int, place: int) -> None:
    batches = LatentBatches(latents, None, stage_of(), batch_size=4, seed=1)
    whole, alone = batches.at(step), batches.at(step, place, 1, 4)
    for name, value in alone.items():
        assert torch.equal(value[0], whole[name][place]), name


def test_conditions_of_another_making_are_refused(latents: LatentShards) -> None:
    stage = dataclasses.replace(stage_of(), conditioning=ConditioningConfig(control_geometry="encoded"))
    with pytest.raises(ValueError, match="control_geometry 'encoded', got 'zeros'"):
        LatentBatches(latents, None, stage, batch_size=1, seed=0)
    subsets = stage_of(views=ViewSampler(anything=1.0))
    without = LatentShards(dataclasses.replace(latents.settings, subsets=0), latents.networks, [])
    with pytest.raises(ValueError, match="encode with --subsets 1"):
        LatentBatches(without, None, subsets, batch_size=1, seed=0, order=DataOrder(1, 0))
    silent = LatentShards(latents.settings, {"vae": ""}, [])
    with pytest.raises(ValueError, match="expected at least one training item"):
        LatentBatches(silent, None, stage_of(), batch_size=1, seed=0)


# video ------------------------------------------------------------------------------------------------------------


class TwoClips(ClipSource):
    """Random clips with depth."""

    def __len__(self) -> int:
        return 2

    def get(self, items: Any, frames: int | None = None) -> Clips:
        rng = torch.Generator().manual_seed(0)
        extrinsics = torch.eye(4).repeat(2, 5, 1, 1)
        extrinsics[:, :, 0, 3] = torch.linspace(1, 2, 5)
        clips = Clips(
            torch.randint(0, 256, (2, 5, 112, 112, 3), generator=rng, dtype=torch.uint8),
            torch.full((2, 5, 112, 112), 2.0),
            extrinsics,
            torch.tensor([[100.0, 0, 56], [0, 100, 56], [0, 0, 1]]).repeat(2, 5, 1, 1),
            ("a red ball", "a room"),
        )
        picked = torch.as_tensor(list(items))
        return Clips(clips.rgb[picked], clips.depth[picked], clips.extrinsics[picked], clips.intrinsics[picked],
                     tuple(clips.captions[item] for item in items))  # fmt: skip


@pytest.fixture(scope="module")
def encoders(folders: tuple[Path, Path, Path]) -> FrozenEncoders:
    dataset, model, out = folders
    return EncodingModel.open(config_of(dataset, out, model)).load(torch.device("cpu"), torch.float32)


def test_video_is_encoded_by_frozen_networks(encoders: FrozenEncoders) -> None:
    stage = stage_of(drops=DropRates(text=0.0, camera=0.0), views=ViewSampler(first=0.0, ends=0.0, everything=1.0))
    batches = ClipVideos(TwoClips(), stage, frames=5, batch_size=2, seed=0)
    objective = objective_of(stage, encoders=encoders)
    objective.train()
    assert not encoders.training
    rng = sample_generators("loss", positions=range(2))
    batch = batches.at(0)
    encoded = objective.encoded(batch, rng)
    with torch.autocast("cpu", torch.bfloat16):
        narrow = objective.encoded(batch, sample_generators("loss", positions=range(2)))
    assert torch.equal(narrow["clean"], encoded["clean"])
    appearance, _ = encoders.posteriors(batch["video"])
    torch.testing.assert_close(encoded["control"][:, :16, ..., :14], appearance.mean)
    assert not encoded["control"][:, :16, ..., 14:].any()
    assert encoders.text is not None
    torch.testing.assert_close(encoded["text"], encoders.text.encode(batch["prompts"]))
    torch.testing.assert_close(encoded["extrinsics"][:, -1, 0, 3], torch.full((2,), 0.5))
    half = ClipVideos(TwoClips(), stage_of(noise=NoiseConfig(stratified=True)), frames=5, batch_size=2, seed=0)
    assert torch.equal(half.at(0, 1, 1, 2)["stratum"], half.at(0)["stratum"][1:])
    objective(batch, rng).total.backward()
    assert all(value.grad is None for value in encoders.parameters())
    assert not any(name.startswith("encoders") for name in objective.saved_state())
    with pytest.raises(ValueError, match="give the objective its frozen encoders"):
        objective_of(stage).loss(batch, rng)
