"""Names of the released VGGT (facebook/VGGT-1B, and Gen3R's `vggt/` folder) and ours."""

from __future__ import annotations

from gen3r.hub.convert import KeyTable


def _head(head: str) -> list[tuple[str, str]]:
    pairs = [
        ("projects", "projections"),
        ("resize_layers", "resizes"),
        ("scratch.output_conv1", "output_conv"),
        ("scratch.output_conv2.0", "hidden_conv"),
        ("scratch.output_conv2.2", "final_conv"),
    ]
    for i in range(4):
        pairs += [
            (f"scratch.layer{i + 1}_rn", f"adapters.{i}"),
            (f"scratch.refinenet{i + 1}.out_conv", f"fusions.{i}.project"),
            (f"scratch.refinenet{i + 1}.resConfUnit1", f"fusions.{i}.skip_unit"),
            (f"scratch.refinenet{i + 1}.resConfUnit2", f"fusions.{i}.output_unit"),
        ]
    return [(f"{head}.{official}", f"{head}.{ours}") for official, ours in pairs]


VGGT_KEYS = KeyTable(
    pairs=(
        ("aggregator.patch_embed.cls_token", "aggregator.patch_embed.class_token"),
        ("aggregator.patch_embed.pos_embed", "aggregator.patch_embed.positions"),
        ("aggregator.patch_embed.patch_embed.proj", "aggregator.patch_embed.projection"),
        ("camera_head.empty_pose_tokens", "camera_head.empty_pose"),
        ("camera_head.embed_pose", "camera_head.pose_embed"),
        ("camera_head.poseLN_modulation.1", "camera_head.modulation"),
        *_head("depth_head"),
        *_head("point_head"),
    ),
    ignored=("track_head",),  # in the public file; Gen3R does not track points
)
"""Blocks keep their official names: norm1, attn, ls1, norm2, mlp, ls2."""
