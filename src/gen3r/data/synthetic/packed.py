"""A description as tensors, ready to be hit by rays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from gen3r.data.synthetic.description import Description, Primitive, Shape, Vector, material
from gen3r.data.synthetic.palettes import Number

_PADDING = (0.0, -1000.0, 0.0)
"""Where filler solids lie: out of every ray's way."""
_ALIGNED = 4
"""Numbers of float32 in 16 bytes."""
_PADDED_TO = 4
"""Solids of each shape are padded to a multiple of this plus the number of their shape."""


class PackedScene(NamedTuple):
    """N solids sorted by shape, and N + 6 materials (the last six: faces -x, +x, floor, ceiling, -z, +z)."""

    is_room: bool
    unit_from_world: tuple[Float[Tensor, "_ 3 4"], ...]
    """For each shape, what takes world points to the axes of the unit primitive."""
    half_size: tuple[Float[Tensor, "_ 3"], ...]
    """For each shape, metres."""
    all_unit_from_world: Float[Tensor, "N 3 4"]
    all_half_size: Float[Tensor, "N 3"]
    shape: Int[Tensor, " N"]
    thing: Int[Tensor, " N"]
    """Which thing of the description each solid is part of, -1 for none."""
    color: Float[Tensor, "3 M"]
    second: Float[Tensor, "3 M"]
    texture: Int[Tensor, " M"]
    frequency: Float[Tensor, " M"]
    gloss: Float[Tensor, " M"]
    emission: Float[Tensor, " M"]
    half_extent: Float[Tensor, " 3"]
    light_position: Float[Tensor, "3 1"]
    light_color: Float[Tensor, "3 1"]
    sky: Float[Tensor, "3 1"]
    horizon: Float[Tensor, "3 1"]
    ambient_up: Float[Tensor, "3 1"]
    ambient_down: Float[Tensor, "3 1"]

    def to(self, device: torch.device | str) -> PackedScene:
        """Move every tensor, all of them in one copy."""
        if torch.device(device).type == "cpu":
            return self
        flat, sizes = self.flat()
        return PackedScene.unflat(self.is_room, flat.to(device), sizes)

    def flat(self) -> tuple[Float[Tensor, " numbers"], list[list[int]]]:
        """All tensors in one, which float32 holds exactly, and their shapes.

        Each begins at a multiple of 16 bytes, which is what compiled code wants of its inputs.
        """
        parts = self._parts()
        rows = [functional.pad(part.reshape(-1).float(), (0, -part.numel() % _ALIGNED)) for part in parts]
        return torch.cat(rows), [list(part.shape) for part in parts]

    @classmethod
    def unflat(cls, is_room: bool, flat: Float[Tensor, " numbers"], sizes: Sequence[Sequence[int]]) -> PackedScene:
        """What `flat` made one of."""
        parts, start = [], 0
        for size in sizes:
            count = math.prod(size)
            parts.append(flat[start : start + count].view(*size))
            start += count + -count % _ALIGNED
        kinds = len(Shape)
        affine, half_size, rest = parts[:kinds], parts[kinds : 2 * kinds], iter(parts[2 * kinds :])
        named = {name: next(rest) for name in cls._fields[3:]}
        named |= {name: named[name].long() for name in ("shape", "thing", "texture")}
        return cls(is_room, tuple(affine), tuple(half_size), **named)

    def _parts(self) -> list[Tensor]:
        return [*self.unit_from_world, *self.half_size, *self[3:]]


def pack(scene: Description) -> PackedScene:
    """Tensors of a description.

    Solids of each shape are padded with far-away ones so that the four counts differ from each other and from 0 and 1
    in every scene. Compiled code may then treat them as free sizes and serve all scenes: torch.compile takes sizes
    that are equal when it first sees them for equal forever.
    """
    solids: list[list[Primitive]] = [[item for item in scene.primitives if item.shape is shape] for shape in Shape]
    for shape, items in zip(Shape, solids, strict=True):
        while len(items) < 2 or len(items) % _PADDED_TO != shape:
            items.append(_filler(shape))
    affine = tuple(torch.stack([_unit_from_world(item) for item in items]).float() for items in solids)
    half_size = tuple(torch.tensor([item.half_size for item in items], dtype=torch.float32) for items in solids)
    materials = [item.material for items in solids for item in items] + list(scene.surroundings)
    light = scene.light
    assert light is not None

    def column(value: Vector) -> Float[Tensor, "3 1"]:
        return torch.tensor(value, dtype=torch.float32)[:, None]

    def numbers(values: Sequence[Number]) -> Float[Tensor, " M"]:
        return torch.tensor(values, dtype=torch.float32)

    return PackedScene(
        is_room=scene.is_room,
        unit_from_world=affine,
        half_size=half_size,
        all_unit_from_world=torch.cat(affine),
        all_half_size=torch.cat(half_size),
        shape=torch.tensor([int(item.shape) for items in solids for item in items]),
        thing=torch.tensor([item.thing for items in solids for item in items]),
        color=torch.tensor([item.color for item in materials], dtype=torch.float32).T.contiguous(),
        second=torch.tensor([item.second for item in materials], dtype=torch.float32).T.contiguous(),
        texture=torch.tensor([int(item.texture) for item in materials]),
        frequency=numbers([item.frequency for item in materials]),
        gloss=numbers([item.gloss for item in materials]),
        emission=numbers([item.emission for item in materials]),
        half_extent=torch.tensor(scene.half_extent, dtype=torch.float32),
        light_position=column(light.position),
        light_color=column(light.color),
        sky=column(light.sky),
        horizon=column(light.horizon),
        ambient_up=column(light.ambient_up),
        ambient_down=column(light.ambient_down),
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


def _unit_from_world(solid: Primitive) -> Float[Tensor, "3 4"]:
    """Rows of the affine map that takes the solid to its unit primitive, in double precision."""
    center = torch.tensor(solid.center, dtype=torch.float64)
    half_size = torch.tensor(solid.half_size, dtype=torch.float64)
    matrix = _rotation(solid.yaw, solid.pitch, solid.roll).T / half_size[:, None]
    return torch.cat((matrix, -(matrix @ center)[:, None]), dim=1)


def _rotation(yaw: float, pitch: float, roll: float) -> Float[Tensor, "3 3"]:
    """World from solid: roll about z, then pitch about x, then yaw about y."""
    cy, sy, cx, sx, cz, sz = (f(a) for a in (yaw, pitch, roll) for f in (math.cos, math.sin))
    turn = torch.tensor([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]], dtype=torch.float64)
    nod = torch.tensor([[1, 0, 0], [0, cx, -sx], [0, sx, cx]], dtype=torch.float64)
    tip = torch.tensor([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]], dtype=torch.float64)
    return turn @ nod @ tip
