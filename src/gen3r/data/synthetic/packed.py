"""A description as tensors, ready to be hit by rays."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gen3r.data.synthetic.description import Description, Primitive, Shape, material

_PADDING = (0.0, -1000.0, 0.0)
"""Where filler solids lie: out of every ray's way."""


class PackedScene(NamedTuple):
    """N primitives sorted by shape, and N + 6 materials (the last six: faces -x, +x, floor, ceiling, -z, +z)."""

    counts: tuple[int, ...]
    """Primitives of each shape."""
    is_room: bool
    local_from_world: Float[Tensor, "N 3 3"]
    """World directions to the unit primitive's axes."""
    world_from_rotated: Float[Tensor, "N 3 3"]
    """Rotation of each primitive."""
    center: Float[Tensor, "N 3"]
    half_size: Float[Tensor, "N 3"]
    shape: Int[Tensor, " N"]
    color: Float[Tensor, "M 3"]
    second: Float[Tensor, "M 3"]
    texture: Int[Tensor, " M"]
    frequency: Float[Tensor, " M"]
    gloss: Float[Tensor, " M"]
    emission: Float[Tensor, " M"]
    half_extent: Float[Tensor, " 3"]
    light_position: Float[Tensor, " 3"]
    light_color: Float[Tensor, " 3"]
    sky: Float[Tensor, " 3"]
    horizon: Float[Tensor, " 3"]
    ambient_up: Float[Tensor, " 3"]
    ambient_down: Float[Tensor, " 3"]

    def to(self, device: torch.device | str) -> PackedScene:
        """Move every tensor."""
        return PackedScene(*(value.to(device) if isinstance(value, Tensor) else value for value in self))


def pack(scene: Description) -> PackedScene:
    """Tensors of a description. Every shape occurs at least twice, so that compiled code sees no special sizes."""
    primitives = list(scene.primitives)
    for shape in Shape:
        missing = 2 - sum(item.shape is shape for item in primitives)
        primitives += [_filler(shape)] * max(missing, 0)
    primitives.sort(key=lambda item: item.shape)
    rotation = torch.stack([_rotation(item.yaw, item.pitch, item.roll) for item in primitives])
    half_size = torch.tensor([item.half_size for item in primitives])
    materials = [item.material for item in primitives] + list(scene.surroundings)
    assert scene.light is not None
    return PackedScene(
        counts=tuple(sum(item.shape is shape for item in primitives) for shape in Shape),
        is_room=scene.is_room,
        local_from_world=rotation.transpose(1, 2) / half_size[:, :, None],
        world_from_rotated=rotation,
        center=torch.tensor([[float(c) for c in item.center] for item in primitives]),
        half_size=half_size,
        shape=torch.tensor([int(item.shape) for item in primitives]),
        color=torch.tensor([item.color for item in materials]),
        second=torch.tensor([item.second for item in materials]),
        texture=torch.tensor([int(item.texture) for item in materials]),
        frequency=torch.tensor([float(item.frequency) for item in materials]),
        gloss=torch.tensor([float(item.gloss) for item in materials]),
        emission=torch.tensor([float(item.emission) for item in materials]),
        half_extent=torch.tensor(scene.half_extent),
        light_position=torch.tensor(scene.light.position),
        light_color=torch.tensor(scene.light.color),
        sky=torch.tensor(scene.light.sky),
        horizon=torch.tensor(scene.light.horizon),
        ambient_up=torch.tensor(scene.light.ambient_up),
        ambient_down=torch.tensor(scene.light.ambient_down),
    )


def _filler(shape: Shape) -> Primitive:
    return Primitive(
        shape=shape,
        center=_PADDING,
        half_size=(0.01, 0.01, 0.01),
        yaw=0.0,
        pitch=0.0,
        roll=0.0,
        material=material((0.5, 0.5, 0.5)),
    )


def _rotation(yaw: float, pitch: float, roll: float) -> Float[Tensor, "3 3"]:
    cy, sy, cx, sx, cz, sz = (f(a) for a in (yaw, pitch, roll) for f in (math.cos, math.sin))
    turn = torch.tensor([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    nod = torch.tensor([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    tip = torch.tensor([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1.0]])
    return turn @ nod @ tip
