"""Stage 0a: VGGT from exact depth and cameras."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.pose_encoding import encode_pose, rotation_from_quaternion
from gen3r.cameras.projection import unproject
from gen3r.conditioning.cameras import scene_scale
from gen3r.hub.folder import save_network
from gen3r.hub.networks import VGGT_FOLDER
from gen3r.models.vggt import VGGT
from gen3r.presets.condition_noise import CLEAN, ConditionNoise
from gen3r.presets.stages import VGGTLossConfig
from gen3r.train import augment
from gen3r.train.batches import Batches
from gen3r.train.condition_noise import spoiled_views
from gen3r.train.losses.geometry import aligned_errors, camera_error, depth_error, point_error, sky_confidence
from gen3r.train.losses.matching import FlowHeads, attention_error, correspondences, flow_error
from gen3r.train.objectives.base import Batch, Objective, Terms
from gen3r.train.pictures import depth_rows
from gen3r.train.rng import Rng, generator, integer, uniform
from gen3r.train.sources import Clips, ClipSource

PAIR = 2
"""Views of the clips that are matched."""


class VGGTObjective(Objective):
    """Trains ``networks.vggt`` on batches of ``ViewBatches``."""

    def __init__(self, vggt: VGGT, weights: VGGTLossConfig, dense_share: float = 1.0) -> None:
        flow = FlowHeads(vggt.config.token_dim, len(vggt.config.kept_layers))
        super().__init__({VGGT_FOLDER: vggt, "flow": flow} if weights.flow else {VGGT_FOLDER: vggt})
        self.weights, self.dense_share = weights, dense_share

    @property
    def vggt(self) -> VGGT:
        """The network that is trained."""
        return cast(VGGT, self.networks[VGGT_FOLDER])

    def loss(self, batch: Batch, rng: Rng) -> Terms:
        """Camera, depth and point losses in units of the first view's mean depth; of pairs, what both see."""
        weights, vggt = self.weights, self.vggt
        layers = vggt.aggregate(batch["images"])
        target = targets(batch, weights.far)
        camera = camera_error(vggt.camera_head(layers[-1]), target["pose"])
        total, parts = self._dense(layers, batch, target)
        total = total + weights.camera * sum(camera.values())
        if batch["images"].shape[1] == PAIR:
            matched = self._matched(layers, batch)
            total = total + weights.attention * matched["attention"] + weights.flow * matched["flow"]
            parts = parts | matched
        elif weights.flow:  # processes that train together expect a gradient of every weight
            total = total + 0 * torch.stack([weight.sum() for weight in self.networks["flow"].parameters()]).sum()
        return Terms(total, {name: value.detach() for name, value in (camera | parts).items()})

    def _dense(self, layers: list[Tensor], batch: Batch, target: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Depth and points of the first clips, ``dense_share`` of them."""
        weights = self.weights
        clips = max(1, round(self.dense_share * len(batch["images"])))
        size = (batch["images"].shape[-2], batch["images"].shape[-1])
        output = self.vggt.decode([layer[:clips] for layer in layers], size, None)
        target = {name: value[:clips] for name, value in target.items()}
        depth = depth_error(output.depth, output.depth_confidence, target["depth"], target["mask"], weights.alpha)
        points = point_error(output.points, output.points_confidence, target["points"], target["mask"], weights.alpha)
        sky = sky_confidence((output.depth_confidence, output.points_confidence), batch["depth"][:clips] <= 0)
        total = (
            weights.depth * depth["depth"]
            + weights.depth_gradient * depth["depth_gradient"]
            + weights.points * points
            + weights.sky * sky
        )
        return total, depth | {"points": points, "sky": sky}

    def _matched(self, layers: list[Tensor], batch: Batch) -> dict[str, Tensor]:
        """What the two views of every clip see in common, as attention and as flow."""
        weights, vggt = self.weights, self.vggt
        depth, (height, width) = batch["depth"], batch["images"].shape[-2:]
        grid, special = vggt.config.token_grid(height, width), vggt.config.special_tokens
        scale = scene_scale(depth[:, 0])
        cameras = Cameras(batch["extrinsics"], batch["intrinsics"], height, width).scaled(1 / scale[:, None])
        match = correspondences(depth / scale[:, None, None, None], cameras, grid)
        kept = vggt.config.kept_layers
        attention = [
            attention_error(vggt, layers[at], kept[at], weights.attention_heads, match, grid)
            for at in weights.attention_rounds
        ]
        zero = depth.new_zeros(())
        flows = self.networks["flow"]([layer[:, :, special:] for layer in layers]) if weights.flow else []
        return {
            "attention": torch.stack(attention).mean() if attention else zero,
            "flow": flow_error(flows, match, grid) if flows else zero,
        }

    def export(self, folder: Path, batches: list[Batch]) -> None:
        """Write VGGT alone: the flow heads were there for training."""
        save_network(self.vggt, self.vggt.config, folder / VGGT_FOLDER)

    def metrics(self, batch: Batch, rng: Rng) -> dict[str, float]:
        """Scale-aligned depth errors, and median rotation errors beside those of the identity pose."""
        output = self.vggt(batch["images"])
        target = targets(batch, self.weights.far)
        absrel, delta = aligned_errors(output.depth, target["depth"], target["mask"])
        pose = output.pose_encoding.float()
        still = torch.zeros_like(pose)
        still[..., 6] = 1
        move = (pose[:, 1:, :3] - target["pose"][:, 1:, :3]).norm(dim=-1).mean()
        return {
            "absrel": float(absrel.mean()),
            "delta1": float(delta.mean()),
            "rotation_degrees": float(rotation_degrees(pose, target["pose"])[:, 1:].median()),
            "identity_degrees": float(rotation_degrees(still, target["pose"])[:, 1:].median()),
            "translation": float(move),
            "identity_translation": float(target["pose"][:, 1:, :3].norm(dim=-1).mean()),
            "total": float(self.loss(batch, rng).total),
        }

    def pictures(self, batch: Batch, rng: Rng) -> dict[str, UInt8[Tensor, "height width 3"]]:
        """Image, true and predicted inverse depth of the first and last frame of some clips."""
        images = batch["images"][:4]
        depth = self.vggt(images).depth.float()
        target = targets({name: value[:4] for name, value in batch.items()}, self.weights.far)
        return {"depth": depth_rows(images, (target["depth"], depth))}


def targets(batch: Batch, far: float) -> dict[str, Tensor]:
    """Depth, mask, points and pose encodings in the first camera's frame and in units of its mean depth."""
    depth = batch["depth"]
    height, width = depth.shape[-2:]
    scale = scene_scale(depth[:, 0])
    cameras = Cameras(batch["extrinsics"], batch["intrinsics"], height, width).rebased(0).scaled(1 / scale[:, None])
    depth = depth / scale[:, None, None, None]
    return {
        "depth": depth,
        "mask": (depth > 0) & (depth < far),
        "points": unproject(depth, cameras),
        "pose": encode_pose(cameras.extrinsics, cameras.intrinsics, (height, width)),
    }


def rotation_degrees(first: Float[Tensor, "*b 9"], second: Float[Tensor, "*b 9"]) -> Float[Tensor, "*b"]:
    """Angle between the rotations of two pose encodings."""
    one, two = rotation_from_quaternion(first[..., 3:7]), rotation_from_quaternion(second[..., 3:7])
    chord = (one - two).square().sum((-1, -2)).sqrt() / 8**0.5
    return torch.rad2deg(2 * torch.asin(chord.clamp(max=1)))


class ViewBatches(Batches):
    """Some frames of every clip: two or three far apart at first, more later, whole clips at the end.

    A batch holds about ``images`` images: many clips of few frames or few clips of many. For the share ``pairs`` of the
    ``steps`` optimizer steps all clips are pairs; from then on the share of long clips grows from none to all. Here the
    micro-batch decides together, so its size matters.
    ``noise`` says how often the pictures of a clip are spoiled, all of them alike.
    """

    def __init__(
        self,
        source: ClipSource,
        *,
        images: int,
        steps: int,
        frames: int,
        seed: int,
        pairs: float = 0.0,
        augmented: bool = True,
        noise: ConditionNoise = CLEAN,
    ) -> None:
        super().__init__(source.order(seed), max(1, images // 2), seed)
        self.pairs, self.noise = pairs, noise
        self.source, self.images, self.steps, self.frames, self.augmented = source, images, steps, frames, augmented

    def at(self, step: int, first: int = 0, size: int | None = None, total: int | None = None) -> Batch:
        """The number of frames, one for the whole micro-batch, follows the curriculum over the steps."""
        positions = self.positions(step, first, size, total)
        rng = generator(self.seed, "augment", positions[0])
        return self.make(self.order.items(positions[0], len(positions)), rng, step / max(1, self.steps))

    def make(self, items: Sequence[int], rng: torch.Generator, progress: float = 0.0) -> Batch:
        """{"images", "depth", "extrinsics", "intrinsics"} of the chosen frames; ``progress`` 0..1 through the run."""
        count = min(self._count(progress, rng) if self.augmented else self.frames, self.frames)
        clips = self.source.get(items[: max(1, self.images // count)])
        clips = augment.select_frames(clips, spread_frames(clips.rgb.shape[1], count, rng))
        if self.augmented:
            clips = augment.flip_and_reverse(clips, rng)
        batch = view_batch(clips, rng if self.augmented else None)
        return batch | {"images": spoiled_views(batch["images"], self.noise, rng)}

    def _count(self, progress: float, rng: torch.Generator) -> int:
        if progress < self.pairs:
            return PAIR
        if uniform(rng) < ((progress - self.pairs) / (1 - self.pairs)) ** 1.5:
            return self.frames
        return (2, 2, 3, 5)[integer(rng, 0, 4)]


def spread_frames(available: int, count: int, rng: torch.Generator) -> Tensor:
    """``count`` increasing frames: one drawn from each of ``count`` equal stretches, so that baselines are large."""
    edges = torch.linspace(0, available, count + 1)
    draws = torch.rand(count, generator=rng)
    return (edges[:-1] + draws * edges.diff()).long().clamp(max=available - 1)


def view_batch(clips: Clips, rng: torch.Generator | None) -> Batch:
    """Tensors of clips as the objectives of geometry read them; with ``rng`` the colours are jittered."""
    images = augment.video(clips)
    if rng is not None:
        images = augment.jitter_colours(images, rng)
    known = {} if clips.depth is None else {"depth": clips.depth}
    return {"images": images, **known, "extrinsics": clips.extrinsics, "intrinsics": clips.intrinsics}
