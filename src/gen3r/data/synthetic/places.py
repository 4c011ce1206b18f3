"""Composing whole scenes: rooms and outdoor places, from one seed."""

from __future__ import annotations

import math
import random
from functools import partial

from gen3r.data.synthetic.buildings import BUILDINGS
from gen3r.data.synthetic.description import Description, Light, Material, Place, Shape, Texture, material
from gen3r.data.synthetic.furniture import AGAINST_WALLS, FURNITURE
from gen3r.data.synthetic.palettes import PALETTES, WHITE, WOODS, Color, a_color, color_name, darker, mix

_WALL_WORDS = {
    Texture.STRIPE: "striped ",
    Texture.BRICK: "brick ",
    Texture.NOISE: "plaster ",
    Texture.DOTS: "dotted ",
    Texture.PLAIN: "",
}
_FLOOR_WORDS = {
    Texture.WOOD: "wooden",
    Texture.TILE: "tiled",
    Texture.CHECK: "checkered",
    Texture.NOISE: "carpeted",
    Texture.MARBLE: "marble",
}
_GROUNDS: dict[str, tuple[Color, Color, Texture, float]] = {
    "grass": ((0.13, 0.28, 0.05), (0.28, 0.40, 0.09), Texture.GRASS, 0.9),
    "sand": ((0.62, 0.46, 0.26), (0.74, 0.58, 0.36), Texture.NOISE, 0.5),
    "stone pavement": ((0.42, 0.40, 0.38), (0.27, 0.26, 0.25), Texture.TILE, 1.0),
    "snow": ((0.72, 0.76, 0.82), (0.60, 0.66, 0.76), Texture.NOISE, 0.4),
}
# sun colour, zenith, horizon, ambient strength, elevation range in radians
_TIMES: dict[str, tuple[Color, Color, Color, float, tuple[float, float]]] = {
    "sunny": ((2.6, 2.45, 2.15), (0.10, 0.28, 0.68), (0.62, 0.78, 0.95), 0.42, (0.7, 1.1)),
    "sunset": ((2.9, 1.7, 0.85), (0.16, 0.22, 0.50), (1.0, 0.55, 0.28), 0.36, (0.25, 0.4)),
    "cloudy": ((1.1, 1.1, 1.15), (0.50, 0.56, 0.63), (0.75, 0.78, 0.80), 0.60, (0.9, 1.1)),
    "dusk": ((1.2, 0.75, 0.85), (0.05, 0.06, 0.20), (0.65, 0.35, 0.45), 0.40, (0.3, 0.4)),
}


def describe(seed: int) -> Description:
    """The scene of a seed: half of them rooms, half outdoors."""
    chance = random.Random(seed)
    palette = list(chance.choice(PALETTES))
    chance.shuffle(palette)
    scene = Description(
        random=chance,
        palette=palette,
        wood=chance.choice(WOODS),
        is_room=chance.random() < 0.5,
        half_extent=(0.0, 0.0, 0.0),
    )
    if scene.is_room:
        _build_room(scene)
    else:
        _build_outdoors(scene)
    return scene


