"""Geometry as pictures: what is painted is read back, exactly without a VAE and closely with one."""

import pytest
import torch
from torch import Tensor, nn

from gen3r.cameras.cameras import Cameras, pinhole
from gen3r.cameras.convention import rigid
from gen3r.cameras.pose_encoding import decode_pose
from gen3r.data.synthetic import generate_clips
from gen3r.hub.load import load_vae
from gen3r.hub.networks import appearance_codec
from gen3r.hub.registry import resolve_model
from gen3r.latents.appearance import AppearanceCodec
from gen3r.latents.codecs import ClipGeometry
from gen3r.latents.codecs.depth_rays import DepthRaysCodec
from gen3r.latents.codecs.pictures import FAR, PictureCodec, smoothness
from gen3r.latents.codecs.xyz import XYZCodec, contract
from gen3r.models.posterior import Posterior
from gen3r.models.vggt import VGGTOutput

CODECS = (XYZCodec, DepthRaysCodec)


class PixelVAE(nn.Module):
    """Its latents are the pixels."""

    def encode(self, video: Tensor) -> Posterior:
        return Posterior(mean=video, logvar=torch.full_like(video, -30.0))

    def decode(self, latents: Tensor) -> Tensor:
        return latents


def exact(codec: type[PictureCodec]) -> PictureCodec:
    return codec(AppearanceCodec(PixelVAE(), (0.0,) * 3, (1.0,) * 3))


