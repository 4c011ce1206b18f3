"""The bundle: laws that hold for training and sampling alike."""

from dataclasses import replace

import pytest
import torch
from diffusers import AutoencoderKLWan
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gen3r.cameras import Cameras
from gen3r.conditioning.condition import Condition, Conditioner, ConditioningConfig, DropRates, Drops
from gen3r.latents.appearance import AppearanceCodec
from gen3r.latents.grid import LatentGrid
from gen3r.latents.joint import split
from gen3r.models.posterior import Posterior

GRID = LatentGrid(5, 16, 32, patch=16)
TEXT = torch.randn(3, 6, 8, generator=torch.Generator().manual_seed(4))


def codec() -> AppearanceCodec:
    torch.manual_seed(0)
    vae = AutoencoderKLWan(base_dim=4, num_res_blocks=1).eval().requires_grad_(False)
    return AppearanceCodec(vae, [0.0] * 16, [1.0] * 16)


CODEC = codec()


class MeanColor:
    """A geometry codec small enough to read: channel 0 is the mean grey of each latent frame's last image."""

    def encode(self, images: Tensor, /) -> Posterior:
        mean = torch.zeros(len(images), 16, GRID.latent_frames, *GRID.latent_size)
        mean[:, 0] = images[:, ::4].mean(dim=(2, 3, 4))[..., None, None]
        return Posterior(mean=mean, logvar=torch.zeros_like(mean))


def video() -> Tensor:
    return torch.rand(3, GRID.frames, 3, *GRID.size, generator=torch.Generator().manual_seed(1))


def cameras() -> Cameras:
    poses = torch.eye(4).repeat(3, GRID.frames, 1, 1)
    poses[..., 0, 3] = torch.linspace(0, 1, GRID.frames) * torch.tensor([[1.0], [2.0], [3.0]])
    return Cameras.from_fov(poses, 1.0, *GRID.size)


def shown(*rows: list[int]) -> Tensor:
    flags = torch.zeros(len(rows), GRID.frames, dtype=torch.bool)
    for flag, row in zip(flags, rows, strict=True):
        flag[row] = True
    return flags


def make(config: ConditioningConfig | None = None, **options: object) -> Conditioner:
    return Conditioner(CODEC, config or ConditioningConfig(), **options)


def test_shapes() -> None:
    condition = make()(video(), shown([0], [1, 3], []), TEXT, cameras(), grid=GRID, scale=torch.ones(3))
    assert condition.control.shape == (3, 20, 2, 2, 8)
    assert condition.camera.shape == (3, 24, 2, 16, 64)
    assert condition.image is None
    pooled = make(ConditioningConfig(rays_at_latent_size=True)).rays(cameras(), GRID, like=video())
    assert pooled.shape == (3, 24, 2, 2, 8)


@given(rows=st.lists(st.lists(st.integers(0, 4), unique=True), min_size=3, max_size=3))
def test_samples_do_not_see_each_other(rows: list[list[int]]) -> None:
    conditioner, flags = make(), shown(*rows)
    together = conditioner.control(video(), flags)
    for i in range(3):
        alone = conditioner.control(video()[i : i + 1], flags[i : i + 1])
        torch.testing.assert_close(alone, together[i : i + 1], atol=1e-5, rtol=1e-5)


@given(row=st.lists(st.integers(0, 4), unique=True))
def test_hidden_frames_are_never_looked_at(row: list[int]) -> None:
    flags, conditioner = shown(row, row, row), make()
    spoiled = torch.where(flags[:, :, None, None, None], video(), torch.full_like(video(), torch.nan))
    assert torch.equal(conditioner.control(spoiled, flags), conditioner.control(video(), flags))


def test_all_views_are_the_encoded_clip() -> None:
    control = make().control(video(), shown(*[list(range(5))] * 3))
    known, unknown = split(control)
    torch.testing.assert_close(known[:, :16], CODEC.encode(video()).mean)
    assert known[:, 16:].eq(1).all()
    assert not unknown.any()


def test_no_view_is_a_black_clip() -> None:
    control = make().control(video(), shown([], [], []))
    torch.testing.assert_close(split(control)[0][:, :16], CODEC.encode(torch.zeros_like(video())).mean)
    assert not control[:, 16:].any()


