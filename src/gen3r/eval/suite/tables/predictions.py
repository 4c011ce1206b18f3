"""Predictions of the model at hand, for the rows of tables."""

from __future__ import annotations

from dataclasses import replace

import torch

from gen3r.eval.suite.tables.chunk import Chunk, Given
from gen3r.eval.suite.tables.prediction import Prediction
from gen3r.eval.suite.tables.table import Predict
from gen3r.hub.networks import VAE
from gen3r.models.vae import LinearShortcutVAE
from gen3r.models.vae.linear import LinearVideoCode
from gen3r.pipeline import Gen3RPipeline


def generated(given: Given) -> Predict:
    """Scenes generated from what is given."""
    return lambda chunk, place: chunk.generated(place, given)


def generated_as_asked(given: Given) -> Predict:
    """Scenes generated from what is given, with the cameras that were asked for in place of the predicted ones."""

    def predict(chunk: Chunk, place: int) -> Prediction:
        return replace(chunk.generated(place, given), cameras=chunk.truths[place].cameras)

    return predict


def generated_then_vggt(given: Given) -> Predict:
    """Frames generated from what is given, with VGGT's depth and cameras of them."""
    return lambda chunk, place: chunk.generated_then_vggt(place, given)


def vggt(chunk: Chunk, place: int) -> Prediction:
    """VGGT's depth and cameras of all true frames."""
    return chunk.vggt(place)


def round_trip(chunk: Chunk, place: int) -> Prediction:
    """All true frames, and their geometry, as latents and back."""
    return chunk.round_trip(place)


@torch.no_grad()
def autoencoded(chunk: Chunk, place: int) -> Prediction:
    """The frames after the VAE, not rounded to eight bits."""
    truth, appearance = chunk.truths[place], chunk.pipeline.appearance
    with chunk.pipeline.residency.use(VAE, appearance):
        video = appearance.decode(appearance.encode(truth.video[None]).mode())[0]
    return replace(Prediction.of_truth(truth), video=video)


@torch.no_grad()
def linear_path(chunk: Chunk, place: int) -> Prediction:
    """The frames after the linear code that runs beside the VAE's network."""
    truth, appearance = chunk.truths[place], chunk.pipeline.appearance
    code = linear_code(chunk.pipeline)
    assert code is not None, "the row is left out for models without"
    with chunk.pipeline.residency.use(VAE, appearance):
        dtype = next(code.parameters()).dtype
        pixels = (truth.video[None].transpose(1, 2) * 2 - 1).to(dtype)
        video = code.decode(code.encode(pixels)).transpose(1, 2)[0]
    return replace(Prediction.of_truth(truth), video=(video.float() / 2 + 0.5).clamp(0, 1))


def has_vggt(pipeline: Gen3RPipeline) -> bool:
    """Whether the model has a VGGT that reads pictures."""
    return pipeline.geometry.reader is not None


def linear_code(pipeline: Gen3RPipeline) -> LinearVideoCode | None:
    """The linear code beside the VAE's network, if it has one."""
    vae = pipeline.appearance.vae
    return vae.linear if isinstance(vae, LinearShortcutVAE) else None


def has_linear_path(pipeline: Gen3RPipeline) -> bool:
    """Whether there is a linear code beside the VAE's network."""
    return linear_code(pipeline) is not None
