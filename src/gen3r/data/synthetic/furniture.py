"""Things that stand in rooms. Each function builds one around a `Place`, its back at -z."""

from __future__ import annotations

import math

from gen3r.data.synthetic.description import Description, Place, Shape, Texture, material
from gen3r.data.synthetic.palettes import WHITE, Color, a_color, color_name, darker, mix

BOX, ELLIPSOID, CYLINDER, CONE = Shape.BOX, Shape.ELLIPSOID, Shape.CYLINDER, Shape.CONE
SIGNS = (-1, 1)


def table(scene: Description, place: Place, color: Color) -> None:
    chance = scene.random
    half_width, half_depth, height = chance.uniform(0.5, 0.75), chance.uniform(0.35, 0.5), chance.uniform(0.6, 0.75)
    if chance.random() < 0.4:
        place.add(CYLINDER, (0, height, 0), (half_depth * 1.3, 0.03, half_depth * 1.3), scene.wooden())
        place.add(CYLINDER, (0, height / 2, 0), (0.06, height / 2, 0.06), scene.wooden())
        place.add(CYLINDER, (0, 0.02, 0), (0.3, 0.02, 0.3), scene.wooden())
        name = "a round wooden table"
    else:
        place.add(BOX, (0, height, 0), (half_width, 0.03, half_depth), scene.wooden())
        for side in SIGNS:
            for end in SIGNS:
                leg = (side * (half_width - 0.06), height / 2, end * (half_depth - 0.06))
                place.add(BOX, leg, (0.035, height / 2, 0.035), scene.wooden())
        name = "a wooden table"
    bowl = (chance.uniform(-0.2, 0.2), height + 0.16, chance.uniform(-0.1, 0.1))
    place.add(ELLIPSOID, bowl, (0.13, 0.13, 0.13), material(color, None, scene.pattern(0.4), 4, 0.6))
    if chance.random() < 0.5:
        place.add(CYLINDER, (-0.28, height + 0.13, 0.05), (0.07, 0.1, 0.07), material(scene.color(), gloss=0.5))
    scene.say(name)


def sofa(scene: Description, place: Place, color: Color) -> None:
    fabric = material(color, darker(color, 0.75), Texture.NOISE, 2.0)
    place.add(BOX, (0, 0.24, 0), (0.8, 0.2, 0.4), fabric)
    place.add(BOX, (0, 0.5, -0.34), (0.8, 0.36, 0.1), fabric)
    for side in SIGNS:
        place.add(BOX, (side * 0.78, 0.34, 0), (0.1, 0.32, 0.42), fabric)
        cushion = material(scene.color(), scene.color(), scene.pattern(0.6), 4)
        place.add(BOX, (side * 0.38, 0.55, -0.17), (0.2, 0.16, 0.07), cushion, pitch=-0.35)
    scene.say(f"{a_color(color)} sofa")


def chair(scene: Description, place: Place, color: Color) -> None:
    place.add(BOX, (0, 0.42, 0), (0.22, 0.03, 0.22), scene.wooden())
    place.add(BOX, (0, 0.72, -0.2), (0.22, 0.28, 0.025), material(color, None, scene.pattern(0.3), 5))
    for side in SIGNS:
        for end in SIGNS:
            place.add(CYLINDER, (side * 0.19, 0.2, end * 0.19), (0.02, 0.2, 0.02), scene.wooden())
    scene.say("a chair")


def shelf(scene: Description, place: Place, color: Color) -> None:
    chance = scene.random
    height = chance.uniform(1.5, 1.9)
    for side in SIGNS:
        place.add(BOX, (side * 0.5, height / 2, 0), (0.025, height / 2, 0.17), scene.wooden())
    for board in range(4):
        place.add(BOX, (0, 0.04 + board * (height - 0.06) / 3, 0), (0.5, 0.02, 0.17), scene.wooden())
    place.add(BOX, (0, height / 2, -0.16), (0.5, height / 2, 0.01), scene.wooden(0.7))
    for board in range(3):
        half_width = chance.uniform(0.15, 0.32)
        spot = (chance.uniform(-0.15, 0.15), 0.21 + board * (height - 0.06) / 3, 0)
        books = material(color if board == 1 else scene.color(), scene.color(), Texture.STRIPE, 6)
        place.add(BOX, spot, (half_width, 0.14, 0.12), books)
    scene.say("a bookshelf")


def lamp(scene: Description, place: Place, color: Color) -> None:
    height = scene.random.uniform(1.2, 1.5)
    place.add(CYLINDER, (0, 0.02, 0), (0.16, 0.02, 0.16), material((0.1, 0.1, 0.1)))
    place.add(CYLINDER, (0, height / 2, 0), (0.018, height / 2, 0.018), material((0.15, 0.13, 0.1), gloss=0.5))
    shade = material(mix(color, (1, 0.9, 0.7), 0.6), emission=0.7)
    place.add(CONE, (0, height + 0.12, 0), (0.24, 0.2, 0.24), shade)
    scene.say("a floor lamp")