def test_geometry_half_of_the_control() -> None:
    flags = shown([0], [0, 4], [4])
    config = ConditioningConfig(control_geometry="encoded")
    encoded = make(config, geometry=MeanColor()).control(video(), flags)
    zeros = make().control(video(), flags)
    assert torch.equal(split(encoded)[0], split(zeros)[0])
    grey = split(encoded)[1][:, 0, :, 0, 0]
    assert torch.equal(grey > 0, flags[:, ::4])
    assert not split(encoded)[1][:, 16:].any()
    with pytest.raises(ValueError, match="needs a geometry codec"):
        make(config)


def test_sampled_control_depends_on_its_own_generator_only() -> None:
    conditioner, flags = make(ConditioningConfig(sample_control=True)), shown([0], [1], [2])

    def generators() -> list[torch.Generator]:
        return [torch.Generator().manual_seed(seed) for seed in (5, 6, 7)]

    together = conditioner.control(video(), flags, generators())
    alone = conditioner.control(video()[1:2], flags[1:2], generators()[1:2])
    torch.testing.assert_close(alone, together[1:2], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(together, make().control(video(), flags), atol=1e-2)


@given(text=st.lists(st.booleans(), min_size=3, max_size=3), camera=st.lists(st.booleans(), min_size=3, max_size=3))
def test_drops_are_per_sample_and_per_condition(text: list[bool], camera: list[bool]) -> None:
    full = make()(video(), shown([0], [1], [2]), TEXT, cameras(), grid=GRID)
    empty = torch.full((1, 6, 8), 7.0)
    part = full.dropped(Drops(text=torch.tensor(text), camera=torch.tensor(camera)), empty)
    assert torch.equal(part.control, full.control)
    for i in range(3):
        assert torch.equal(part.text[i], empty[0] if text[i] else full.text[i])
        assert torch.equal(part.camera[i], torch.zeros_like(full.camera[i]) if camera[i] else full.camera[i])


def test_drop_rates() -> None:
    drops = DropRates(text=0.2, camera=0.5).draw(4000, torch.Generator().manual_seed(0))
    assert abs(float(drops.text.float().mean()) - 0.2) < 0.03
    assert abs(float(drops.camera.float().mean()) - 0.5) < 0.03
    joint = (drops.text & drops.camera).float().mean()
    assert abs(float(joint) - 0.1) < 0.03
    again = DropRates(text=0.2, camera=0.5).draw(4000, torch.Generator().manual_seed(0))
    assert torch.equal(drops.text, again.text)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        DropRates(text=1.5)


def test_free_cameras_are_dropped_cameras() -> None:
    flags = shown([0], [1], [2])
    free = make()(video(), flags, TEXT, grid=GRID)
    full = make()(video(), flags, TEXT, cameras(), grid=GRID)
    everyone = torch.ones(3, dtype=torch.bool)
    dropped = full.dropped(Drops(text=~everyone, camera=everyone), TEXT[:1])
    assert torch.equal(free.camera, dropped.camera)


def test_scale_rule_can_be_switched_off() -> None:
    scale = torch.tensor([2.0, 3.0, 4.0])
    on, off = make(), make(ConditioningConfig(normalize_scale=False))
    assert torch.equal(off.rays(cameras(), GRID, like=video(), scale=scale), off.rays(cameras(), GRID, like=video()))
    shrunk = cameras().scaled(1 / scale[:, None])
    torch.testing.assert_close(
        on.rays(cameras(), GRID, like=video(), scale=scale), off.rays(shrunk, GRID, like=video())
    )


def test_selecting_and_moving() -> None:
    condition = make()(video(), shown([0], [1], [2]), TEXT, grid=GRID)
    second = condition[1:2]
    assert torch.equal(second.text, TEXT[1:2])
    assert condition.to(dtype=torch.float64).control.dtype is torch.float64
    other = condition.with_text(TEXT.flip(0))
    assert torch.equal(other.text, TEXT.flip(0))
    assert isinstance(replace(other, image=None), Condition)


def test_prompts_need_an_encoder() -> None:
    with pytest.raises(ValueError, match="no text encoder"):
        make()(video(), shown([0], [1], [2]), ["a", "b", "c"], grid=GRID)
