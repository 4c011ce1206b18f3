"""Cross-attention to text and image tokens, with keys and values that can be kept over a run."""

from __future__ import annotations

from diffusers.models.attention_dispatch import dispatch_attention_fn
from diffusers.models.transformers.transformer_wan import WanAttention
from torch import Tensor

from gen3r.models.transformer.static import CrossContext


class JointCrossAttnProcessor:
    """``Linear(Attn(q, text) + Attn(q, image))`` for any number of text and image rows; no rotary, no mask.

    The attributes below are the ones diffusers sets to choose attention backends and context parallelism. Context
    tokens are never sharded, so the parallel configuration is not passed on.
    """

    _attention_backend = None
    _parallel_config = None

    def __call__(
        self,
        attn: WanAttention,
        hidden_states: Tensor,
        encoder_hidden_states: CrossContext,
        attention_mask: Tensor | None = None,
        rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        query = attn.norm_q(attn.to_q(hidden_states)).unflatten(2, (attn.heads, -1))
        keys_values = self._keys_values(attn, encoder_hidden_states)
        attended: Tensor | int = 0
        for key, value in zip(keys_values[::2], keys_values[1::2], strict=True):
            heads = dispatch_attention_fn(
                query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, backend=self._attention_backend
            )
            attended = attended + heads.flatten(2, 3).type_as(query)
        return attn.to_out[1](attn.to_out[0](attended))

    @staticmethod
    def _keys_values(attn: WanAttention, context: CrossContext) -> tuple[Tensor, ...]:
        """(text key, text value[, image key, image value]), each ``[B, rows, heads, head_dim]``."""
        if context.keys_values is not None:
            return context.keys_values
        fused = getattr(attn, "fused_projections", False)
        text = context.text
        key, value = attn.to_kv(text).chunk(2, dim=-1) if fused else (attn.to_k(text), attn.to_v(text))
        pairs = [attn.norm_k(key), value]
        if context.image is not None:
            image = context.image
            if fused:
                key, value = attn.to_added_kv(image).chunk(2, dim=-1)
            else:
                assert attn.add_k_proj is not None
                assert attn.add_v_proj is not None
                key, value = attn.add_k_proj(image), attn.add_v_proj(image)
            pairs += [attn.norm_added_k(key), value]
        keys_values = tuple(tensor.unflatten(2, (attn.heads, -1)) for tensor in pairs)
        if context.keep:
            context.keys_values = tuple(tensor.detach() for tensor in keys_values)
        return keys_values