def _build_room(scene: Description) -> None:
    chance = scene.random
    half_x, half_z, height = chance.uniform(2.2, 3.4), chance.uniform(2.2, 3.4), chance.uniform(2.4, 3.1)
    scene.half_extent = (half_x, height, half_z)
    wall, wall_pattern, wall_color = _wall(scene)
    floor, floor_pattern = _floor(scene)
    accent = material(scene.color(), None, scene.pattern(0.2), 2.0) if chance.random() < 0.5 else wall
    ceiling = material((0.72, 0.71, 0.68))
    scene.surroundings = (wall, wall, floor, ceiling, accent, wall)
    walls = f"{color_name(wall_color)} {_WALL_WORDS[wall_pattern]}walls"
    scene.setting = f"a room with {walls} and a {_FLOOR_WORDS[floor_pattern]} floor"
    lamp = (chance.uniform(-0.5, 0.5) * half_x, height - 0.25, chance.uniform(-0.5, 0.5) * half_z)
    strength = chance.uniform(5.0, 7.5) * height * 0.4
    warmth = chance.choice([(1, 0.9, 0.75), (1, 0.96, 0.9), (0.95, 0.97, 1), (1, 0.82, 0.6)])
    ambient = chance.uniform(0.22, 0.34)
    scene.light = Light(
        position=lamp,
        color=darker(warmth, strength),
        sky=(0.5, 0.65, 0.9),
        horizon=(0.85, 0.9, 0.95),
        ambient_up=(ambient, ambient * 1.02, ambient * 1.06),
        ambient_down=mix((ambient * 0.8, ambient * 0.8, ambient * 0.8), floor.color, 0.3),
    )
    scene.add(
        Shape.ELLIPSOID,
        (lamp[0], height - 0.12, lamp[2]),
        (0.16, 0.1, 0.16),
        material((1, 0.95, 0.85), emission=1.6),
        background=True,
    )
    _decorate_walls(scene)
    if chance.random() < 0.6:
        color = scene.color()
        center = (chance.uniform(-0.4, 0.4), 0.008, chance.uniform(-0.4, 0.4))
        half = (chance.uniform(0.9, 1.4), 0.008, chance.uniform(0.7, 1.2))
        rug = material(color, mix(color, WHITE, 0.5), scene.pattern(0.85), chance.uniform(1.5, 3.0))
        scene.add(chance.choice([Shape.BOX, Shape.CYLINDER]), center, half, rug)
        scene.say(f"{a_color(color)} rug")
    for name in chance.sample(sorted(FURNITURE), chance.randint(4, 6)):
        _place_furniture(scene, name)


def _wall(scene: Description) -> tuple[Material, Texture, Color]:
    chance = scene.random
    color = chance.choice([WHITE, mix(scene.color(), WHITE, 0.45), mix(scene.color(), WHITE, 0.2), scene.color()])
    pattern = chance.choices(list(_WALL_WORDS), [2, 2, 1, 1, 4])[0]
    second = mix(color, (0.7, 0.67, 0.62), 0.7) if pattern is Texture.BRICK else mix(color, (0.85, 0.85, 0.83), 0.35)
    return material(color, second, pattern, chance.uniform(1.2, 2.4)), pattern, color


def _floor(scene: Description) -> tuple[Material, Texture]:
    chance = scene.random
    pattern = chance.choices(list(_FLOOR_WORDS), [5, 2, 2, 1, 1])[0]
    if pattern is Texture.WOOD:
        return scene.wooden(1.0, 0.3), pattern
    gloss = 0.0 if pattern is Texture.NOISE else 0.3
    first, second = mix(scene.color(), WHITE, 0.45), mix(scene.color(), WHITE, 0.1)
    return material(first, second, pattern, chance.uniform(1.0, 2.0), gloss), pattern


def _decorate_walls(scene: Description) -> None:
    """Windows and paintings on some of the four walls."""
    chance = scene.random
    half_x, _, half_z = scene.half_extent
    for index in range(4):
        if chance.random() >= 0.75:
            continue
        on_x = index % 2 == 0
        sign = 1 if index < 2 else -1
        along = chance.uniform(-0.5, 0.5) * (half_z if on_x else half_x)
        window = chance.random() < 0.4
        half_w, half_h = (
            (chance.uniform(0.45, 0.8), chance.uniform(0.5, 0.7))
            if window
            else (chance.uniform(0.25, 0.6), chance.uniform(0.25, 0.45))
        )

        panel = partial(_panel, scene, on_x, sign, along)
        panel(0.0, 0.03, half_w + 0.06, half_h + 0.06, material((0.7, 0.7, 0.67) if window else scene.wood[1]))
        if window:
            view = material((0.25, 0.5, 0.85), (0.1, 0.24, 0.07), Texture.VIEW, 1.0, emission=0.55)
            for half in (-0.5, 0.5):
                panel(half * half_w, 0.035, half_w * 0.47, half_h, view)
            scene.say("a window")
        else:
            patterns = [Texture.DOTS, Texture.STRIPE, Texture.CHECK, Texture.NOISE, Texture.MARBLE]
            art = material(scene.color(), scene.color(), chance.choice(patterns), chance.uniform(1.5, 3.5))
            panel(0.0, 0.036, half_w, half_h, art)
            scene.say("a painting")


