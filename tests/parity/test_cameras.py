"""Camera maths, alignment, point metrics and the sampling schedule against the official numbers."""

import re
from collections.abc import Callable

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor
from torch.nn.functional import interpolate

from gen3r.cameras import (
    Cameras,
    camera_rays,
    decode_pose,
    encode_pose,
    invert_se3,
    plucker_rays,
    trajectory,
    umeyama,
    unproject,
)
from gen3r.cameras.alignment import Sim3, spread_ratio_scale, unit_scale
from gen3r.cameras.cameras import cover_size
from gen3r.cameras.convention import INTEGER_PIXELS, homogeneous, relative_to_first
from gen3r.cameras.official import cover_crop_intrinsics, depth_mask, min_max_depth_mask
from gen3r.cameras.pose_encoding import quaternion_from_rotation
from gen3r.eval.metrics.chamfer import chamfer_distance
from parity._goldens import Golden, goldens


@pytest.mark.parametrize("golden", goldens("pose_encoding"), ids=str)
def test_pose_encoding(golden: Golden) -> None:
    height, width = golden.hyperparameters["image_size_hw"]
    cameras = decode_pose(golden["in.pose_enc"], height, width)
    golden.check("out.extrinsics", cameras.extrinsics[..., :3, :])
    golden.check("out.intrinsics", cameras.intrinsics)
    back = encode_pose(golden["out.extrinsics"], golden["out.intrinsics"], (height, width))
    golden.check("out.pose_enc_back", back)
    golden.check("out.quaternions", quaternion_from_rotation(golden["in.rotations"]))


@pytest.mark.parametrize("golden", goldens("inverse_se3"), ids=str)
def test_inverse_se3(golden: Golden) -> None:
    golden.check("out.inverse", invert_se3(golden["in.se3"]))
    golden.check("out.inverse_from_3x4", invert_se3(golden["in.se3"][..., :3, :]))


@pytest.mark.parametrize("golden", goldens("unproject"), ids=str)
def test_unproject_at_integer_pixels(golden: Golden) -> None:
    depth = golden["in.depth"][..., 0]
    cameras = Cameras(homogeneous(golden["in.extrinsics"]), golden["in.intrinsics"], *depth.shape[-2:])
    golden.check("out.points", unproject(depth, cameras, pixel_offset=INTEGER_PIXELS))
    golden.check("out.mask", depth_mask(depth))
    golden.check("out.mask_min_max", min_max_depth_mask(depth))


def check_trajectories(golden: Golden, prefix: str, scale: float) -> None:
    keys = [key for key in golden.tensors if key.startswith(prefix)]
    assert keys
    for key in keys:
        golden.check(key, trajectory(key.removeprefix(prefix), golden.shape(key)[0], scale))


def stated_scale(golden: Golden) -> float:
    """The scene scale of a wan entry, which only the description of its trajectories tells."""
    stated = re.search(r"scene_scale=(\d+(?:\.\d+)?)", golden.entry["tensors"]["traj_zoom_in"]["meaning"])
    return float(stated[1]) if stated else float(golden["traj_zoom_in"][-1, 2, 3])


def check_cropped_intrinsics(golden: Golden, cases_key: str, expected_key: str) -> None:
    columns = golden[cases_key].double()
    results = []
    for width, height, focal_x, focal_y, center_x, center_y, target_width, target_height in columns.tolist():
        intrinsics = columns.new_tensor([[focal_x, 0, center_x], [0, focal_y, center_y], [0, 0, 1]])
        size, target = (int(height), int(width)), (int(target_height), int(target_width))
        results.append(cover_crop_intrinsics(intrinsics, size, target))
    golden.check(expected_key, torch.stack(results))


def centre_crop(images: Tensor, height: int, width: int) -> Tensor:
    """A crop of pixels, placed where `Cameras.cover_crop` places it."""
    top, left = (images.shape[-2] - height) // 2, (images.shape[-1] - width) // 2
    return images[..., top : top + height, left : left + width]


@pytest.mark.parametrize("golden", goldens("cameras", family="geometry"), ids=str)
def test_cameras_of_the_geometry_set(golden: Golden) -> None:
    settings = golden.hyperparameters
    cameras = Cameras.from_world_from_camera(golden["in.c2w"], golden["in.K"], settings["ray_h"], settings["ray_w"])
    origins, directions = camera_rays(cameras)
    golden.check("out.rays_o", origins.movedim(-1, 1))
    golden.check("out.rays_d", directions.movedim(-1, 1))
    golden.check("out.pluecker", plucker_rays(cameras))
    golden.check("out.relative_c2w", relative_to_first(golden["in.c2w"]))
    golden.check("out.relative_c2w", cameras.rebased().world_from_camera)
    check_cropped_intrinsics(golden, "in.K_cases", "out.K_cropped")
    golden.check("out.cropped", centre_crop(golden["in.crop_src"], *golden.shape("out.cropped")[-2:]))
    check_trajectories(golden, "out.traj_", settings["scene_scale"])


