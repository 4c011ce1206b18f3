"""VGGT, the geometry adapter, the token volume and the adapter's losses against the official code."""

import ast
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gen3r.cameras.official import min_max_depth_mask
from gen3r.cameras.pose_encoding import decode_pose
from gen3r.cameras.projection import unproject
from gen3r.hub.convert import KeyTable
from gen3r.hub.convert.adapter import adapter_keys
from gen3r.hub.convert.vggt import VGGT_KEYS
from gen3r.latents.tokens import pack_tokens, unpack_tokens
from gen3r.models.adapter import AdapterConfig, GeometryAdapter
from gen3r.models.posterior import Posterior
from gen3r.models.vggt import VGGT, VGGTConfig, VGGTOutput
from gen3r.models.vggt.blocks import Block
from gen3r.models.vggt.camera_head import CameraHead
from gen3r.models.vggt.dense_head import DenseHead, depth_from_raw
from gen3r.models.vggt.patch_embed import DinoPatchEmbed
from gen3r.models.vggt.rope import rotary_table, rotate
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
from parity._goldens import Golden, goldens, manifest, parity_folder

OFFICIAL_VGGT_PARAMETERS = 1_190_596_120
OFFICIAL_ADAPTER_PARAMETERS = 317_844_304


def small_vggt(golden: Golden) -> VGGT:
    sizes = golden.hyperparameters
    camera, dense = sizes["camera_head"], sizes["dpt"]
    assert camera["mlp_ratio"] == sizes["vit_mlp_ratio"] == sizes["mlp_ratio"]
    assert sizes["qk_norm"]
    assert sizes["vit_embed_dim"] == sizes["embed_dim"]
    config = VGGTConfig(
        patch_size=sizes["patch_size"],
        image_size=sizes["img_size"],
        embed_dim=sizes["embed_dim"],
        dino_depth=sizes["vit_depth"],
        dino_heads=sizes["vit_num_heads"],
        depth=sizes["aggregator_depth"],
        heads=sizes["aggregator_num_heads"],
        mlp_ratio=float(sizes["mlp_ratio"]),
        register_tokens=sizes["num_register_tokens"],
        rope_base=float(sizes["rope_freq"]),
        kept_layers=tuple(sizes["intermediate_layer_idx"]),
        camera_depth=camera["trunk_depth"],
        camera_heads=camera["num_heads"],
        dense_features=dense["features"],
        dense_channels=tuple(dense["out_channels"]),
        dense_hidden=dense["hidden_of_output_conv2"],
    )
    return filled(VGGT, config, golden)


def filled(kind: type[VGGT], config: VGGTConfig, golden: Golden) -> VGGT:
    with torch.device("meta"):
        model = kind(config)
    VGGT_KEYS.load(model, golden.weights())
    return model.eval()


def official_head(head: nn.Module, name: str, golden: Golden) -> nn.Module:
    """A single head of the model with the golden's weights, through the converter."""
    VGGT_KEYS.load(nn.ModuleDict({name: head}), golden.weights())
    return head.eval()


@pytest.mark.parametrize("golden", goldens("vggt_small"), ids=str)
@torch.no_grad()
def test_vggt(golden: Golden) -> None:
    model, images = small_vggt(golden), golden["in.images"]
    golden.check("out.patch_tokens", model.aggregator.patch_tokens(images).flatten(0, 1))
    stored = [int(key.rsplit("_", 1)[1]) for key in golden.outputs() if key.startswith("out.tokens_")]
    for layer, tokens in zip(stored, model.aggregate(images, stored), strict=True):
        golden.check(f"out.tokens_{layer}", tokens)
    output = model(images)
    golden.check("out.pose_enc_list", torch.stack(output.pose_encodings))
    golden.check("out.depth", output.depth[..., None])
    golden.check("out.depth_conf", output.depth_confidence)
    golden.check("out.world_points", output.points)
    golden.check("out.world_points_conf", output.points_confidence)


