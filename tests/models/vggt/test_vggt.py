from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gen3r.models.vggt import VGGT, VGGTConfig, VGGTOutput
from gen3r.models.vggt.dense_head import ResidualUnit, uv_embedding
from gen3r.models.vggt.patch_embed import resize_positions

TINY = VGGTConfig(
    patch_size=14,
    image_size=56,
    embed_dim=32,
    patch_embed="conv",
    depth=4,
    heads=2,
    layer_scale=1.0,
    kept_layers=(0, 1, 2, 3),
    camera_depth=1,
    camera_heads=2,
    dense_features=16,
    dense_channels=(8, 8, 16, 16),
    dense_hidden=8,
)
DINO = replace(TINY, patch_embed="dino", dino_depth=2, dino_heads=2)


def tiny(config: VGGTConfig = TINY) -> VGGT:
    torch.manual_seed(0)
    return VGGT(config).eval()


def images(batch: int = 2, frames: int = 3, height: int = 28, width: int = 42) -> Tensor:
    return torch.rand(batch, frames, 3, height, width, generator=torch.Generator().manual_seed(1))


def tensors(output: VGGTOutput) -> list[Tensor]:
    return [
        *output.pose_encodings,
        output.depth,
        output.depth_confidence,
        output.points,
        output.points_confidence,
    ]


@pytest.mark.parametrize(
    "config", [TINY, DINO, replace(TINY, patch_size=16, image_size=64)], ids=["conv", "dino", "p16"]
)
@torch.no_grad()
def test_shapes_and_ranges(config: VGGTConfig) -> None:
    patch = config.patch_size
    model, views = tiny(config), images(height=2 * patch, width=3 * patch)
    layers = model.aggregate(views)
    assert [tuple(layer.shape) for layer in layers] == [(2, 3, 5 + 6, 64)] * 4
    output = model(views)
    assert len(output.pose_encodings) == config.camera_iterations
    assert output.pose_encoding.shape == (2, 3, 9)
    assert (output.pose_encoding[..., 7:] >= 0).all()
    assert output.depth.shape == output.depth_confidence.shape == (2, 3, 2 * patch, 3 * patch)
    assert output.points.shape == (2, 3, 2 * patch, 3 * patch, 3)
    assert (output.depth > 0).all()
    assert (output.depth_confidence > 1).all()
    assert (output.points_confidence > 1).all()


