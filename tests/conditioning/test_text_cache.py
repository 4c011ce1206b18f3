"""Text features on disk, with a real (tiny) encoder."""

import os
from pathlib import Path

import pytest
import torch

from gen3r.conditioning.text import TextEncoder
from gen3r.conditioning.text_cache import CachedTextEncoder, TextCache, default_text_cache, files_identity

from .test_encoders import text_encoder

PROMPT = "a red room"


class Loader:
    """Loads the encoder, and counts."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.dtype, self.count = dtype, 0

    def __call__(self) -> TextEncoder:
        self.count += 1
        encoder = text_encoder()
        encoder.to(self.dtype)
        return encoder


def cached(folder: Path, loader: Loader, identity: str = "one", *, keep: bool = False) -> CachedTextEncoder:
    return CachedTextEncoder(TextCache(folder / "text", identity, 6), loader, keep=keep)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_features_are_the_encoders_and_the_encoder_is_loaded_once(tmp_path: Path, dtype: torch.dtype) -> None:
    loader = Loader(dtype)
    prompts = [PROMPT, "", PROMPT, "a red room with a red lamp with a lamp"]
    first = cached(tmp_path, loader)
    features = first.encode(prompts)
    assert loader.count == 1
    assert features.dtype == dtype
    with torch.no_grad():
        alone = torch.cat([loader().encode([prompt]) for prompt in prompts])
    assert torch.equal(features, alone)
    assert torch.equal(cached(tmp_path, loader).encode(prompts), features)
    assert loader.count == 1 + len(prompts)
    assert next(first.parameters()).dtype == dtype
    first.release()
    assert not list(first.parameters())


def test_it_is_told_when_an_encoder_was_loaded_and_may_keep_it(tmp_path: Path) -> None:
    encoder = cached(tmp_path, Loader(), keep=True)
    assert encoder.prepare([PROMPT])
    assert not encoder.prepare(["another"])
    encoder.encode([PROMPT])
    encoder.release()
    assert list(encoder.parameters())
    fresh = cached(tmp_path, Loader())
    assert not fresh.prepare([PROMPT])
    assert fresh.prepare([PROMPT, "another"])


def test_parts_of_the_encoder_are_there_when_asked_for(tmp_path: Path) -> None:
    encoder = cached(tmp_path, Loader())
    assert encoder.tokenizer is encoder.loaded.tokenizer
    assert encoder.encoder is encoder.loaded.encoder


def test_only_rows_with_words_are_stored(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    encoder = cached(tmp_path, Loader())
    encoder.encode(["", PROMPT])
    assert load_file(encoder.cache.path(""))["features"].shape == (1, 16)
    assert load_file(encoder.cache.path(PROMPT))["features"].shape == (4, 16)
    assert sorted(path.suffix for path in encoder.cache.folder.iterdir()) == [".safetensors"] * 2


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_files_have_the_usual_mode_so_that_a_folder_can_be_shared(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        TextCache(tmp_path, "one", 6).write(PROMPT, torch.ones(6, 2))
        (tmp_path / "usual").write_text("")
    finally:
        os.umask(before)
    kept, usual = sorted(tmp_path.iterdir(), key=lambda path: path.name == "usual")
    assert kept.stat().st_mode == usual.stat().st_mode
    assert kept.stat().st_mode & 0o777 == 0o666 & ~umask


def test_another_encoder_or_length_has_features_of_its_own(tmp_path: Path) -> None:
    cache = TextCache(tmp_path, "one", 6)
    cache.write(PROMPT, torch.ones(6, 2))
    assert TextCache(tmp_path, "one", 6).read(PROMPT) is not None
    assert TextCache(tmp_path, "two", 6).read(PROMPT) is None
    assert TextCache(tmp_path, "one", 7).read(PROMPT) is None
    assert cache.read(PROMPT + " ") is None


def cut(content: bytes) -> bytes:
    return content[:-8]


def flip(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize("damage", [cut, flip, lambda content: b"", lambda content: b"\xff" * 64])
def test_a_damaged_file_is_named_and_made_again(tmp_path: Path, damage, caplog) -> None:
    encoder = cached(tmp_path, Loader())
    features = encoder.encode([PROMPT])
    path = encoder.cache.path(PROMPT)
    path.write_bytes(damage(path.read_bytes()))
    assert torch.equal(encoder.encode([PROMPT]), features)
    assert str(path) in caplog.text
    caplog.clear()
    assert torch.equal(encoder.cache.read(PROMPT), features[0])
    assert not caplog.text


def test_a_file_under_the_name_of_another_prompt_is_not_believed(tmp_path: Path, caplog) -> None:
    cache = TextCache(tmp_path, "one", 6)
    cache.write(PROMPT, torch.ones(6, 2))
    cache.path(PROMPT).rename(cache.path("a lamp"))
    assert cache.read("a lamp") is None
    assert "damaged" in caplog.text


def test_a_folder_that_cannot_be_written_costs_a_warning(tmp_path: Path, caplog) -> None:
    (tmp_path / "text").write_text("a file where the folder should be")
    encoder = cached(tmp_path, Loader())
    with torch.no_grad():
        assert torch.equal(encoder.encode([PROMPT]), text_encoder().encode([PROMPT]))
    assert "could not be kept" in caplog.text


def test_a_wrong_length_is_refused(tmp_path: Path) -> None:
    encoder = CachedTextEncoder(TextCache(tmp_path, "one", 5), Loader())
    with pytest.raises(ValueError, match="length 5, got 6"):
        encoder.encode([PROMPT])


def test_the_identity_follows_names_contents_and_traits(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(bytes(range(256)) * 4096)
    two.write_bytes(b"")
    identity = files_identity([one, two], "bfloat16")
    assert identity == files_identity([two, one], "bfloat16")
    assert identity != files_identity([one, two], "float32")
    assert identity != files_identity([one], "bfloat16")
    one.write_bytes(one.read_bytes()[:-1] + b"\x00")
    assert identity != files_identity([one, two], "bfloat16")


def test_the_default_folder_follows_the_environment(monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_text_cache() == Path("/somewhere/gen3r/text")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_text_cache() == Path.home() / ".cache" / "gen3r" / "text"