@pytest.mark.parametrize("golden", goldens("cameras", family="wan"), ids=str)
def test_cameras_of_the_wan_set(golden: Golden) -> None:
    golden.check("c2w_relative", relative_to_first(golden["c2w"]))
    frames = golden["plucker_frames"]
    height, width = golden.shape("plucker")[-2:]
    cameras = Cameras.from_world_from_camera(golden["c2w"], golden["K"], height, width)
    golden.check("plucker", plucker_rays(cameras.rebased())[frames])
    check_cropped_intrinsics(golden, "get_K_in", "get_K_out")
    source, resized, cropped = golden["resize_in"], golden.shape("resize_out")[-2:], golden.shape("crop_out")[-2:]
    short = min(resized)
    assert cover_size(*source.shape[-2:], short, short) == resized
    images = interpolate(source, size=resized, mode="bilinear", antialias=True, align_corners=False)
    golden.check("resize_out", images)
    golden.check("crop_out", centre_crop(images, *cropped))
    check_trajectories(golden, "traj_", stated_scale(golden))


def check_similarity(golden: Golden, prefix: str, found: Sim3, source: Tensor) -> None:
    golden.check(f"{prefix}_R", found.rotation)
    golden.check(f"{prefix}_t", found.translation)
    golden.check(f"{prefix}_s", found.scale.reshape(1))
    golden.check(f"{prefix}_aligned", found.apply(source))


@pytest.mark.parametrize("golden", goldens("metrics"), ids=str)
def test_alignment_and_chamfer(golden: Golden) -> None:
    predicted, reference, mask = golden["in.P"], golden["in.G"], golden["in.mask"].bool()

    def align(source: Tensor, scale_rule: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Sim3:
        return umeyama(source.reshape(-1, 3), reference.reshape(-1, 3), mask.flatten(), scale_rule=scale_rule)

    check_similarity(golden, "out.umeyama", align(predicted, spread_ratio_scale), predicted)
    check_similarity(golden, "out.umeyama_noscale", align(predicted, unit_scale), predicted)
    mirrored = golden["in.P_mirrored"]
    check_similarity(golden, "out.umeyama_mirrored", align(mirrored, spread_ratio_scale), mirrored)

    distances = chamfer_distance(predicted, reference, mask)
    golden.check("out.accuracy", torch.tensor([distances.accuracy]))
    golden.check("out.completeness", torch.tensor([distances.completeness]))
    golden.check("out.chamfer", torch.tensor([distances.chamfer]))
    golden.check("out.relative_percent", torch.tensor([distances.relative_percent]))
    golden.check("out.squared_mm", chamfer_distance(predicted, reference, mask, squared=True).in_millimetres().tensor())
    frames = golden.hyperparameters["input_indices"]
    golden.check("out.subset", chamfer_distance(predicted[frames], reference, mask, frames=frames).tensor())


@pytest.mark.parametrize("golden", goldens("schedule"), ids=str)
def test_schedule(golden: Golden) -> None:
    settings = golden.hyperparameters
    scheduler = FlowMatchEulerDiscreteScheduler(**settings)
    golden.check("train_timesteps", scheduler.timesteps)
    golden.check("train_sigmas", scheduler.sigmas)
    counts = [int(key.removeprefix("timesteps_")) for key in golden.tensors if key.startswith("timesteps_")]
    assert counts
    for count in counts:
        scheduler.set_timesteps(count)
        golden.check(f"timesteps_{count}", scheduler.timesteps)
        golden.check(f"sigmas_{count}", scheduler.sigmas)

        # the closed form: points spaced evenly between the shifted ends, then shifted once more
        def shift(sigma: Tensor) -> Tensor:
            return settings["shift"] * sigma / (1 + (settings["shift"] - 1) * sigma)

        last = shift(torch.tensor(1 / settings["num_train_timesteps"], dtype=torch.float64))
        spaced = 1 + (last - 1) * torch.arange(count, dtype=torch.float64) / max(count - 1, 1)
        golden.check(f"sigmas_{count}", torch.cat([shift(spaced), spaced.new_zeros(1)]))
