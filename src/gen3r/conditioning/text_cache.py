"""Text features on disk: the text encoder, by far the largest network, is loaded only for prompts it has not read."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from gen3r.conditioning.text import TextEncoder
from gen3r.whole_file import whole_file

logger = logging.getLogger(__name__)

_TENSOR, _KEY, _DIGEST = "features", "key", "sha256"
_SAMPLES, _SAMPLE_BYTES = 64, 4096


def default_text_cache() -> Path:
    """``$XDG_CACHE_HOME/gen3r/text``, or below ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "gen3r" / "text"


def files_identity(files: Iterable[Path], *traits: str) -> str:
    """What tells one encoder from another: a digest of its files, and of what else changes its features.

    Large files are sampled at 64 places, besides their name and size: any training changes all of them.

    Args:
        files: settings, weights and tokenizer.
        traits: such as the type the weights are cast to, or that they are stored in eight bits.
    """
    digest = hashlib.sha256(repr(traits).encode())
    for path in sorted(files, key=lambda path: path.name):
        size = path.stat().st_size
        digest.update(repr((path.name, size)).encode())
        with path.open("rb") as file:
            for sample in range(_SAMPLES):
                file.seek(max(size - _SAMPLE_BYTES, 0) * sample // (_SAMPLES - 1))
                digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()


class TextCache:
    """One file for each prompt, named by a digest of encoder, length and prompt; prompts themselves are not stored.

    Args:
        folder: made when the first prompt is stored. Several processes may share it.
        identity: of the encoder, see ``files_identity``.
        length: rows of the features.
    """

    def __init__(self, folder: Path, identity: str, length: int) -> None:
        self.folder = folder
        self.identity = identity
        self.length = length

    def path(self, prompt: str) -> Path:
        """The file of a prompt."""
        return self.folder / f"{self._key(prompt)}.safetensors"

    def read(self, prompt: str) -> Float[Tensor, "L Dt"] | None:
        """Features of a prompt, or None if there are none. A damaged file counts as none, and a warning names it."""
        path = self.path(prompt)
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                facts, rows = file.metadata() or {}, file.get_tensor(_TENSOR)
        except (SafetensorError, OSError) as error:
            return self._damaged(path, str(error))
        if facts.get(_KEY) != self._key(prompt) or facts.get(_DIGEST) != _digest(rows):
            return self._damaged(path, "its content is not what was written")
        features = rows.new_zeros(self.length, rows.shape[1])
        features[: len(rows)] = rows
        return features

    def write(self, prompt: str, features: Float[Tensor, "L Dt"]) -> None:
        """Store the features of a prompt without the zeros after its end. A full or read-only disk gives a warning."""
        used = features.detach().abs().amax(dim=1).nonzero()
        rows = features[: int(used.max()) + 1 if len(used) else 0].detach().cpu().contiguous()
        content = save({_TENSOR: rows}, metadata={_KEY: self._key(prompt), _DIGEST: _digest(rows)})
        path = self.path(prompt)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as temporary:
                temporary.write_bytes(content)
        except OSError as error:
            logger.warning("Text features could not be kept in %s: %s", path, error)

    def _key(self, prompt: str) -> str:
        return hashlib.sha256(repr((self.identity, self.length, prompt)).encode()).hexdigest()

    @staticmethod
    def _damaged(path: Path, reason: str) -> None:
        logger.warning("Text features are made again, %s is damaged: %s", path, reason)


class CachedTextEncoder(TextEncoder):
    """A ``TextEncoder`` that is loaded when a prompt is missing from the cache, and let go afterwards.

    Each missing prompt is encoded alone, so that features do not depend on the batch they were first seen in.

    Args:
        cache: of the encoder that ``load`` gives.
        load: makes the encoder; called whenever a prompt is missing and none is loaded.
        keep: leave the encoder loaded after its first use, for programs that see many new prompts.
    """

    def __init__(self, cache: TextCache, load: Callable[[], TextEncoder], *, keep: bool = False) -> None:
        nn.Module.__init__(self)  # not TextEncoder's, which needs the networks
        self.cache = cache
        self.load = load
        self.keep = keep
        self.length = cache.length
        self.loaded: TextEncoder | None = None

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The tokenizer, loading it with its encoder if need be."""
        return self._ready().tokenizer

    @property
    def encoder(self) -> nn.Module:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The network, loading it if need be."""
        return self._ready().encoder

    def prepare(self, prompts: Sequence[str]) -> bool:
        """Load the encoder if a prompt is missing. True if it was loaded just now."""
        if self.loaded is not None or all(self.cache.read(prompt) is not None for prompt in prompts):
            return False
        self._ready()
        return True

    def release(self) -> None:
        """Drop the encoder, unless it is to be kept."""
        if not self.keep:
            self.loaded = None

    def encode(self, prompts: Sequence[str]) -> Float[Tensor, "B L Dt"]:
        """Features of each prompt, from the cache (on the CPU) or from the encoder, without gradients."""
        features = {prompt: self._features(prompt) for prompt in dict.fromkeys(prompts)}
        return torch.stack([features[prompt] for prompt in prompts])

    @torch.no_grad()
    def _features(self, prompt: str) -> Float[Tensor, "L Dt"]:
        known = self.cache.read(prompt)
        if known is None:
            known = self._ready().encode([prompt])[0].cpu()
            self.cache.write(prompt, known)
        return known

    def _ready(self) -> TextEncoder:
        if self.loaded is None:
            self.loaded = self.load()
            if self.loaded.length != self.length:
                raise ValueError(f"expected a text encoder of length {self.length}, got {self.loaded.length}.")
        return self.loaded


def _digest(rows: Tensor) -> str:
    return hashlib.sha256(rows.contiguous().view(torch.uint8).numpy().tobytes()).hexdigest()
