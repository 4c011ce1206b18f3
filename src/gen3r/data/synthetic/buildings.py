"""Things that stand outdoors. Each function builds one around a `Place`, its front towards +z."""

from __future__ import annotations

import math

from gen3r.data.synthetic.description import Description, Place, Shape, Texture, material
from gen3r.data.synthetic.furniture import SIGNS, ball, crates
from gen3r.data.synthetic.palettes import WHITE, Color, a_color, darker, mix

BOX, ELLIPSOID, CYLINDER, CONE = Shape.BOX, Shape.ELLIPSOID, Shape.CYLINDER, Shape.CONE
STONE: Color = (0.6, 0.56, 0.5)
MORTAR: Color = (0.42, 0.4, 0.37)


def house(scene: Description, place: Place, color: Color) -> None:
    chance = scene.random
    width, depth, height = chance.uniform(0.8, 1.05), chance.uniform(0.7, 0.9), chance.uniform(0.6, 0.8)
    wall = chance.choice([WHITE, mix(color, WHITE, 0.45), color])
    pattern = chance.choice([Texture.BRICK, Texture.NOISE, Texture.BRICK])
    place.add(BOX, (0, height, 0), (width, height, depth), material(wall, mix(wall, MORTAR, 0.6), pattern, 2.2))
    roof = chance.choice([(0.35, 0.09, 0.05), (0.12, 0.14, 0.18), scene.color()])
    tiles = material(roof, darker(roof, 0.7), Texture.STRIPE, 5.0)
    for side in SIGNS:
        slope = (0, 2 * height + 0.425 * depth + 0.05, side * 0.575 * depth)
        place.add(BOX, slope, (width * 1.1, 0.04, 0.813 * depth), tiles, pitch=side * math.pi / 4)
        gable = (side * (width - 0.021), 2 * height, 0)
        place.add(BOX, gable, (0.02, depth * 0.69, depth * 0.69), material(wall), pitch=math.pi / 4)
    place.add(BOX, (0, 0.38, depth), (0.19, 0.38, 0.03), scene.wooden(2))
    for side in SIGNS:
        glass = material(
            (1.0, 0.75, 0.35) if scene.evening else (0.3, 0.45, 0.6), gloss=0.8, emission=0.8 if scene.evening else 0
        )
        place.add(BOX, (side * 0.55 * width, height * 1.15, depth), (0.17, 0.2, 0.025), glass)
    chimney = material((0.4, 0.15, 0.1), (0.5, 0.45, 0.4), Texture.BRICK, 4)
    place.add(BOX, (width * 0.5, 2 * height + 0.75 * depth, -0.35 * depth), (0.1, 0.32, 0.1), chimney)
    scene.say(f"{a_color(wall)} house")


def tower(scene: Description, place: Place, color: Color) -> None:
    height = scene.random.uniform(1.1, 1.6)
    stone = material(mix(color, STONE, 0.55), MORTAR, Texture.BRICK, 2.2)
    place.add(CYLINDER, (0, height, 0), (0.55, height, 0.55), stone)
    place.add(CONE, (0, 2 * height + 0.5, 0), (0.72, 0.5, 0.72), material(scene.color(), None, Texture.STRIPE, 4))
    place.add(BOX, (0, 0.36, 0.52), (0.17, 0.36, 0.06), scene.wooden(2))
    scene.say("a round tower")


def tree(scene: Description, place: Place, color: Color) -> None:
    chance = scene.random
    height = chance.uniform(0.5, 0.8)
    bark = material((0.2, 0.11, 0.05), (0.12, 0.06, 0.03), Texture.NOISE, 3)
    place.add(CYLINDER, (0, height, 0), (0.09, height, 0.09), bark)
    leaves = chance.choice(
        [(0.1, 0.3, 0.06), (0.1, 0.3, 0.06), (0.55, 0.2, 0.04), (0.7, 0.35, 0.45), (0.3, 0.35, 0.05)]
    )
    for index in range(4):
        angle = index * 2.1 + chance.random()
        reach, lift = (0.0, 0.38) if index == 3 else (0.28, chance.uniform(-0.08, 0.12))
        center = (reach * math.cos(angle), 2 * height + 0.15 + lift, reach * math.sin(angle))
        half = (chance.uniform(0.36, 0.48), chance.uniform(0.3, 0.4), chance.uniform(0.36, 0.48))
        foliage = material(mix(leaves, (0.3, 0.4, 0.1), chance.random() * 0.3), darker(leaves, 0.45), Texture.GRASS, 3)
        place.add(ELLIPSOID, center, half, foliage)
    scene.say("a tree")