@pytest.mark.parametrize("golden", goldens("dino_pos_embed"), ids=str)
@torch.no_grad()
def test_dino_positions(golden: Golden) -> None:
    table = golden["in.dino_pos_embed.pos_embed"]
    side = round((table.shape[1] - 1) ** 0.5)
    width = table.shape[2]
    config = VGGTConfig(
        patch_size=14, image_size=14 * side, embed_dim=width, dino_depth=0, dino_heads=1, heads=1, camera_heads=1
    )
    patches = DinoPatchEmbed(config)
    patches.positions.copy_(table)
    for key in golden.outputs():
        height, image_width = (int(size) for size in key.removeprefix("out.pos_").split("x"))
        golden.check(key, patches.position_tokens((height // 14, image_width // 14)))


@pytest.mark.parametrize("golden", goldens("vggt_full_blocks"), ids=str)
@torch.no_grad()
def test_full_size_blocks(golden: Golden) -> None:
    tokens, positions = golden["in.tokens"], golden["in.pos"]
    sizes = golden.hyperparameters
    rotated = golden["in.rope_q"]
    base = VGGTConfig().rope_base
    golden.check("out.rope_q", rotate(rotated, rotary_table(positions[0], rotated.shape[-1], base)))
    for name, prefix in golden.entry["prefix"].items():
        weights = golden.weights(prefix, strip=True)
        dim, head_dim = len(weights["norm1.weight"]), len(weights["attn.q_norm.weight"])
        ratio = weights["mlp.fc1.weight"].shape[0] / dim
        with torch.device("meta"):
            block = Block(dim, dim // head_dim, mlp_ratio=ratio, layer_scale=0.01, qk_norm=True)
        block.load_state_dict(weights, assign=True)
        rope = rotary_table(positions[0], head_dim, base)
        if name == "frame":
            golden.check("out.frame", block(tokens, rope))
        else:
            sequence = tokens.reshape(sizes["B"], -1, dim)
            golden.check(f"out.{name}", block(sequence, rope.repeat(sizes["S"])))


@pytest.mark.parametrize("golden", goldens("vggt_full_camera_head"), ids=str)
@torch.no_grad()
def test_full_size_camera_head(golden: Golden) -> None:
    sizes = golden.hyperparameters
    config = VGGTConfig(
        embed_dim=sizes["dim_in"] // 2,
        camera_depth=sizes["trunk_depth"],
        camera_heads=sizes["num_heads"],
        mlp_ratio=float(sizes["mlp_ratio"]),
        camera_iterations=sizes["num_iterations"],
    )
    with torch.device("meta"):
        head = CameraHead(config)
    head = official_head(head, "camera_head", golden)
    golden.check("out.pose_enc_list", torch.stack(head(golden["in.tokens"])))


@pytest.mark.parametrize("golden", goldens("vggt_full_depth_head"), ids=str)
@torch.no_grad()
def test_full_size_depth_head(golden: Golden) -> None:
    sizes = golden.hyperparameters
    name = golden.entry["prefix"].rstrip(".")
    tokens = [golden[f"in.{name}.tokens_{i}"] for i in range(4)]
    config = VGGTConfig(
        embed_dim=tokens[0].shape[-1] // 2,
        dense_features=sizes["features"],
        dense_channels=tuple(sizes["out_channels"]),
    )
    with torch.device("meta"):
        head = DenseHead(config, 1, depth_from_raw)
    head = official_head(head, name, golden)
    depth, confidence = head(tokens, (sizes["H"], sizes["W"]))
    golden.check("out.depth", depth[..., None])
    golden.check("out.depth_conf", confidence)


@pytest.mark.parametrize("golden", goldens("geo_adapter_small"), ids=str)
@torch.no_grad()
def test_adapter(golden: Golden) -> None:
    sizes = golden.hyperparameters
    assert sizes["input_dim"] == sizes["output_dim"]
    config = AdapterConfig(
        latent_channels=sizes["latent_channels"],
        hidden=sizes["hidden_dim"],
        token_channels=sizes["input_dim"],
        resample_scale=sizes["resample_scale"],
        multipliers=tuple(sizes["dim_mult"]),
        temporal=tuple(sizes["temporal_downsample"]),
        res_blocks=sizes["num_res_blocks"],
    )
    with torch.device("meta"):
        adapter = GeometryAdapter(config)
    adapter_keys(config).load(adapter, golden.weights())
    tokens, latents = (
        next(golden[key] for key in golden.entry["tensors"] if key.startswith(f"in.adapter.{name}"))
        for name in ("tokens", "latent")
    )
    posterior = adapter.encode(tokens)
    golden.check("out.mean", posterior.mean)
    golden.check("out.logvar", posterior.logvar)
    # the official decoder gives one grid whatever it is asked for: the golden says which
    grid = tuple(golden.entry["tensors"]["out.decoded"]["full_shape"][-2:])
    decoded = adapter.decode(latents, grid)
    golden.check("out.decoded", decoded)
    golden.check("out.decoded_frames", decoded)
    golden.check("out.roundtrip", adapter.decode(posterior.mode(), grid))


@pytest.mark.parametrize("golden", goldens("token_list"), ids=str)
def test_token_list(golden: Golden) -> None:
    volume = golden["in.tokens"].permute(0, 4, 1, 2, 3)
    golden.check("out.token_list", torch.stack(unpack_tokens(volume)))


@pytest.mark.parametrize("golden", goldens("decode_tokens_small"), ids=str)
@torch.no_grad()
def test_decode_tokens(golden: Golden) -> None:
    # the entry names the weights; their sizes are those of the small model of the same manifest
    sizes = golden.hyperparameters
    source = next(one for one in goldens("vggt_small") if one.entry["manifest"] == golden.entry["manifest"])
    model = small_vggt(source)
    VGGT_KEYS.load(model, golden.weights())
    layers = unpack_tokens(golden["in.decode_tokens.tokens"])
    output = model.decode(layers, (sizes["H"], sizes["W"]))
    pose, stored, used = output.pose_encoding, golden["out.pose_enc"], golden["in.pose_enc_used"]
    # A recorder may have put the fields of view of `pose_enc_used` into `pose_enc` itself: it stores the same tensor
    # twice although the index tells them apart. Then only translation and rotation are the network's; its fields of
    # view are compared in `test_vggt` and `test_full_size_camera_head`.
    known = 7 if torch.equal(stored, used) else 9
    golden.check("out.pose_enc", pose[..., :known], expected=stored[..., :known])
    golden.check("out.depth", output.depth[..., None])
    golden.check("out.points", output.points)
    cameras = decode_pose(used, sizes["H"], sizes["W"])
    golden.check("out.extrinsics", cameras.extrinsics[..., :3, :])
    golden.check("out.intrinsics", cameras.intrinsics)
    golden.check("out.unprojected", unproject(output.depth, cameras, pixel_offset=0.0).flatten(0, 1))
    golden.check("out.mask", min_max_depth_mask(output.depth).flatten(0, 1))


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


@pytest.mark.parametrize(
    ("build", "keys", "file", "parameters"),
    [
        (VGGT, VGGT_KEYS, "vggt_1b.json", OFFICIAL_VGGT_PARAMETERS),
        (GeometryAdapter, adapter_keys(AdapterConfig()), "geo_adapter.json", OFFICIAL_ADAPTER_PARAMETERS),
    ],
    ids=["vggt", "adapter"],
)
def test_full_size_manifest(build: type[nn.Module], keys: KeyTable, file: str, parameters: int) -> None:
    with torch.device("meta"):
        model = build()
    exported = keys.export(model)
    assert {name: tuple(tensor.shape) for name, tensor in exported.items()} == manifest(file)
    assert sum(tensor.numel() for tensor in exported.values()) == parameters
    back = {keys.to_ours(name): name for name in exported}
    assert set(back) == set(model.state_dict())


def test_no_kind_of_golden_is_skipped() -> None:
    index = json.loads((parity_folder() / "geometry" / "index.json").read_text())
    kinds = {entry["kind"] for entry in index.get("goldens", index).values()}
    tested = set()
    for module in Path(__file__).parent.glob("test_*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "goldens":
                tested |= {argument.value for argument in node.args if isinstance(argument, ast.Constant)}
    assert kinds <= tested
