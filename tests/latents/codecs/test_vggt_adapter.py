import pytest
import torch
from torch import Tensor

from gen3r.latents.codecs import VGGTAdapterCodec
from gen3r.latents.tokens import unpack_tokens
from gen3r.models.adapter import AdapterConfig, GeometryAdapter
from gen3r.models.vggt import VGGT, VGGTConfig, VGGTOutput

VGGT_CONFIG = VGGTConfig(
    image_size=56,
    embed_dim=16,
    patch_embed="conv",
    depth=4,
    heads=2,
    kept_layers=(0, 1, 2, 3),
    camera_depth=1,
    camera_heads=2,
    dense_features=8,
    dense_channels=(8, 8, 8, 8),
    dense_hidden=4,
)
ADAPTER_CONFIG = AdapterConfig(hidden=4, token_channels=160, resample_scale=16, res_blocks=1, io_kernel=1)


@pytest.fixture(scope="module")
def codec() -> VGGTAdapterCodec:
    torch.manual_seed(0)
    return VGGTAdapterCodec(VGGT(VGGT_CONFIG), GeometryAdapter(ADAPTER_CONFIG)).eval()


def images(batch: int = 2, frames: int = 9, height: int = 56, width: int = 112) -> Tensor:
    return torch.rand(batch, frames, 3, height, width, generator=torch.Generator().manual_seed(1))


def tensors(output: VGGTOutput) -> list[Tensor]:
    return [
        *output.pose_encodings,
        output.depth,
        output.depth_confidence,
        output.points,
        output.points_confidence,
    ]


@pytest.mark.parametrize("chunk", [4, 8])
@torch.no_grad()
def test_encoding_in_chunks_equals_encoding_at_once(codec: VGGTAdapterCodec, chunk: int) -> None:
    views = images()
    whole, chunked = codec.encode(views, frames_chunk=None), codec.encode(views, frames_chunk=chunk)
    assert whole.mean.shape == (2, 16, 3, 7, 14)
    torch.testing.assert_close(whole.mean, chunked.mean, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(whole.logvar, chunked.logvar, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_streamed_decoding_equals_decoding_all_tokens(codec: VGGTAdapterCodec) -> None:
    latents = codec.encode(images()).mode()
    volume = codec.adapter.decode(latents, (4, 8))
    expected = codec.vggt.decode(unpack_tokens(volume), (56, 112))
    for chunk in (1, 8):
        for a, b in zip(tensors(expected), tensors(codec.decode(latents, frames_chunk=chunk)), strict=True):
            torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)


@torch.no_grad()
def test_results_are_collected_elsewhere(codec: VGGTAdapterCodec) -> None:
    latents = codec.encode(images(frames=5)).mode()
    aside = codec.decode(latents, results_device=torch.device("meta"))
    for here, there in zip(tensors(codec.decode(latents)), tensors(aside), strict=True):
        assert there.is_meta
        assert there.shape == here.shape


@torch.no_grad()
def test_items_of_a_batch_do_not_meet(codec: VGGTAdapterCodec) -> None:
    latents = codec.encode(images(frames=5)).mode()
    for a, b in zip(tensors(codec.decode(latents)), tensors(codec.decode(latents.flip(0))), strict=True):
        torch.testing.assert_close(a, b.flip(0), atol=1e-4, rtol=1e-3)


@torch.no_grad()
def test_tokens_are_what_the_adapter_encodes(codec: VGGTAdapterCodec) -> None:
    views = images(batch=1, frames=5)
    assert torch.equal(codec.adapter.encode(codec.tokens(views)).mean, codec.encode(views, frames_chunk=None).mean)


def test_wrong_sizes_are_refused(codec: VGGTAdapterCodec) -> None:
    with pytest.raises(ValueError, match=r"4k\+1, got 6; use 5 or 9"):
        codec.encode(images(frames=6))
    with pytest.raises(ValueError, match="multiple of 4, got 3"):
        codec.encode(images(frames=5), frames_chunk=3)
    with pytest.raises(ValueError, match="multiples of 4"):
        codec.encode(images(frames=1, height=70))
    with pytest.raises(ValueError, match="trained with it"):
        VGGTAdapterCodec(codec.vggt, GeometryAdapter(AdapterConfig(hidden=4, token_channels=20)))
