"""Colours of the procedural scenes: curated palettes, linear light, and names for captions."""

from __future__ import annotations

import colorsys

Number = float | int
Color = tuple[Number, Number, Number]
"""Linear RGB."""

_PALETTES = (
    ("264653", "2a9d8f", "e9c46a", "f4a261", "e76f51"),
    ("8ecae6", "219ebc", "023047", "ffb703", "fb8500"),
    ("c9ada7", "e07a5f", "3d405b", "81b29a", "f2cc8f"),
    ("606c38", "283618", "d4a373", "dda15e", "bc6c25"),
    ("9d4edd", "ff8fab", "c77dff", "48bfe3", "5390d9"),
    ("e63946", "a8dadc", "457b9d", "1d3557", "f4a259"),
    ("335c67", "e9d8a6", "e09f3e", "9e2a2b", "540b0e"),
    ("22577a", "38a3a5", "57cc99", "80ed99", "b5838d"),
    ("f94144", "f3722c", "f9c74f", "90be6d", "577590"),
    ("5f0f40", "9a031e", "fb8b24", "e36414", "0f4c5c"),
    ("83c5be", "006d77", "e29578", "d4a276", "8d5b4c"),
    ("6d597a", "b56576", "e56b6f", "eaac8b", "355070"),
)
WHITE: Color = (0.78, 0.76, 0.72)
WOODS: tuple[tuple[Color, Color], ...] = (
    ((0.38, 0.20, 0.09), (0.25, 0.12, 0.05)),
    ((0.50, 0.32, 0.16), (0.38, 0.22, 0.10)),
    ((0.20, 0.10, 0.05), (0.12, 0.06, 0.03)),
    ((0.60, 0.45, 0.28), (0.50, 0.35, 0.20)),
)
_GAMMA = 2.2
_HUES = (
    (18, "red"),
    (42, "orange"),
    (68, "yellow"),
    (160, "green"),
    (195, "teal"),
    (255, "blue"),
    (300, "purple"),
    (345, "pink"),
    (361, "red"),
)


def from_hex(digits: str) -> Color:
    """Linear RGB of an sRGB-like ``rrggbb``."""
    red, green, blue = (int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return red**_GAMMA, green**_GAMMA, blue**_GAMMA


PALETTES = tuple(tuple(from_hex(digits) for digits in palette) for palette in _PALETTES)


def mix(first: Color, second: Color, amount: Number) -> Color:
    """``first`` at 0, ``second`` at 1."""
    red, green, blue = (a * (1 - amount) + b * amount for a, b in zip(first, second, strict=True))
    return red, green, blue


def darker(color: Color, factor: Number) -> Color:
    """Every channel times ``factor``."""
    return color[0] * factor, color[1] * factor, color[2] * factor


def color_name(color: Color) -> str:
    """The everyday word for a colour."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(channel ** (1 / _GAMMA) for channel in color))
    if saturation < 0.16:
        return "white" if value > 0.8 else "gray" if value > 0.35 else "black"
    if value < 0.25:
        return "dark"
    name = next(name for limit, name in _HUES if hue * 360 < limit)
    if name == "orange" and value < 0.62:
        return "brown"
    return "pink" if name == "red" and value > 0.85 and saturation < 0.5 else name


def a_color(color: Color) -> str:
    """The word for a colour with its article."""
    name = color_name(color)
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