def plant(scene: Description, place: Place, color: Color) -> None:
    chance = scene.random
    pot = material(color, mix(color, WHITE, 0.4), scene.pattern(0.5), 5)
    place.add(CYLINDER, (0, 0.2, 0), (0.17, 0.2, 0.17), pot)
    for leaf in range(4):
        angle = leaf * 1.7 + chance.random()
        green = mix((0.07, 0.25, 0.07), (0.25, 0.4, 0.08), chance.random() * 0.6)
        center = (0.15 * math.cos(angle), 0.55 + 0.16 * leaf * chance.uniform(0.7, 1.1), 0.15 * math.sin(angle))
        place.add(ELLIPSOID, center, (0.2, 0.16, 0.2), material(green, (0.04, 0.14, 0.04), Texture.GRASS, 5))
    scene.say("a potted plant")


def ball(scene: Description, place: Place, color: Color) -> None:
    radius = scene.random.uniform(0.2, 0.36) * (1.0 if scene.is_room else 1.6)
    look = material(color, mix(color, WHITE, 0.8), scene.pattern(0.75), 1.2 / radius, 0.7)
    place.add(ELLIPSOID, (0, radius, 0), (radius, radius, radius), look)
    scene.say(f"{a_color(color)} ball")


def pouf(scene: Description, place: Place, color: Color) -> None:
    place.add(CYLINDER, (0, 0.2, 0), (0.3, 0.2, 0.3), material(color, mix(color, WHITE, 0.3), scene.pattern(0.7), 4))
    scene.say(f"{a_color(color)} stool")


def crates(scene: Description, place: Place, color: Color) -> None:
    chance = scene.random
    half = 0.24 if scene.is_room else 0.36
    for index in range(chance.randint(2, 3)):
        on_top = index == 2
        center = (half * 0.3 if on_top else (index - 0.5) * 2.15 * half, 3 * half if on_top else half, 0)
        wooden = chance.random() < 0.6
        look = scene.wooden(2.0, 0.0) if wooden else material(scene.color(), color, scene.pattern(0.7), 3)
        place.add(BOX, center, (half, half, half), look, chance.uniform(-0.3, 0.3))
    scene.say("some crates")


def pedestal(scene: Description, place: Place, color: Color) -> None:
    half = scene.random.uniform(0.45, 0.6)
    stone = material((0.7, 0.68, 0.65), (0.45, 0.44, 0.46), Texture.MARBLE, 1.5, 0.3)
    place.add(BOX, (0, half, 0), (0.2, half, 0.2), stone)
    shape = scene.random.choice([ELLIPSOID, CONE, BOX, CYLINDER])
    size = (0.15, 0.15, 0.15) if shape is BOX else (0.19, 0.2, 0.19)
    sculpture = material(color, None, scene.pattern(0.4), 4, 0.4)
    place.add(shape, (0, 2 * half + size[1], 0), size, sculpture)
    scene.say("a pedestal with a sculpture")


def cabinet(scene: Description, place: Place, color: Color) -> None:
    half = scene.random.uniform(0.35, 0.45)
    place.add(BOX, (0, half, 0), (0.55, half, 0.24), scene.wooden())
    for side in SIGNS:
        place.add(BOX, (side * 0.27, half, 0.24), (0.24, half * 0.85, 0.012), material(color))
        place.add(ELLIPSOID, (side * 0.08, half, 0.27), (0.022, 0.022, 0.022), material((0.8, 0.6, 0.2), gloss=0.8))
    vase_color = material(scene.color(), scene.color(), scene.pattern(0.6), 5, 0.6)
    place.add(ELLIPSOID, (0.2, 2 * half + 0.14, 0), (0.14, 0.14, 0.14), vase_color)
    scene.say(f"a cabinet with {color_name(color)} doors")


def vase(scene: Description, place: Place, color: Color) -> None:
    pattern = scene.random.choice([Texture.STRIPE, Texture.MARBLE, Texture.CHECK, Texture.DOTS])
    place.add(ELLIPSOID, (0, 0.28, 0), (0.2, 0.28, 0.2), material(color, mix(color, WHITE, 0.6), pattern, 4, 0.7))
    place.add(CYLINDER, (0, 0.58, 0), (0.09, 0.1, 0.09), material(color, gloss=0.7))
    scene.say(f"{a_color(color)} vase")


FURNITURE = {
    "table": (table, 0.8),
    "sofa": (sofa, 0.95),
    "shelf": (shelf, 0.65),
    "lamp": (lamp, 0.42),
    "plant": (plant, 0.42),
    "ball": (ball, 0.42),
    "crates": (crates, 0.5),
    "pedestal": (pedestal, 0.42),
    "cabinet": (cabinet, 0.6),
    "chair": (chair, 0.42),
    "vase": (vase, 0.36),
    "pouf": (pouf, 0.42),
}
"""Builders by name, with the radius of floor they need in metres."""
AGAINST_WALLS = {"sofa", "shelf", "cabinet", "lamp", "plant"}
