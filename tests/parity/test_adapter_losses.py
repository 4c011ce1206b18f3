"""Every term of the adapter's training step against the official trainer."""

import pytest
import torch
from torch import Tensor

from gen3r.latents.tokens import pack_tokens, unpack_tokens
from gen3r.models.posterior import Posterior
from gen3r.models.vggt import VGGTOutput
from gen3r.train.losses.adapter import (
    AdapterLossConfig,
    AdapterLosses,
    adapter_losses,
    adaptive_weight,
    camera_loss,
    cosine_loss,
    l1_difference,
    l2_difference,
    latent_statistics,
    pose_terms,
    smooth_l1_difference,
)
from parity._goldens import Golden, goldens


def moments(parameters: Tensor) -> Posterior:
    mean, logvar = parameters.chunk(2, dim=1)
    return Posterior(mean=mean, logvar=logvar)


def heads(golden: Golden, which: str) -> VGGTOutput:
    depth = golden[f"in.depth_{which}"][..., 0]
    return VGGTOutput(
        pose_encodings=list(golden[f"in.pose_{which}"]),
        depth=depth,
        depth_confidence=torch.ones_like(depth),
        points=golden[f"in.points_{which}"],
        points_confidence=torch.ones_like(depth),
    )


def loss_step(golden: Golden, posterior: Posterior, config: AdapterLossConfig) -> AdapterLosses:
    sizes = golden.hyperparameters
    target = pack_tokens(list(golden["in.aggregator_tokens"]), (sizes["h"], sizes["w"]), sizes["patch_start_idx"])
    return adapter_losses(
        reconstructed=golden["in.reconstructed"],
        target=target,
        reconstructed_heads=heads(golden, "rec"),
        target_heads=heads(golden, "gt"),
        posterior=posterior,
        reference=moments(golden["in.wan_params"]),
        config=config,
    )


def loss_config(golden: Golden, **changes: float) -> AdapterLossConfig:
    sizes = golden.hyperparameters
    weights = {
        "reconstruction": sizes["recon_loss_weight"],
        "similarity": sizes["similarity_loss_weight"],
        "align": sizes["align_kl_loss_weight"],
    }
    return AdapterLossConfig(**(weights | changes))


def check_scalar(golden: Golden, key: str, value: Tensor | float) -> None:
    golden.check(key, torch.as_tensor(value).reshape(1))


@pytest.mark.parametrize("golden", goldens("losses"), ids=str)
def test_loss_token_lists(golden: Golden) -> None:
    sizes = golden.hyperparameters
    special = sizes["patch_start_idx"]
    target = pack_tokens(list(golden["in.aggregator_tokens"]), (sizes["h"], sizes["w"]), special)
    golden.check("out.target_tokens", target)
    golden.check("out.gt_token_lists", torch.stack(unpack_tokens(target, special, camera_in_all=False)))
    lists = unpack_tokens(golden["in.reconstructed"], special, camera_in_all=False)
    golden.check("out.rec_token_lists", torch.stack(lists))


@pytest.mark.parametrize("golden", goldens("losses"), ids=str)
def test_loss_step(golden: Golden) -> None:
    posterior, config = moments(golden["in.posterior_params"]), loss_config(golden)
    losses = loss_step(golden, posterior, config)
    for key, value in {
        "loss": losses.total,
        "image_token_loss": losses.image_tokens,
        "camera_token_loss": losses.camera_tokens,
        "camera_loss": losses.camera,
        "depth_loss": losses.depth,
        "point_loss": losses.points,
        "recon_loss": losses.reconstruction,
        "align_loss": losses.alignment,
    }.items():
        check_scalar(golden, f"out.step_{key}", value)
    check_scalar(golden, "out.kl_mean", losses.kl)
    check_scalar(golden, "out.kl_weight", losses.kl_weight)
    for suffix, parameters in (("", "in.posterior_params"), ("_wan", "in.wan_params")):
        for name, value in latent_statistics(moments(golden[parameters])).items():
            check_scalar(golden, f"out.step_{name}{suffix}", value)


@pytest.mark.parametrize("golden", goldens("losses"), ids=str)
def test_loss_of_a_close_posterior_and_without_alignment(golden: Golden) -> None:
    close = loss_step(golden, moments(golden["in.posterior_params_close"]), loss_config(golden))
    check_scalar(golden, "out.close_total", close.total)
    check_scalar(golden, "out.close_align_loss", close.alignment)
    alone = loss_step(golden, moments(golden["in.posterior_params"]), loss_config(golden, align=0.0))
    check_scalar(golden, "out.noalign_total", alone.total)


@pytest.mark.parametrize("golden", goldens("losses"), ids=str)
def test_loss_pieces(golden: Golden) -> None:
    sizes = golden.hyperparameters
    width = sizes["D"]
    target = pack_tokens(list(golden["in.aggregator_tokens"]), (sizes["h"], sizes["w"]), sizes["patch_start_idx"])
    reconstructed = golden["in.reconstructed"]
    check_scalar(
        golden, "out.image_similarity_loss", cosine_loss(reconstructed[:, : 4 * width], target[:, : 4 * width])
    )
    cameras = [volume[:, 4 * width :].mean(dim=(-2, -1)) for volume in (reconstructed, target)]
    check_scalar(golden, "out.camera_similarity_loss", cosine_loss(*cameras))

    posterior, reference = golden["in.posterior_params"], golden["in.wan_params"]
    golden.check("out.kl_tensor", moments(posterior).kl(moments(reference)).sum(dim=(1, 2, 3)))
    golden.check("out.kl_standard", moments(posterior).kl().sum(dim=(1, 2, 3)))
    posterior, reference = posterior.clone(), reference.clone()
    posterior[0, 16, 0, 0, 0] = 40
    reference[0, 17, 0, 0, 1] = -35
    golden.check("out.kl_tensor_clamped", moments(posterior).kl(moments(reference)).sum(dim=(1, 2, 3)))

    weights = [adaptive_weight(target, current) for target, current in golden["in.adaptive_cases"]]
    golden.check("out.adaptive_weights", torch.tensor(weights))


@pytest.mark.parametrize("golden", goldens("losses"), ids=str)
def test_camera_loss_kinds(golden: Golden) -> None:
    poses, target = golden["in.pose_rec"].clone(), golden["in.pose_gt"]
    golden.check("out.camera_last_T_R_FL", torch.stack(pose_terms(poses[-1], target[-1])))
    poses[1, 0, 0, 0] -= 300
    for name, difference in {
        "l1": l1_difference,
        "l2": l2_difference,
        "l1_smooth": smooth_l1_difference,
        "huber": smooth_l1_difference,  # the same at beta = delta = 1
    }.items():
        check_scalar(golden, f"out.camera_loss_clean_{name}", camera_loss(list(poses), list(target), None, difference))
