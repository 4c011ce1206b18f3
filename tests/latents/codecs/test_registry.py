from typing import Any, cast, get_args

import pytest
import torch

from gen3r.latents.codecs import CodecName
from gen3r.latents.codecs.registry import CODECS, check_control, encoders_of
from gen3r.latents.codecs.two_stage import TwoStageCodec
from gen3r.models.vggt import VGGT
from latents.codecs.test_vggt_adapter import VGGT_CONFIG, images


def test_every_name_is_a_codec() -> None:
    assert set(CODECS) == set(get_args(CodecName))
    for name, kind in CODECS.items():
        assert kind.halves == 2 or not kind.needs_truth
        assert encoders_of(name) == ("vae", *kind.networks)


def test_geometry_of_views_is_refused_where_images_are_not_enough() -> None:
    for name in ("xyz", "depth-rays", "none"):
        with pytest.raises(ValueError, match=f'"zeros" with the codec {name}'):
            check_control(name, "encoded")
        check_control(name, "zeros")
    check_control("vggt-adapter-nokl", "encoded")


@torch.no_grad()
def test_two_stages_read_the_frames() -> None:
    torch.manual_seed(0)
    vggt, frames = VGGT(VGGT_CONFIG).eval(), images(batch=1, frames=5)
    codec = CODECS["none"].build(cast(Any, None), {"vggt": vggt})
    assert isinstance(codec, TwoStageCodec)
    assert codec.name == "none"
    torch.testing.assert_close(codec.decode(None, images=frames).depth, vggt(frames).depth)
    with pytest.raises(ValueError, match="check the codec's halves"):
        codec.encode(frames)
    with pytest.raises(ValueError, match="got none"):
        codec.decode(None)