def conifer(scene: Description, place: Place, color: Color) -> None:
    place.add(CYLINDER, (0, 0.2, 0), (0.09, 0.2, 0.09), material((0.2, 0.11, 0.05)))
    size = scene.random.uniform(0.9, 1.2)
    needles = material((0.04, 0.17, 0.08), (0.6, 0.68, 0.72) if scene.snowy else (0.09, 0.26, 0.12), Texture.GRASS, 2.5)
    for tier in range(3):
        half = (0.62 - 0.14 * tier) * size
        place.add(CONE, (0, (0.75 + tier * 0.48) * size, 0), (half, 0.42 * size, half), needles)
    scene.say("a pine tree")


def rock(scene: Description, place: Place, color: Color) -> None:
    chance = scene.random
    look = material((0.36, 0.34, 0.33), (0.2, 0.19, 0.18), Texture.NOISE, 1.5)
    for index in range(2):
        half = chance.uniform(0.22, 0.45)
        center = (index * 0.35, half * 0.45, index * 0.1)
        place.add(ELLIPSOID, center, (half * 1.2, half * 0.8, half), look, chance.random() * 3, 0.2, 0.2)
    scene.say("rocks")


def column(scene: Description, place: Place, color: Color) -> None:
    half = scene.random.uniform(0.8, 1.3)
    marble = material((0.7, 0.67, 0.6), (0.5, 0.47, 0.42), Texture.MARBLE, 1.5)
    place.add(BOX, (0, 0.08, 0), (0.32, 0.08, 0.32), marble)
    place.add(
        CYLINDER, (0, half, 0), (0.2, half, 0.2), material((0.7, 0.67, 0.6), (0.5, 0.47, 0.42), Texture.STRIPE, 8)
    )
    place.add(BOX, (0, 2 * half, 0), (0.32, 0.08, 0.32), marble)
    scene.say("a stone column")


def arch(scene: Description, place: Place, color: Color) -> None:
    half = scene.random.uniform(0.7, 0.95)
    stone = material(mix(color, STONE, 0.5), MORTAR, Texture.BRICK, 2.5)
    for side in SIGNS:
        place.add(BOX, (side * 0.62, half, 0), (0.2, half, 0.25), stone)
    place.add(BOX, (0, 2 * half + 0.17, 0), (0.98, 0.17, 0.3), stone)
    scene.say("an arch")


def barrels(scene: Description, place: Place, color: Color) -> None:
    place.add(CYLINDER, (0, 0.38, 0), (0.26, 0.38, 0.26), scene.wooden(3))
    painted = material(color, mix(color, (0.05, 0.05, 0.05), 0.5), Texture.STRIPE, 3)
    place.add(CYLINDER, (0.6, 0.38, 0.15), (0.26, 0.38, 0.26), painted)
    scene.say("barrels")


def lamp_post(scene: Description, place: Place, color: Color) -> None:
    place.add(CYLINDER, (0, 1.0, 0), (0.04, 1.0, 0.04), material((0.06, 0.07, 0.08)))
    place.add(ELLIPSOID, (0, 2.1, 0), (0.16, 0.16, 0.16), material((1, 0.95, 0.8), emission=1.0))
    scene.say("a lamp post")


def wall(scene: Description, place: Place, color: Color) -> None:
    bricks = material(color, mix(color, (0.7, 0.67, 0.62), 0.7), Texture.BRICK, 2.5)
    place.add(BOX, (0, 0.45, 0), (0.9, 0.45, 0.11), bricks)
    scene.say(f"{a_color(color)} brick wall")


def cone(scene: Description, place: Place, color: Color) -> None:
    pattern = scene.random.choice([Texture.STRIPE, Texture.BRICK])
    place.add(CONE, (0, 0.7, 0), (0.8, 0.7, 0.8), material(color, mix(color, WHITE, 0.5), pattern, 2.0))
    scene.say(f"{a_color(color)} cone")


BUILDINGS = {
    "house": (house, 1.35),
    "tower": (tower, 0.85),
    "tree": (tree, 0.6),
    "conifer": (conifer, 0.65),
    "rock": (rock, 0.5),
    "column": (column, 0.42),
    "arch": (arch, 0.9),
    "crates": (crates, 0.6),
    "barrels": (barrels, 0.5),
    "ball": (ball, 0.5),
    "lamp post": (lamp_post, 0.42),
    "wall": (wall, 0.9),
    "cone": (cone, 0.9),
}
"""Builders by name, with the radius of ground they need in metres."""
