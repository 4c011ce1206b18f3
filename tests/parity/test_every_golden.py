"""A golden that nobody looks at proves nothing."""

from fnmatch import fnmatch

import pytest

from parity._goldens import Golden, all_goldens, compared
from parity.conftest import PARTIAL

WAN_INPUTS = {
    "wan_transformer_forward": ("x", "y", "t", "clip_fea", "context_*", "y_camera", "x_square", "y_square", "rope_q"),
    "wan_vae": ("video", "z", "eps"),
    "umt5": ("input_ids", "attention_mask"),
    "clip_visual": ("image*",),
    "cameras": ("c2w", "K", "plucker_frames", "get_K_in", "resize_in"),
    "pipeline_packing": ("images_u8", "plucker", "eps", "*_ids"),
    "pipeline_e2e": ("images_u8", "c2w", "K", "noise", "eps", "*_ids"),
    "train_step": ("x0", "noise", "indices", "y", "y_camera", "clip_fea", "context"),
    "train_control": ("pixel_values_u8", "geometry_latents", "vggt_tokens_*", "eps", "eps_latents"),
}
"""What the official code was given, by kind: the wan index does not tell inputs from outputs."""


def outputs(golden: Golden) -> set[str]:
    """Keys of what the official code gave."""
    if golden.family == "geometry":
        return set(golden.outputs())
    inputs = WAN_INPUTS.get(golden.kind, ())
    return {key for key in golden.entry["tensors"] if not any(fnmatch(key, pattern) for pattern in inputs)}


def test_every_output_of_every_golden_was_compared(pytestconfig: pytest.Config) -> None:
    if pytestconfig.stash[PARTIAL]:
        pytest.skip("only part of the parity tests was asked for")
    forgotten = {str(golden): sorted(outputs(golden) - compared(golden)) for golden in all_goldens()}
    assert not {name: keys for name, keys in forgotten.items() if keys}
