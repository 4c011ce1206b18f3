"""A scene in words of geometry: primitives with materials, light, and what to say about it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

from gen3r.data.synthetic.palettes import Color, Number, darker

Vector = tuple[Number, Number, Number]


class Shape(IntEnum):
    """Unit primitives, scaled by their half sizes: all span -1..1 on each axis."""

    BOX = 0
    ELLIPSOID = 1
    CYLINDER = 2
    """Axis y, caps at -1 and 1."""
    CONE = 3
    """Axis y, apex at 1, base at -1."""


class Texture(IntEnum):
    """Patterns that blend a material's two colours."""

    PLAIN = 0
    CHECK = 1
    STRIPE = 2
    BRICK = 3
    NOISE = 4
    WOOD = 5
    DOTS = 6
    TILE = 7
    MARBLE = 8
    GRASS = 9
    VIEW = 10
    """Hills below a sky, as through a window."""


@dataclass(frozen=True, kw_only=True)
class Material:
    """How a surface looks."""

    color: Color
    """Linear RGB albedo."""
    second: Color
    """What the texture blends in."""
    texture: Texture = Texture.PLAIN
    frequency: Number = 1.0
    """Texture cycles per metre."""
    gloss: Number = 0.0
    """Strength of highlight and reflection, 0..1."""
    emission: Number = 0.0
    """Shines by itself if above 0."""


def material(
    color: Color,
    second: Color | None = None,
    texture: Texture = Texture.PLAIN,
    frequency: Number = 1.0,
    gloss: Number = 0.0,
    emission: Number = 0.0,
) -> Material:
    """A material; the second colour defaults to a darker first."""
    return Material(
        color=color,
        second=darker(color, 0.6) if second is None else second,
        texture=texture,
        frequency=frequency,
        gloss=gloss,
        emission=emission,
    )


@dataclass(frozen=True, kw_only=True)
class Primitive:
    """One solid. World axes: y up, metres."""

    shape: Shape
    center: Vector
    half_size: Vector
    yaw: Number
    pitch: Number
    roll: Number
    material: Material
    thing: int = -1
    """Index of the thing it is part of, -1 for none."""


@dataclass(frozen=True, kw_only=True)
class Light:
    """One sun or lamp, and the sky or room light around it."""

    position: Vector
    """Direction to the sun (outdoors), or position of the lamp (rooms)."""
    color: Color
    sky: Color
    horizon: Color
    ambient_up: Color
    """Ambient light on surfaces that look up."""
    ambient_down: Color


@dataclass(kw_only=True)
class Description:
    """A scene under construction. ``random`` is its only source of chance."""

    random: random.Random
    palette: list[Color]
    wood: tuple[Color, Color]
    is_room: bool
    half_extent: Vector
    """Rooms: half width, height, half depth. Outdoors: the region where things stand."""
    surroundings: tuple[Material, ...] = ()
    """Materials of the faces -x, +x, floor, ceiling, -z, +z."""
    light: Light | None = None
    setting: str = ""
    """What place it is."""
    snowy: bool = False
    evening: bool = False
    things: list[str] = field(default_factory=list)
    """Nouns with articles, in the order they were placed; a name may occur several times."""
    primitives: list[Primitive] = field(default_factory=list)
    footprints: list[tuple[float, float, float]] = field(default_factory=list)
    """Occupied discs: x, z, radius."""

    def color(self) -> Color:
        """A colour of the palette."""
        return self.random.choice(self.palette)

    def wooden(self, frequency: Number = 1.0, gloss: Number = 0.15) -> Material:
        """The wood of this scene."""
        return material(*self.wood, Texture.WOOD, frequency, gloss)

    def pattern(self, chance: float = 0.5) -> Texture:
        """Some pattern with probability ``chance``, else plain."""
        if self.random.random() >= chance:
            return Texture.PLAIN
        return self.random.choice([Texture.CHECK, Texture.STRIPE, Texture.DOTS, Texture.NOISE, Texture.MARBLE])

    def add(
        self,
        shape: Shape,
        center: Vector,
        half_size: Vector,
        surface: Material,
        yaw: Number = 0.0,
        pitch: Number = 0.0,
        roll: Number = 0.0,
        *,
        background: bool = False,
    ) -> None:
        """Add one solid in world coordinates; angles in radians, applied roll, pitch, yaw.

        It is part of the thing that `say` names next, unless it is background.
        """
        self.primitives.append(
            Primitive(
                shape=shape,
                center=center,
                half_size=half_size,
                yaw=yaw,
                pitch=pitch,
                roll=roll,
                material=surface,
                thing=-1 if background else len(self.things),
            )
        )

    def say(self, thing: str) -> None:
        """Name the thing made of the solids added since the last one."""
        self.things.append(thing)

    def free_spot(
        self, radius: Number, propose: Callable[[], tuple[float, float]] | None = None, tries: int = 40
    ) -> tuple[float, float] | None:
        """Reserve a disc on the floor that touches no other; None if none was found."""
        half_x, _, half_z = self.half_extent
        for _ in range(tries):
            if propose is None:
                x = self.random.uniform(-half_x + radius, half_x - radius)
                z = self.random.uniform(-half_z + radius, half_z - radius)
            else:
                x, z = propose()
            if all(
                math.hypot(x - other_x, z - other_z) > radius + other for other_x, other_z, other in self.footprints
            ):
                self.footprints.append((x, z, radius))
                return x, z
        return None


@dataclass(frozen=True)
class Place:
    """A local frame on the floor: objects are described around the origin, front towards +z."""

    scene: Description
    x: float
    z: float
    yaw: Number

    def add(
        self,
        shape: Shape,
        center: Vector,
        half_size: Vector,
        surface: Material,
        yaw: Number = 0.0,
        pitch: Number = 0.0,
        roll: Number = 0.0,
    ) -> None:
        """Add one solid in local coordinates."""
        cosine, sine = math.cos(self.yaw), math.sin(self.yaw)
        x = self.x + cosine * center[0] + sine * center[2]
        z = self.z - sine * center[0] + cosine * center[2]
        self.scene.add(shape, (x, center[1], z), half_size, surface, self.yaw + yaw, pitch, roll)
