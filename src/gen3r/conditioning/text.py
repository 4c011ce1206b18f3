"""Prompts to text features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase


class TextEncoder(nn.Module):
    """A tokenizer and a T5-class encoder (transformers' ``UMT5EncoderModel``).

    Args:
        tokenizer: adds the end-of-sequence token and pads on the right.
        encoder: ``encoder(input_ids, attention_mask)`` with ``last_hidden_state``.
        length: rows of the result; longer prompts are cut. The transformer's ``text_length``.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, encoder: nn.Module, length: int = 512) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.encoder = encoder
        self.length = length

    def prepare(self, prompts: Sequence[str]) -> bool:
        """Get ready to encode ``prompts``. True says that an encoder was loaded for that, and is yet to be placed."""
        return False

    def release(self) -> None:
        """Nothing more to encode for now."""

    def encode(self, prompts: Sequence[str]) -> Float[Tensor, "B L Dt"]:
        """Features of each prompt, zeros in the rows after its end. The empty prompt is one row.

        Differentiable, for encoders trained with the transformer; wrap in ``torch.no_grad()`` otherwise.
        """
        batch = self.tokenizer(
            list(prompts),
            padding="max_length",
            max_length=self.length,
            truncation=True,
            add_special_tokens=True,
            return_attention_mask=True,
            return_tensors="pt",
        )
        return encode_ids(self.encoder, batch["input_ids"], batch["attention_mask"])


def encode_ids(
    encoder: nn.Module, input_ids: Int[Tensor, "B L"], attention_mask: Int[Tensor, "B L"]
) -> Float[Tensor, "B L Dt"]:
    """Features of token ids, zeros where the mask is 0."""
    device = next(encoder.parameters()).device
    mask = attention_mask.to(device)
    features = encoder(input_ids=input_ids.to(device), attention_mask=mask).last_hidden_state
    return features.where(attention_mask.to(features.device)[:, :, None] > 0, torch.zeros_like(features))