@torch.no_grad()
def test_items_of_a_batch_do_not_meet() -> None:
    model, views = tiny(), images()
    for together, swapped in zip(tensors(model(views)), tensors(model(views.flip(0))), strict=True):
        torch.testing.assert_close(together, swapped.flip(0), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_order_of_the_later_frames_does_not_matter() -> None:
    model, views = tiny(), images(batch=1, frames=4)
    order = [0, 3, 1, 2]
    for straight, shuffled in zip(tensors(model(views)), tensors(model(views[:, order])), strict=True):
        torch.testing.assert_close(straight[:, order], shuffled, atol=1e-4, rtol=1e-3)


@torch.no_grad()
def test_the_first_frame_is_special() -> None:
    model, views = tiny(), images(batch=1, frames=2)
    straight, swapped = model(views).depth, model(views.flip(1)).depth.flip(1)
    assert (straight - swapped).abs().max() > 1e-3


@pytest.mark.parametrize("chunk", [1, 2, 5, None])
@torch.no_grad()
def test_dense_heads_in_chunks_give_the_same(chunk: int | None) -> None:
    model = tiny()
    layers = model.aggregate(images())
    for whole, chunked in zip(
        tensors(model.decode(layers, (28, 42), 8)), tensors(model.decode(layers, (28, 42), chunk)), strict=True
    ):
        torch.testing.assert_close(whole, chunked, atol=1e-6, rtol=1e-5)


@torch.no_grad()
def test_any_rounds_can_be_asked_for() -> None:
    model, views = tiny(), images()
    kept = model.aggregate(views)
    assert torch.equal(model.aggregate(views, [1])[0], kept[1])
    assert len(model.aggregate(views, [3, 0])) == 2
    assert torch.equal(model.aggregate(views, [3, 0])[0], kept[3])


@torch.no_grad()
def test_heads_read_only_the_last_camera_token_and_the_patches() -> None:
    model = tiny()
    layers = model.aggregate(images())
    noisy = [layer.clone() for layer in layers]
    for i, layer in enumerate(noisy):
        layer[:, :, int(i == 3) : 5] = 7.0
    for a, b in zip(tensors(model.decode(layers, (28, 42))), tensors(model.decode(noisy, (28, 42))), strict=True):
        assert torch.equal(a, b)


@torch.no_grad()
def test_heads_stay_in_float32_under_autocast() -> None:
    model = tiny()
    layers = model.aggregate(images())
    plain = tensors(model.decode(layers, (28, 42)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = tensors(model.decode(layers, (28, 42)))
        assert model.aggregate(images())[0].isfinite().all()
    for a, b in zip(plain, mixed, strict=True):
        assert b.dtype == torch.float32
        assert torch.equal(a, b)


@pytest.mark.parametrize("config", [TINY, DINO], ids=["conv", "dino"])
def test_gradients_reach_every_parameter_and_do_not_change_with_checkpointing(config: VGGTConfig) -> None:
    def gradients(checkpointing: bool) -> dict[str, Tensor]:
        model = tiny(config)
        model.set_gradient_checkpointing(checkpointing)
        sum(part.square().mean() for part in tensors(model(images(batch=1, frames=2)))).backward()
        return {name: parameter.grad for name, parameter in model.named_parameters()}

    plain, recomputed = gradients(False), gradients(True)
    for name, gradient in plain.items():
        assert gradient is not None, name
        assert gradient.isfinite().all(), name
        torch.testing.assert_close(gradient, recomputed[name], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("factor", [2, 3, 4])
@torch.no_grad()
def test_a_head_at_reduced_resolution_gives_full_size_results(factor: int) -> None:
    model = tiny(replace(TINY, head_downsample=factor))
    output = model(images())
    assert output.depth.shape == (2, 3, 28, 42)
    assert output.points.isfinite().all()


@torch.no_grad()
def test_the_first_iteration_starts_from_the_initial_pose() -> None:
    start = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.1, 1.3)
    model, views = tiny(), images()
    without = model(views).pose_encodings[0]
    with_start = VGGT(replace(TINY, initial_pose=start)).eval()
    with_start.load_state_dict(model.state_dict())
    moved = with_start(views).pose_encodings[0]
    torch.testing.assert_close(moved[..., :7], without[..., :7] + torch.tensor(start[:7]))


def test_uv_embedding_spans_the_image() -> None:
    like = torch.zeros(())
    wide = uv_embedding(8, (1, 6), 2.0, like)
    assert wide.shape == (1, 8, 1, 6)
    torch.testing.assert_close(wide[:, :2, 0], -wide[:, :2, 0].flip(-1))  # sines of x: odd about the centre
    torch.testing.assert_close(wide[:, 2:4, 0], wide[:, 2:4, 0].flip(-1))  # cosines of x: even
    assert wide[:, 4:6].abs().max() == 0  # one row lies at y = 0
    span = 2 / 5**0.5 * 5 / 6
    torch.testing.assert_close(wide[0, 0, 0, -1], 0.1 * torch.tensor(span).sin())


@torch.no_grad()
def test_the_residual_skip_adds_the_rectified_input() -> None:
    unit = ResidualUnit(4)
    torch.nn.init.zeros_(unit.conv2.weight)
    torch.nn.init.zeros_(unit.conv2.bias)
    x = torch.randn(1, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    kept = x.clone()
    assert torch.equal(unit(x), x.clamp(min=0))
    assert torch.equal(x, kept)


def test_positions_of_the_table_size_are_untouched_and_constants_stay_constant() -> None:
    table = torch.randn(1, 16, 3, generator=torch.Generator().manual_seed(0))
    assert resize_positions(table, (4, 4)) is table
    torch.testing.assert_close(resize_positions(torch.full((1, 16, 3), 2.5), (7, 3)), torch.full((1, 21, 3), 2.5))


def test_images_off_the_patch_grid_are_refused() -> None:
    with pytest.raises(ValueError, match=r"multiple of the patch 14, got 30x42; use 28x42"):
        tiny().aggregate(images(height=30))
    model = tiny()
    layers = model.aggregate(images())
    with pytest.raises(ValueError, match="expected 5 \\+ 4x4 tokens"):
        model.decode(layers, (56, 56))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kept_layers": (0, 1, 2, 4)}, "kept_layers"),
        ({"kept_layers": (0, 2, 1, 3)}, "kept_layers"),
        ({"heads": 3}, "rotary"),
        ({"image_size": 57}, "image_size"),
        ({"initial_pose": (0.0,)}, "initial_pose"),
        ({"head_downsample": 0}, "head_downsample"),
        ({"dense_channels": (8, 8, 16)}, "dense_channels"),
    ],
)
def test_contradictory_sizes_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TINY, **changes)
