"""JointTransformer: diffusers' Wan transformer plus what Gen3R adds to it.

Departures from ``diffusers.WanTransformer3DModel``, all needed to equal the official network:

- a camera adapter whose output is added to the patch embedding;
- rotary columns that restart in the geometry half (chosen by ``shared_rope``, never guessed from the shape);
- a float64 timestep sinusoid, and a time embedding that stays in float32 under any weight dtype;
- text length from the config, so cross-attention knows text from image tokens by name rather than by position;
- what does not depend on the timestep can be kept over a run (:meth:`JointTransformer.prepare`).

B batch, f latent frames, h w latent cells of one half, W = 2w, N tokens, D width.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from typing import Any, ClassVar, cast

import torch
from diffusers.models._modeling_parallel import ContextParallelInput, ContextParallelOutput
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel, WanTransformerBlock
from diffusers.utils.peft_utils import apply_lora_scale
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from gen3r.models.transformer.attention import JointCrossAttnProcessor
from gen3r.models.transformer.camera_adapter import CameraAdapter
from gen3r.models.transformer.config import TransformerConfig
from gen3r.models.transformer.precision import Float32Linear, Float64Timesteps, MixedRMSNorm
from gen3r.models.transformer.rotary import JointRotaryPosEmbed
from gen3r.models.transformer.static import CrossContext, StaticCondition


class JointTransformer(WanTransformer3DModel):
    """Predicts the velocity (noise - clean) of a joint latent: appearance left, geometry right.

    A subclass, so that everything diffusers offers on the Wan transformer keeps working: gradient checkpointing,
    LoRA, attention backends, caches, group offload, context parallelism, ``save_pretrained``.

    Args:
        config: sizes and options; the defaults are the full-size model.
    """

    _skip_layerwise_casting_patterns: ClassVar = ["patch_embedding", "condition_embedder", "camera_adapter", "norm"]
    _keep_in_fp32_modules: ClassVar = ["time_embedder", "time_proj", "scale_shift_table", "norm1", "norm2", "norm3"]
    _cp_plan: ClassVar = {
        "rope": {
            0: ContextParallelInput(split_dim=1, expected_dims=4, split_output=True),
            1: ContextParallelInput(split_dim=1, expected_dims=4, split_output=True),
        },
        "blocks.0": {"hidden_states": ContextParallelInput(split_dim=1, expected_dims=3, split_output=False)},
        "proj_out": ContextParallelOutput(gather_dim=1, expected_dims=3),
    }

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(
            patch_size=config.patch_size,
            num_attention_heads=config.num_attention_heads,
            attention_head_dim=config.attention_head_dim,
            in_channels=config.in_channels,
            out_channels=config.out_channels,
            text_dim=config.text_dim,
            freq_dim=config.freq_dim,
            ffn_dim=config.ffn_dim,
            num_layers=config.num_layers,
            cross_attn_norm=config.cross_attn_norm,
            eps=config.eps,
            image_dim=config.image_dim,
            added_kv_proj_dim=None if config.image_dim is None else config.dim,
        )
        self._internal_dict = type(self._internal_dict)(asdict(config))
        self.settings = config
        self.rope = JointRotaryPosEmbed(config.attention_head_dim, config.patch_size, config.shared_rope)
        self.camera_adapter = CameraAdapter(config)
        embedder: Any = self.condition_embedder
        embedder.timesteps_proj = Float64Timesteps(config.freq_dim)
        embedder.time_embedder.linear_1 = Float32Linear.from_linear(embedder.time_embedder.linear_1)
        embedder.time_embedder.linear_2 = Float32Linear.from_linear(embedder.time_embedder.linear_2)
        embedder.time_proj = Float32Linear.from_linear(embedder.time_proj)
        for block in cast(Iterable[WanTransformerBlock], self.blocks):
            block.attn2.set_processor(cast(Any, JointCrossAttnProcessor()))
            for attention in (block.attn1, block.attn2):
                for name, layer in list(attention.named_children()):
                    if isinstance(layer, nn.RMSNorm):
                        setattr(attention, name, MixedRMSNorm.from_norm(layer))

    @classmethod
    def from_config(cls, config: dict[str, Any], return_unused_kwargs: bool = False, **kwargs: Any) -> Any:
        """Build from the dictionary of ``config.json`` (the hook behind diffusers' ``from_pretrained``)."""
        model = cls(TransformerConfig.from_dict(dict(config)))
        return (model, kwargs) if return_unused_kwargs else model

    @staticmethod
    def prepare(
        text: Float[Tensor, "B L Dt"],
        camera: Float[Tensor, "B C f H W"] | None = None,
        image: Float[Tensor, "B M Di"] | None = None,
    ) -> StaticCondition:
        """Conditions whose projections are computed by the first forward that gets them and reused by the next ones.

        Pass the result as ``static=`` to every step of one sampling run. Not for training: it carries no gradients.
        """
        return StaticCondition(text=text, camera=camera, image=image)

    @apply_lora_scale("attention_kwargs")
    def forward(
        self,
        latents: Float[Tensor, "B C f h W"],
        timestep: Float[Tensor, " B"],
        control: Float[Tensor, "B K f h W"],
        text: Float[Tensor, "B L Dt"] | None = None,
        camera: Float[Tensor, "B R f rows columns"] | None = None,
        image: Float[Tensor, "B M Di"] | None = None,
        *,
        static: StaticCondition | None = None,
        attention_kwargs: dict[str, Any] | None = None,
    ) -> Float[Tensor, "B C f h W"]:
        """Velocity of ``latents`` at ``timestep``.

        Args:
            latents: noisy joint latents, normalised.
            timestep: 1000 * sigma, in (0, 1000], fractional values welcome.
            control: control latents and mask, in this order.
            text: text features; rows up to ``text_length`` are filled with zeros and attended to.
            camera: packed rays at image size (8 pixels per cell; at latent size too with
                ``camera_downsample_first``). None skips the adapter, which differs from zero rays: those mean
                "camera unknown" and still add the adapter's bias.
            image: image features (token rows), for models built with ``image_dim``.
            static: from :meth:`prepare`, instead of ``text``, ``camera`` and ``image``.
            attention_kwargs: ``{"scale": s}`` scales LoRA layers.

        Returns:
            Velocity in the dtype of ``latents``.

        Raises:
            ValueError: odd sizes, features of the wrong width, or conditions given twice or not at all.
        """
        size = self._check_latents(latents, control)
        with self._wide_stream(latents.device):
            if static is None:
                if text is None:
                    raise ValueError("text features are required (or a static condition from prepare()).")
                rotary, camera_tokens, context = self._derive(latents, text, camera, image)
                contexts = [context] * len(self.blocks)
            else:
                if text is not None or camera is not None or image is not None:
                    raise ValueError("give either static or text, camera and image, not both.")
                rotary, camera_tokens, contexts = self._derive_once(latents, size, static)

            weight_dtype = self.patch_embedding.weight.dtype
            tokens = self.patch_embedding(torch.cat([latents, control], dim=1).to(weight_dtype))
            tokens = tokens.flatten(2).transpose(1, 2).contiguous()
            if camera_tokens is not None:
                tokens = tokens + camera_tokens
            tokens = tokens.float()  # the residual stream; autocast narrows the matrix products only

            embedder = self.condition_embedder
            time = embedder.time_embedder(embedder.timesteps_proj(timestep))
            modulation = embedder.time_proj(embedder.act_fn(time)).unflatten(1, (6, -1))

            checkpoint = (
                self._gradient_checkpointing_func if torch.is_grad_enabled() and self.gradient_checkpointing else None
            )
            for block, context in zip(self.blocks, contexts, strict=True):
                if checkpoint is not None:
                    tokens = checkpoint(block, tokens, context, modulation, rotary)
                else:
                    tokens = block(tokens, context, modulation, rotary)

            shift, scale = (self.scale_shift_table.float() + time[:, None]).chunk(2, dim=1)
            tokens = (self.norm_out(tokens.float()) * (1 + scale) + shift).to(tokens.dtype)
            return self._unpatchify(self.proj_out(tokens), size).to(latents.dtype)

    def _wide_stream(self, device: torch.device) -> AbstractContextManager[Any]:
        """Half-precision weights narrow the matrix products only: the residual stream stays float32, as officially."""
        dtype = self.patch_embedding.weight.dtype
        if dtype == torch.float32 or torch.is_autocast_enabled(device.type):
            return nullcontext()
        return torch.autocast(device.type, dtype)

    def _check_latents(self, latents: Tensor, control: Tensor) -> tuple[int, int, int]:
        channels = (latents.shape[1], control.shape[1])
        expected = (self.settings.out_channels, self.settings.control_channels)
        if channels != expected:
            raise ValueError(f"latents and control must have {expected} channels, got {channels}.")
        frames, rows, columns = latents.shape[2:]
        multiples = list(self.settings.patch_size)
        if self.settings.shared_rope:
            multiples[2] *= 2
        if any(cells % multiple for cells, multiple in zip((frames, rows, columns), multiples, strict=True)):
            raise ValueError(
                f"latent frames, rows and joint columns {(frames, rows, columns)} must be multiples of {multiples}."
            )
        return frames, rows, columns

    def _derive(
        self, latents: Tensor, text: Tensor, camera: Tensor | None, image: Tensor | None
    ) -> tuple[tuple[Tensor, Tensor], Tensor | None, CrossContext]:
        """Rotary tables, camera tokens and projected context: all that the timestep does not touch."""
        rows, columns = latents.shape[3:]
        weight_dtype = self.patch_embedding.weight.dtype
        camera_tokens = None
        if camera is not None:
            camera_tokens = self.camera_adapter(camera.to(weight_dtype), (rows, columns))
            camera_tokens = camera_tokens.flatten(2).transpose(1, 2)
        length = self.settings.text_length
        if text.shape[1] > length or text.shape[2] != self.settings.text_dim:
            raise ValueError(
                f"text must be at most {length} rows of {self.settings.text_dim}, got {tuple(text.shape[1:])}."
            )
        text = F.pad(text.to(weight_dtype), (0, 0, 0, length - text.shape[1]))
        text_tokens = self.condition_embedder.text_embedder(text)
        image_tokens = None
        if (image is None) != (self.settings.image_dim is None):
            raise ValueError(
                f"this model has image_dim={self.settings.image_dim}: image features are "
                f"{'not used' if image is not None else 'required'}."
            )
        if image is not None and self.condition_embedder.image_embedder is not None:
            image_tokens = self.condition_embedder.image_embedder(image.to(weight_dtype))
        return self.rope(latents), camera_tokens, CrossContext(text=text_tokens, image=image_tokens)

    def _derive_once(
        self, latents: Tensor, size: tuple[int, int, int], static: StaticCondition
    ) -> tuple[tuple[Tensor, Tensor], Tensor | None, list[CrossContext]]:
        if torch.is_grad_enabled() and self.training:
            raise ValueError("a static condition carries no gradients; while training pass text, camera and image.")
        if static.contexts is None or static.rotary is None:
            if static.text is None:
                raise ValueError("this static condition has no text features; make one with prepare().")
            with torch.no_grad():
                rotary, camera_tokens, context = self._derive(latents, static.text, static.camera, static.image)
            static.latent_size, static.rotary = size, rotary
            static.camera_tokens = camera_tokens
            static.contexts = [replace(context, keep=True) for _ in self.blocks]
            static.text = static.camera = static.image = None
        if static.latent_size != size:
            raise ValueError(
                f"this static condition is for latents {static.latent_size}, got {size}; prepare a new one."
            )
        return static.rotary, static.camera_tokens, static.contexts

    def _unpatchify(self, tokens: Tensor, size: tuple[int, int, int]) -> Tensor:
        """``[B, N, p_t * p_h * p_w * C]`` to ``[B, C, f, h, W]``."""
        patch = self.settings.patch_size
        grid = [cells // side for cells, side in zip(size, patch, strict=True)]
        volume = tokens.unflatten(2, (*patch, -1)).unflatten(1, grid)
        volume = volume.permute(0, 7, 1, 4, 2, 5, 3, 6)
        return volume.flatten(6, 7).flatten(4, 5).flatten(2, 3)

    @torch.no_grad()
    def initialize_for_training(self, generator: torch.Generator | None = None) -> JointTransformer:
        """Draw weights the way Wan was started: Xavier matrices, small embeddings, and a silent output layer."""
        for name, parameter in self.named_parameters():
            if name.endswith("scale_shift_table"):
                nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5, generator=generator)
            elif parameter.ndim == 1:
                nn.init.constant_(parameter, 1.0 if name.endswith("weight") else 0.0)
            elif name.startswith(("condition_embedder.time_embedder", "condition_embedder.text_embedder")):
                nn.init.normal_(parameter, std=0.02, generator=generator)
            else:
                nn.init.xavier_uniform_(parameter.flatten(1), generator=generator)
        nn.init.zeros_(self.proj_out.weight)
        nn.init.zeros_(self.camera_adapter.residual_block.conv2.weight)
        return self