def _panel(
    scene: Description,
    on_x: bool,
    sign: int,
    along: float,
    shift: float,
    thickness: float,
    width: float,
    tall: float,
    look: Material,
) -> None:
    """A flat box on the wall ``sign`` x (or z), ``shift`` beside its place ``along`` the wall; half sizes in metres."""
    half_x, height, half_z = scene.half_extent
    y = height * 0.56
    if on_x:
        scene.add(Shape.BOX, (sign * half_x, y, along + shift), (thickness, tall, width), look)
    else:
        scene.add(Shape.BOX, (along + shift, y, sign * half_z), (width, tall, thickness), look)


def _place_furniture(scene: Description, name: str) -> None:
    chance = scene.random
    build, radius = FURNITURE[name]
    half_x, _, half_z = scene.half_extent
    if name not in AGAINST_WALLS:
        spot = scene.free_spot(radius)
        yaw = chance.choice([0.0, 0.4, -0.3, math.pi / 2])
    else:
        yaw = 0.0
        offset = 0.5 if name == "sofa" else 0.38

        def along_wall() -> tuple[float, float]:
            nonlocal yaw
            side, place = chance.randint(0, 3), chance.uniform(-0.7, 0.7)
            yaw = (-math.pi / 2, math.pi / 2, math.pi, 0.0)[side]
            return (
                (half_x - offset, place * half_z),
                (offset - half_x, place * half_z),
                (place * half_x, half_z - offset),
                (place * half_x, offset - half_z),
            )[side]

        spot = scene.free_spot(radius * 0.8, along_wall)
    if spot is not None:
        build(scene, Place(scene, *spot, yaw), scene.color())


def _build_outdoors(scene: Description) -> None:
    chance = scene.random
    ground_name = chance.choice([*_GROUNDS, "checkered tiles"])
    scene.snowy = ground_name == "snow"
    if ground_name in _GROUNDS:
        first, second, pattern, frequency = _GROUNDS[ground_name]
    else:
        first, second = mix(scene.color(), WHITE, 0.3), mix(scene.color(), (0.1, 0.1, 0.12), 0.3)
        pattern, frequency = Texture.CHECK, 0.8
    ground = material(first, second, pattern, frequency)
    scene.surroundings = (ground,) * 6
    scene.half_extent = (4.2, 99.0, 4.2)
    time = chance.choices(list(_TIMES), [5, 3, 1, 1])[0]
    scene.evening = time in ("sunset", "dusk")
    sun, sky, horizon, ambient, elevations = _TIMES[time]
    azimuth, elevation = chance.uniform(0, 2 * math.pi), chance.uniform(*elevations)
    middle = mix(sky, horizon, 0.5)
    scene.light = Light(
        position=(
            math.cos(azimuth) * math.cos(elevation),
            math.sin(elevation),
            math.sin(azimuth) * math.cos(elevation),
        ),
        color=sun,
        sky=sky,
        horizon=horizon,
        ambient_up=darker(middle, ambient / max(middle)),
        ambient_down=darker(mix(first, second, 0.5), 0.5 * ambient),
    )
    scene.setting = f"a {time} outdoor scene on {ground_name}"
    hill_color: Color = (0.55, 0.6, 0.67) if scene.snowy else (0.12, 0.22, 0.08)
    for _ in range(chance.randint(2, 5)):
        angle, distance, size = chance.uniform(0, 2 * math.pi), chance.uniform(16, 26), chance.uniform(3, 7)
        center = (distance * math.cos(angle), -0.3 * size, distance * math.sin(angle))
        half = (size * chance.uniform(1, 2), size * 0.75, size * chance.uniform(1, 2))
        scene.add(
            Shape.ELLIPSOID,
            center,
            half,
            material(mix(hill_color, first, 0.4), None, Texture.NOISE, 0.3),
            background=True,
        )
    names = [chance.choice(["house", "tower", "tree", "conifer", "house"])]
    names += chance.sample([*BUILDINGS, "tree", "rock"], chance.randint(5, 7))
    for name in names:
        build, radius = BUILDINGS[name]
        spot = scene.free_spot(radius)
        if spot is not None:
            build(scene, Place(scene, *spot, chance.uniform(-math.pi, math.pi)), scene.color())
