"""The pre-norm transformer block of DINOv2, of the alternating attention and of the camera head."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gen3r.models.vggt.rope import RotaryTable, rotate

# B sequences, N tokens of a sequence, C width, d width of a head

Heads = Float[Tensor, "B heads N d"]


class Attention(nn.Module):
    """Self-attention through `scaled_dot_product_attention`; qk-norm per head, then rotation, both optional."""

    def __init__(self, dim: int, heads: int, *, qk_norm: bool) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.q_norm = nn.LayerNorm(dim // heads, eps=1e-5) if qk_norm else nn.Identity()
        self.k_norm = nn.LayerNorm(dim // heads, eps=1e-5) if qk_norm else nn.Identity()
        self.proj = nn.Linear(dim, dim)

    def project(self, x: Float[Tensor, "B N C"], rope: RotaryTable | None = None) -> tuple[Heads, Heads, Heads]:
        """Queries, keys and values, as they meet."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        q, k = self.q_norm(q), self.k_norm(k)
        if rope is not None:
            q, k = rotate(q, rope), rotate(k, rope)
        return q, k, v

    def forward(self, x: Float[Tensor, "B N C"], rope: RotaryTable | None = None) -> Float[Tensor, "B N C"]:
        q, k, v = self.project(x, rope)
        out = attend(q.to(v.dtype), k.to(v.dtype), v)
        return self.proj(out.transpose(1, 2).flatten(2))


def attend(q: Heads, k: Heads, v: Heads) -> Heads:
    """`scaled_dot_product_attention`; where CPUs train it in bfloat16, in float32.

    There the backward pass of short sequences takes three times as long in bfloat16.
    """
    if v.device.type != "cpu" or v.dtype != torch.bfloat16 or not torch.is_grad_enabled():
        return F.scaled_dot_product_attention(q, k, v)
    with torch.autocast("cpu", enabled=False):
        return F.scaled_dot_product_attention(q.float(), k.float(), v.float()).to(v.dtype)


class Mlp(nn.Module):
    """Two linear layers around an exact GELU."""

    def __init__(self, dim: int, hidden: int, out: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, out)

    def forward(self, x: Float[Tensor, "*b C"]) -> Float[Tensor, "*b D"]:
        return self.fc2(F.gelu(self.fc1(x)))


class LayerScale(nn.Module):
    """A learned gain per channel on a residual branch (Touvron et al. 2021)."""

    def __init__(self, dim: int, initial: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((dim,), initial))

    def forward(self, x: Float[Tensor, "*b C"]) -> Float[Tensor, "*b C"]:
        return x * self.gamma


class Block(nn.Module):
    """x += ls1 * attention(norm1 x); x += ls2 * mlp(norm2 x)."""

    def __init__(
        self, dim: int, heads: int, *, mlp_ratio: float, layer_scale: float, eps: float = 1e-5, qk_norm: bool = False
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=eps)
        self.attn = Attention(dim, heads, qk_norm=qk_norm)
        self.ls1 = LayerScale(dim, layer_scale)
        self.norm2 = nn.LayerNorm(dim, eps=eps)
        self.mlp = Mlp(dim, int(dim * mlp_ratio), dim)
        self.ls2 = LayerScale(dim, layer_scale)

    def forward(self, x: Float[Tensor, "B N C"], rope: RotaryTable | None = None) -> Float[Tensor, "B N C"]:
        x = x + self.ls1(self.attn(self.norm1(x), rope))
        return x + self.ls2(self.mlp(self.norm2(x)))
