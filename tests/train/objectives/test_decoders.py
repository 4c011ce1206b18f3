"""What decoders are shown, beside clips as they were encoded."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from gen3r.conditioning.condition import Conditioner
from gen3r.latents.appearance import AppearanceCodec
from gen3r.latents.codecs import VGGTAdapterCodec
from gen3r.models.adapter import GeometryAdapter
from gen3r.models.transformer import JointTransformer
from gen3r.models.vae import LinearShortcutVAE
from gen3r.models.vggt import VGGT
from gen3r.presets.decoders import DecodersStage
from gen3r.train.decoders_builder import ShownLatents
from gen3r.train.latent_batches import LatentBatches
from gen3r.train.latents import LatentCache, encode_clips
from gen3r.train.objectives.decoders import DecodersObjective, truth_of
from gen3r.train.objectives.diffusion import DiffusionObjective
from gen3r.train.rng import generator, sample_generators
from gen3r.train.sources import PackedClips
from gen3r.train.tokenizer import small_text_encoder
from train.objectives.test_objectives import TEXT, tiny_preset
from train.tiny_run import write_pack

SHOWN = tuple[DecodersObjective, ShownLatents]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> SHOWN:
    """Untrained networks on clips that are encoded as they are and mirrored."""
    torch.manual_seed(0)
    preset, folder = tiny_preset(), tmp_path_factory.mktemp("shown")
    stage = preset.diffusion
    clips = PackedClips([write_pack(folder / "pack.safetensors", count=3, frames=5, side=112)])
    appearance = AppearanceCodec(LinearShortcutVAE(preset.vae.network), (0.0,) * 16, (1.0,) * 16)
    geometry = VGGTAdapterCodec(VGGT(preset.vggt.network), GeometryAdapter(preset.adapter.network))
    encode_clips(clips, Conditioner(appearance, stage.conditioning), geometry, folder / "latents.safetensors", frames=5)
    cache = LatentCache(folder / "latents.safetensors")
    text = small_text_encoder(cache.captions, TEXT)
    flow = DiffusionObjective(JointTransformer(stage.network), text, stage)
    latents = LatentBatches(cache, text, stage, batch_size=2, seed=0)
    objective = DecodersObjective(appearance, geometry, flow, DecodersStage(steps=3), preset.vae.loss, preset.vggt.loss)
    return objective, ShownLatents(latents, clips, preset.frames)


def test_only_what_decodes_is_trained(shown: SHOWN) -> None:
    trained = [name for name, weight in shown[0].named_parameters() if weight.requires_grad]
    assert trained
    assert all("decode" in name or "unmoments" in name or "post_quant" in name for name in trained)


def test_latents_as_encoded_stay_and_a_flow_that_knows_comes_back_from_anywhere(
    shown: SHOWN, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective, batches = shown
    batch = batches.make([0, 1, 2, 3], generator("test"))
    clean = batch["clean"]

    def knowing(condition: object, noisy: Tensor, timestep: Tensor) -> Tensor:
        return (noisy - clean) / (timestep / 1000).view(-1, 1, 1, 1, 1)

    starts, rng = torch.arange(4), sample_generators("test", positions=range(4))
    random = objective.denoised(batch, starts, rng)
    assert torch.equal(random[3], clean[3])
    assert all(not torch.equal(random[k], clean[k]) for k in range(3))
    monkeypatch.setattr(objective.flow, "velocity", knowing)
    torch.testing.assert_close(objective.denoised(batch, starts, rng), clean)


def test_starts_are_levels_and_the_share_that_is_clean(shown: SHOWN) -> None:
    starts = shown[0].starts(4000, generator("starts"), torch.device("cpu"))
    shares = torch.bincount(starts, minlength=4) / 4000
    torch.testing.assert_close(shares, torch.tensor([0.7 / 3] * 3 + [0.3]), atol=0.03, rtol=0)


def test_a_batch_shows_its_clips_as_they_were_encoded(shown: SHOWN) -> None:
    objective, batches = shown
    assert batches.shown == [(0, False), (1, False), (2, False), (0, True), (1, True), (2, True)]
    true = truth_of(batches.make([1, 4], generator("test")))
    assert torch.equal(true["images"][1], true["images"][0].flip(-1))
    encoded = objective.appearance.encode(true["images"]).mean
    stored = batches.latents.store.posteriors([1, 4])[0].mean
    torch.testing.assert_close(encoded, stored, atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"dense_frames": 0}, {"clean": 1.0}])
def test_stages_that_teach_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        dataclasses.replace(DecodersStage(), **wrong)
