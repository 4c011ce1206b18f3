"""Which networks made some latents: a sha256 over their configs and every weight that encodes, in whatever layout."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

import torch
from transformers import PretrainedConfig

from gen3r.hub.files import read_json_object
from gen3r.hub.folder import CONFIG_FILE, WEIGHTS_STEM
from gen3r.hub.layout import ModelFolder
from gen3r.hub.load import open_model
from gen3r.hub.networks import (
    ADAPTER,
    IMAGE_ENCODER,
    KINDS,
    TEXT_ENCODER,
    TOKENIZER_FILE,
    VAE,
    VGGT_FOLDER,
    OpenModel,
    Part,
)
from gen3r.hub.stored import open_weights
from gen3r.hub.stream import SAME_NAMES
from gen3r.whole_file import whole_file

ENCODERS = (VAE, VGGT_FOLDER, ADAPTER, TEXT_ENCODER, IMAGE_ENCODER)
"""Networks that latents depend on, by their names in a model folder."""
ENCODERS_FILE = "encoders.json"
"""Beside a trained transformer: sha256 of the networks whose latents it speaks, by their names in a model folder."""
CODEC = "codec"
"""Entry of that file with the name of the geometry codec; files of before there was a choice lack it."""
_PASSING = ("transformers_version", "dtype", "torch_dtype", "_name_or_path", "architectures")
"""What transformers writes into configs and no feature depends on."""


def default_identity_cache() -> Path:
    """``$XDG_CACHE_HOME/gen3r/identities``, or below ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "gen3r" / "identities"


def model_identities(model: OpenModel | ModelFolder | Path, cache: Path | None = None) -> dict[str, str]:
    """sha256 of every encoder of a model folder, by name; the tokenizer counts as part of the text encoder.

    Weights that only read latents do not count: decoders may be trained further on the same latents.

    Hashing reads all weights once, seconds for gigabytes; the result is kept in ``cache`` (by default
    ``default_identity_cache()``) until a file changes its size or time.

    Raises:
        ModelFolderError: if the folder is no whole model.
    """
    opened = model if isinstance(model, OpenModel) else open_model(model)
    extra = {TEXT_ENCODER: (opened.tokenizer / TOKENIZER_FILE,)}
    return {
        kind: _identity(opened.parts[kind], extra.get(kind, ()), cache) for kind in ENCODERS if kind in opened.parts
    }


def folder_identity(kind: str, folder: Path, cache: Path | None = None) -> str:
    """sha256 of one network in a folder of ours, such as a training run exports; equal to that in a model folder.

    Args:
        kind: its name in a model folder, one of ``ENCODERS``. A text encoder's tokenizer is not seen here.
        folder: with config.json and the weights.
        cache: see ``model_identities``.

    Raises:
        ModelFolderError: if the folder is no such network.
    """
    path = folder / CONFIG_FILE
    config = KINDS[kind].read(read_json_object(path), str(path))
    part = Part(kind=kind, config=config, weights=open_weights(folder, WEIGHTS_STEM), table=SAME_NAMES)
    return _identity(part, (), cache)


def _identity(part: Part, extra: Iterable[Path], cache: Path | None) -> str:
    extra = [path for path in extra if path.is_file()]
    config = json.dumps(_config_values(part), sort_keys=True, default=str)
    files = sorted({weight.file for weight in part.weights.values()} | set(extra))
    stats = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    key = hashlib.sha256(repr((part.kind, KINDS[part.kind].decodes, config, stats)).encode()).hexdigest()
    return _kept((cache or default_identity_cache()) / key, lambda: _hash(part, config, extra))


def _kept(place: Path, make: Callable[[], str]) -> str:
    if place.is_file():
        known = place.read_text(encoding="ascii", errors="replace").strip()
        if len(known) == hashlib.sha256().digest_size * 2:
            return known
    made = make()
    place.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(place) as temporary:
        temporary.write_text(made, encoding="ascii")
    return made


def _hash(part: Part, config: str, extra: Iterable[Path]) -> str:
    digest = hashlib.sha256(config.encode())
    encoding = {name: weight for name, weight in part.our_weights().items() if KINDS[part.kind].encodes(name)}
    for name, weight in sorted(encoding.items()):
        tensor = weight.read().contiguous()
        digest.update(repr((name, str(tensor.dtype), tuple(tensor.shape))).encode())
        digest.update(memoryview(cast(Any, tensor.reshape(-1).view(torch.uint8).numpy())))
    for path in extra:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _config_values(part: Part) -> dict[str, Any]:
    if not isinstance(part.config, PretrainedConfig):
        return KINDS[part.kind].write(part.config)
    return {name: value for name, value in part.config.to_diff_dict().items() if name not in _PASSING}
