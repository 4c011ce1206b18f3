"""Names of the released geometry adapter and ours. The official lists are flat, so the table follows the config."""

from __future__ import annotations

from gen3r.hub.convert import KeyTable
from gen3r.models.adapter import AdapterConfig


def adapter_keys(config: AdapterConfig) -> KeyTable:
    """The key table of an adapter of this config; files with and without the `model.` prefix are read."""
    stages = len(config.multipliers)
    return KeyTable(
        pairs=(
            ("conv1", "moments"),
            ("conv2", "unmoments"),
            ("encoder.init_block.resample.1", "encoder.entry"),
            ("encoder.conv1", "encoder.widen"),
            *_stages("encoder.downsamples", "encoder.stages", stages, config.res_blocks),
            *_middle_and_head("encoder"),
            ("decoder.conv1", "decoder.widen"),
            *_stages("decoder.upsamples", "decoder.stages", stages, config.res_blocks + 1),
            *_middle_and_head("decoder"),
            ("decoder.out_block.resample.2", "decoder.exit"),
        ),
        prefix="model.",
        ignored=("mean", "std"),  # written by the official trainer, never read back: the config holds them
    )


def _residual(official: str, ours: str) -> list[tuple[str, str]]:
    names = {
        "residual.0": "norm1",
        "residual.2": "conv1",
        "residual.3": "norm2",
        "residual.6": "conv2",
        "shortcut": "shortcut",
    }
    return [(f"{official}.{theirs}", f"{ours}.{our}") for theirs, our in names.items()]


def _stages(official: str, ours: str, stages: int, blocks: int) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for i in range(stages):
        start = i * (blocks + 1)
        for j in range(blocks):
            pairs += _residual(f"{official}.{start + j}", f"{ours}.{i}.blocks.{j}")
        if i < stages - 1:
            resample = f"{official}.{start + blocks}"
            pairs += [
                (f"{resample}.resample.0", f"{ours}.{i}.resample.spatial"),
                (f"{resample}.time_conv", f"{ours}.{i}.resample.time"),
            ]
    return pairs


def _middle_and_head(part: str) -> list[tuple[str, str]]:
    return [
        *_residual(f"{part}.middle.0", f"{part}.middle.before"),
        (f"{part}.middle.1.to_qkv", f"{part}.middle.attention.qkv"),
        (f"{part}.middle.1", f"{part}.middle.attention"),
        *_residual(f"{part}.middle.2", f"{part}.middle.after"),
        (f"{part}.head.0", f"{part}.head_norm"),
        (f"{part}.head.2", f"{part}.head"),
    ]
