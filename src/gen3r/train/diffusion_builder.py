"""Stage 2 from its inputs: on clips that were encoded before, or that are encoded at the start or in every step."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from gen3r.conditioning.condition import Conditioner
from gen3r.conditioning.text import TextEncoder
from gen3r.hub.load import TEXT_ENCODER, TRANSFORMER, VAE
from gen3r.hub.networks import load_tokenizer
from gen3r.latents.appearance import AppearanceCodec
from gen3r.latents.codecs import DEFAULT_CODEC, GeometryCodec
from gen3r.latents.codecs.registry import CODECS
from gen3r.latents.grid import SPATIAL_STRIDE
from gen3r.models.transformer import JointTransformer
from gen3r.presets.condition_noise import CLEAN
from gen3r.presets.stages import DiffusionStage
from gen3r.train.data_identity import data_identity
from gen3r.train.earlier import find_parts, tokenizer_of
from gen3r.train.encoded import EncodedClips
from gen3r.train.initial import load_frozen, open_initial
from gen3r.train.inputs import StageInputs, StageParts
from gen3r.train.latent_batches import ClipVideos, LatentBatches
from gen3r.train.latents import FrozenEncoders, LatentCache, encode_clips
from gen3r.train.latents.cache import NO_DEPTH, made_of
from gen3r.train.latents.store import LatentStore
from gen3r.train.latents.truth import NO_TRUTH
from gen3r.train.lora import add_lora
from gen3r.train.objectives.diffusion import DiffusionObjective
from gen3r.train.order import Order, Weighted
from gen3r.train.processes import Processes
from gen3r.train.resuming import plain
from gen3r.train.sources import ClipSource
from gen3r.train.spoiled_latents import SpoiledLatents, encode_spoiled
from gen3r.train.stored import StoredClips
from gen3r.train.tokenizer import small_text_encoder

Codecs = tuple[AppearanceCodec, GeometryCodec]
VALIDATION_BATCH = 16


def build_diffusion(inputs: StageInputs) -> StageParts:
    """Stage 2.

    Encoded clips are read as they are. Clips are encoded to ``latents.safetensors`` in the run's folder unless it is
    there; where text or image encoders stay as they are, they are encoded in every step instead, which needs no disk
    and several times as long.
    """
    if isinstance(inputs.data, EncodedClips):
        return _on_encoded(inputs, inputs.data)
    if inputs.preset.diffusion.text is None:
        return _on_the_fly(inputs, inputs.data)
    return _encoded_at_start(inputs, inputs.data)


def _on_encoded(inputs: StageInputs, data: EncodedClips) -> StageParts:
    stage, loop, held = inputs.preset.diffusion, inputs.loop, inputs.held
    if stage.condition_noise.views:
        raise ValueError(
            "clips encoded by gen3r data encode have no spoiled versions of their views; train on the clips "
            "themselves, or without condition_noise.views."
        )
    text = None if data.latents.has_text else _text(inputs, [line for lines in data.latents.prompts for line in lines])
    batches = LatentBatches(
        data.latents,
        text,
        stage,
        batch_size=loop.batch_size,
        seed=loop.seed,
        order=data.order(loop.seed),
        steps=loop.steps,
    )
    validation = None
    if isinstance(held, EncodedClips):
        size = min(VALIDATION_BATCH, loop.batch_size, len(held.latents))
        validation = LatentBatches(
            held.latents, text, stage, batch_size=size, seed=1, validation=True, order=held.order(1)
        )
    elif held is not None:
        raise ValueError("expected encoded clips for validation beside encoded clips for training, got pictures.")
    _tell_not_following(inputs, stage.following > 0)
    codecs = None
    if loop.sample_every and {VAE, *CODECS[stage.codec].networks} <= set(inputs.networks):
        codecs = _codecs(inputs)
    objective = DiffusionObjective(_transformer(inputs), text, stage, codecs, made_by=inputs.encoders)
    return StageParts(objective, batches, validation)


def _on_the_fly(inputs: StageInputs, data: ClipSource) -> StageParts:
    stage, loop, frames = inputs.preset.diffusion, inputs.loop, inputs.preset.frames
    _tell_not_following(inputs, stage.following > 0)
    text = inputs.text()
    if text is None:
        raise ValueError(
            f"this stage reads a pretrained {TEXT_ENCODER} and its tokenizer, found none; name a model folder that has "
            "them with --networks, or train on clips encoded by gen3r data encode."
        )
    image = None if stage.network.image_dim is None else inputs.image()
    encoders = FrozenEncoders(*_codecs(inputs), stage.conditioning, text=text, image=image)
    batches = ClipVideos(data, stage, frames=frames, batch_size=loop.batch_size, seed=loop.seed, steps=loop.steps)
    validation = None
    if inputs.validation is not None:
        shown = replace(stage, drops=replace(stage.drops, text=0.0, camera=0.0), condition_noise=CLEAN)
        validation = ClipVideos(inputs.validation, shown, frames=frames, batch_size=loop.batch_size, seed=1)
    codecs = (encoders.appearance, encoders.geometry) if loop.sample_every else None
    objective = DiffusionObjective(
        _transformer(inputs), None, stage, codecs, encoders=encoders, made_by=inputs.encoders
    )
    return StageParts(objective, batches, validation)


def _encoded_at_start(inputs: StageInputs, data: ClipSource) -> StageParts:
    stage, loop = inputs.preset.diffusion, inputs.loop
    for source in (data, inputs.validation):
        if stage.conditioning.normalize_scale and source is not None and not source.has_depth:
            raise ValueError(NO_DEPTH)  # before anything is encoded
        if CODECS[stage.codec].needs_truth and source is not None and not source.has_depth:
            raise ValueError(NO_TRUTH)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    codecs = _codecs(inputs)
    for codec in codecs:
        codec.eval().to(device)
    inputs.out.mkdir(parents=True, exist_ok=True)
    training = _cache(inputs, inputs.out / "latents.safetensors", data, stage.mirrored, codecs)
    text = _text(inputs, training.captions)
    objective = DiffusionObjective(_transformer(inputs), text, stage, codecs, made_by=inputs.encoders)
    _tell_not_following(inputs, stage.following > 0 and not data.has_depth)
    order = _weighted(data, training, loop.seed)
    shown = _shown(inputs, training, data, codecs)
    batches = LatentBatches(
        shown, text, stage, batch_size=loop.batch_size, seed=loop.seed, order=order, steps=loop.steps
    )
    validation = None
    if inputs.validation is not None:
        held = _cache(inputs, inputs.out / "latents-validation.safetensors", inputs.validation, False, codecs)
        validation = LatentBatches(held, text, stage, batch_size=VALIDATION_BATCH, seed=1, validation=True)
    return StageParts(objective, batches, validation)


def _codecs(inputs: StageInputs) -> Codecs:
    appearance = inputs.appearance()
    return appearance, inputs.geometry(appearance)


def _cache(inputs: StageInputs, path: Path, clips: ClipSource, mirrored: bool, codecs: Codecs) -> LatentCache:
    """The clips as latents, encoded by one process while the others wait; a file of just these is taken as it is."""
    stage, preset = inputs.preset.diffusion, inputs.preset
    made = {
        "networks": dict(inputs.encoders),
        "clips": data_identity(clips),
        "frames": preset.frames,
        "seed": _encoding_seed(inputs),
        "subsets": stage.subsets,
        "mirrored": mirrored,
        "conditioning": dataclasses.asdict(stage.conditioning),
    }
    if stage.codec != DEFAULT_CODEC:  # files of before there was a choice say nothing of it
        made["codec"] = stage.codec
    followed = _followed(inputs, clips)
    if followed is not None:
        made["followed"] = followed

    def encode() -> None:
        if not path.is_file() or not _is_of(path, plain(made), inputs):
            _encode(inputs, path, clips, mirrored, codecs, made)

    processes = Processes(inputs.loop.patience)
    processes.once(encode)
    return LatentCache(path, processes.device)


def _is_of(path: Path, made: dict[str, Any], inputs: StageInputs) -> bool:
    """Whether a file of latents is of these clips and networks; if not, a run that goes on is refused."""
    known = made_of(path)
    if known is None and not inputs.fresh:
        inputs.tell(f"{path} does not say what it was made of; it is taken to be of these clips and networks")
        return True
    other = sorted(name for name in made if (known or {}).get(name) != made[name])
    if other and not inputs.fresh:
        raise ValueError(
            f"{path} was made with other {', '.join(other)} than the run has now; resume it as it was begun, or use "
            "another folder."
        )
    if other:
        inputs.tell(f"{path} was made with other {', '.join(other)}: the clips are encoded again")
    return not other


def _encode(
    inputs: StageInputs, path: Path, clips: ClipSource, mirrored: bool, codecs: Codecs, made: dict[str, Any]
) -> None:
    stage, (appearance, geometry) = inputs.preset.diffusion, codecs
    encode_clips(
        clips,
        Conditioner(appearance, stage.conditioning, geometry=geometry),
        geometry,
        path,
        frames=inputs.preset.frames,
        subsets=stage.subsets,
        mirrored=mirrored,
        seed=_encoding_seed(inputs),
        device=next(appearance.parameters()).device,
        progress=inputs.report,
        followed=_followed(inputs, clips),
        batch_size=8 if next(appearance.parameters()).device.type == "cpu" else 32,
        made=made,
    )


def _followed(inputs: StageInputs, clips: ClipSource) -> tuple[int, int] | None:
    """Rows and columns of tokens in one half, where attention follows the camera and depth says what it sees."""
    preset, stage = inputs.preset, inputs.preset.diffusion
    _, rows, columns = stage.network.patch_size
    cells = (preset.height // SPATIAL_STRIDE, preset.width // SPATIAL_STRIDE)
    return (cells[0] // rows, cells[1] // columns) if stage.following and clips.has_depth else None


def _tell_not_following(inputs: StageInputs, missing: bool) -> None:
    if missing:
        inputs.tell(
            "attention is not taught to follow the camera, which takes clips with depth that are encoded at the start"
        )


def _shown(inputs: StageInputs, training: LatentCache, data: ClipSource, codecs: Codecs) -> LatentStore:
    """The clips with spoiled versions of their views beside them, where the stage asks for such."""
    stage, path = inputs.preset.diffusion, inputs.out / "latents-spoiled.safetensors"
    noise, (appearance, geometry) = stage.condition_noise, codecs
    if not noise.views:
        return training
    made = {"latents": made_of(inputs.out / "latents.safetensors"), "noise": dataclasses.asdict(noise)}

    def encode() -> None:
        if not path.is_file() or not _is_of(path, plain(made), inputs):
            encode_spoiled(
                data,
                training,
                Conditioner(appearance, stage.conditioning, geometry=geometry),
                path,
                noise,
                frames=inputs.preset.frames,
                seed=_encoding_seed(inputs),
                device=next(appearance.parameters()).device,
                progress=inputs.report,
                made=made,
            )

    Processes(inputs.loop.patience).once(encode)
    return SpoiledLatents(training, path, noise.views)


def _encoding_seed(inputs: StageInputs) -> int:
    seed = inputs.preset.diffusion.encoding_seed
    return inputs.loop.seed if seed is None else seed


def _weighted(data: ClipSource, latents: LatentCache, seed: int) -> Order | None:
    """A mixture of datasets as `MixedClips` draws it; None for shuffled epochs of all clips."""
    clips = latents.clips
    if not isinstance(data, StoredClips) or len(data.datasets) < 2 or clips is None:
        return None
    groups: list[list[int]] = [[] for _ in data.datasets]
    for item, clip in enumerate(clips):
        groups[data.dataset_of(clip)].append(item)
    return Weighted(groups, data.weights, seed)


def _transformer(inputs: StageInputs) -> JointTransformer:
    """Random, from first weights, or frozen with low-rank updates on it."""
    stage = inputs.preset.diffusion
    if stage.lora is None:
        return inputs.started(TRANSFORMER, stage.network, JointTransformer)
    if inputs.initial is None:
        raise ValueError(
            "low-rank updates are of a trained transformer; name a model folder or a run that has it with --init."
        )
    part = open_initial(inputs.initial, TRANSFORMER, stage.network)
    transformer = load_frozen(part, stage.network, torch.bfloat16 if stage.lora.half else None)
    add_lora(transformer, stage.lora)
    return transformer


def _text(inputs: StageInputs, captions: list[str]) -> TextEncoder:
    """The text encoder that belongs to the first weights, else a new one for these captions."""
    stage = inputs.preset.diffusion
    if stage.text is None:
        raise ValueError("these latents were encoded without captions; encode the dataset again with a text encoder.")
    text = None if inputs.initial is None or Path(inputs.initial).is_file() else _text_beside(inputs.initial, stage)
    if text is None:
        if stage.lora is not None:
            raise ValueError(
                f"expected the {TEXT_ENCODER} of the transformer beside it in {inputs.initial}, found none."
            )
        return small_text_encoder(captions, stage.text)
    if stage.lora is not None:
        text.encoder.requires_grad_(False)
    return text


def _text_beside(place: str | Path, stage: DiffusionStage) -> TextEncoder | None:
    part, tokenizer = find_parts([place]).get(TEXT_ENCODER), tokenizer_of([place])
    if part is None or tokenizer is None:
        return None
    return TextEncoder(load_tokenizer(tokenizer), part.load(), stage.network.text_length)