def scene(turn: float = 0.3, frames: int = 5, side: tuple[int, int] = (64, 96), sky: bool = True) -> ClipGeometry:
    """Two clips in any unit and world: smooth relief, cameras that turn by ``turn`` radians and walk, sky on top."""
    rng = torch.Generator().manual_seed(3)
    height, width = side
    coarse = torch.rand(2 * frames, 1, 4, 5, generator=rng)
    depth = 3 * (0.5 + nn.functional.interpolate(coarse, size=side, mode="bicubic").clamp(0, 1))[:, 0]
    depth = depth.unflatten(0, (2, frames)).clone()
    if sky:
        depth[:, :, : height // 4, : width // 2] = 0
    angle = torch.linspace(0, turn, frames).expand(2, frames) * torch.tensor([[1.0], [-0.7]])
    skew = torch.zeros(2, frames, 3, 3)
    skew[..., 0, 2], skew[..., 2, 0] = angle, -angle
    skew[..., 1, 2], skew[..., 2, 1] = -angle / 5, angle / 5
    shift = torch.linspace(0, 1, frames)[:, None] * torch.tensor([0.9, -0.3, 0.6])
    extrinsics = rigid(torch.linalg.matrix_exp(skew), shift.expand(2, frames, 3))
    world = rigid(torch.linalg.matrix_exp(torch.tensor([[0, -1.0, 0], [1.0, 0, 0], [0, 0, 0]])), torch.ones(3))
    lens = pinhole(torch.full((2, frames), 0.9 * width), torch.full((2, frames), 1.3 * height), width / 2, height / 2)
    return ClipGeometry(depth=depth, cameras=Cameras(extrinsics @ world, lens, height, width))


def images_of(truth: ClipGeometry) -> Tensor:
    return torch.zeros(*truth.depth.shape[:2], 3, *truth.depth.shape[2:])


def cameras_of(output: VGGTOutput) -> Cameras:
    return decode_pose(output.pose_encoding, output.depth.shape[-2], output.depth.shape[-1])


def degrees(a: Tensor, b: Tensor) -> Tensor:
    chord = (a.double() - b.double()).square().sum((-1, -2)).sqrt() / 8**0.5
    return torch.rad2deg(2 * torch.asin(chord.clamp(max=1)))


@pytest.mark.parametrize("turn", [0.0, 0.3, 1.2])
@pytest.mark.parametrize("codec", CODECS)
def test_without_a_vae_all_geometry_comes_back(codec: type[PictureCodec], turn: float) -> None:
    truth, made = scene(turn), exact(codec)
    output = made.decode(made.encode(images_of(truth), truth).mode())
    expected = truth.normalized()
    surface = expected.depth > 0
    assert torch.equal(output.depth > 0, surface)
    assert ((output.depth - expected.depth).abs() / expected.depth)[surface].max() < 2e-3
    cameras = cameras_of(output)
    assert degrees(cameras.extrinsics[..., :3, :3], expected.cameras.extrinsics[..., :3, :3]).max() < 0.02
    assert (cameras.centers - expected.cameras.centers).norm(dim=-1).max() < 1e-3
    torch.testing.assert_close(cameras.intrinsics, expected.cameras.intrinsics, rtol=1e-3, atol=1e-3)
    assert torch.equal(cameras.extrinsics[:, 0], torch.eye(4).expand(2, 4, 4))


def test_point_maps_know_cameras_that_look_back() -> None:
    truth, made = scene(turn=3.1, frames=9, sky=False), exact(XYZCodec)
    cameras = cameras_of(made.decode(made.encode(images_of(truth), truth).mode()))
    expected = truth.normalized().cameras.extrinsics
    assert degrees(cameras.extrinsics[..., :3, :3], expected[..., :3, :3]).max() < 0.02


@pytest.fixture(scope="module")
def shipped() -> AppearanceCodec:
    return appearance_codec(load_vae(resolve_model("tiny").path / "vae")).eval()


@pytest.fixture(scope="module")
def held_out() -> ClipGeometry:
    clip = next(iter(generate_clips([900_000_001], 5, 112, 112, samples=1)))
    cameras = Cameras(clip.cameras.extrinsics[None].float(), clip.cameras.intrinsics[None].float(), 112, 112)
    return ClipGeometry(depth=clip.depth[None].float(), cameras=cameras)


@pytest.mark.parametrize("codec", CODECS)
@torch.no_grad()
def test_through_the_shipped_vae_geometry_stays_close(
    codec: type[PictureCodec], shipped: AppearanceCodec, held_out: ClipGeometry
) -> None:
    made = codec(shipped)
    posterior = made.encode(images_of(held_out), held_out)
    assert posterior.mean.shape == (1, 16, 2, 14, 14)
    output, expected = made.decode(posterior.mode()), held_out.normalized()
    known = (expected.depth > 0) & (expected.depth < FAR / 2)
    surface = known & (output.depth > 0)
    assert surface.sum() > 0.97 * known.sum()
    assert ((output.depth - expected.depth).abs() / expected.depth)[surface].median() < 0.04
    turned = degrees(cameras_of(output).extrinsics[..., :3, :3], expected.cameras.extrinsics[..., :3, :3])
    assert turned.max() < 6  # five frames over a whole path: several times the motion that the VAE is used to
    assert (cameras_of(output).fov - expected.cameras.fov).abs().max() < 0.05


@pytest.mark.parametrize("codec", CODECS)
def test_any_latents_are_read_as_finite_cameras(codec: type[PictureCodec]) -> None:
    made = exact(codec)
    for latents in (
        torch.randn(1, 3, 5, 32, 48, generator=torch.Generator().manual_seed(0)),
        torch.zeros(1, 3, 5, 32, 48),
    ):
        output = made.decode(latents)
        cameras_of(output).validate()
        assert output.depth.isfinite().all()
        assert output.points.isfinite().all()
        assert output.depth.max() <= 10 * FAR


@pytest.mark.parametrize("codec", CODECS)
def test_a_truth_is_needed(codec: type[PictureCodec]) -> None:
    with pytest.raises(ValueError, match="true depth and cameras, got images alone"):
        exact(codec).encode(torch.zeros(1, 5, 3, 16, 16))
    with pytest.raises(ValueError, match="got none"):
        exact(codec).decode(None)
    with pytest.raises(ValueError, match="this model has no VGGT"):
        _ = exact(codec).vggt


def test_space_is_contracted_to_a_ball() -> None:
    far = torch.tensor([[0.0, 0.0, 1e6], [0.0, 3.0, 4.0], [0.3, 0.0, 0.4], [0.0, 0.0, 0.0]])
    expected = torch.tensor([[0.0, 0.0, 2.0], [0.0, 1.08, 1.44], [0.3, 0.0, 0.4], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(contract(far), expected)


def test_confidence_falls_where_depth_jumps() -> None:
    depth = torch.ones(1, 4, 6)
    depth[..., 3:] = 2
    confidence = smoothness(depth)
    assert torch.equal(confidence[..., :2], torch.full((1, 4, 2), 2.0))
    assert (confidence[..., 2:4] < 1.2).all()
    assert (confidence > 1).all()
