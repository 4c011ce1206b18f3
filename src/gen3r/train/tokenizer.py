"""A small tokenizer of one's own: byte-level BPE, so that any text in any script can be written and read back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

from gen3r.conditioning.text import TextEncoder
from gen3r.presets.stages import TextConfig

PAD, END = "<pad>", "</s>"


def train_tokenizer(captions: Iterable[str], vocabulary: int, length: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE on captions; texts end with ``</s>`` and are padded with ``<pad>`` (id 0)."""
    if vocabulary < 258:
        raise ValueError(f"expected a vocabulary of at least 258 (256 bytes, padding, end), got {vocabulary}.")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(captions, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", special_tokens=[(END, tokenizer.token_to_id(END))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, eos_token=END, model_max_length=length, padding_side="right"
    )


def small_text_encoder(captions: Iterable[str], config: TextConfig) -> TextEncoder:
    """A fresh umT5-class encoder with a tokenizer for ``captions``."""
    tokenizer = train_tokenizer(captions, config.vocabulary, config.length)
    encoder = UMT5EncoderModel(
        UMT5Config(
            vocab_size=len(tokenizer),
            d_model=config.width,
            d_kv=config.width // config.heads,
            d_ff=config.ffn,
            num_layers=config.layers,
            num_heads=config.heads,
            dropout_rate=0.0,
            feed_forward_proj="gated-gelu",
            pad_token_id=cast(int, tokenizer.pad_token_id),
            eos_token_id=cast(int, tokenizer.eos_token_id),
        )
    )
    return TextEncoder(tokenizer, encoder, config.length)
