"""Laying out a labelled picture: sections of tiles from top to bottom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

WIDTH = 1640
MARGIN = 48
GAP = 14
INNER = WIDTH - 2 * MARGIN

_INK, _GREY, _RULE, _PAPER = (22, 26, 32), (108, 116, 128), (226, 229, 234), (255, 255, 255)


@dataclass
class Sheet:
    """A white page of fixed width that grows downwards."""

    _parts: list[tuple[int, Image.Image]] = field(default_factory=list)
    _height: int = MARGIN

    def title(self, text: str, lines: Sequence[str]) -> None:
        """A large title, and smaller lines below it, shortened to the page."""
        self._text(text, 38, _INK, space=12)
        for line in lines:
            self._text(line, 21, _GREY, space=8)
        self._height += 10

    def section(self, text: str, note: str = "", legend: Legend | None = None) -> None:
        """A heading with a rule above it, a grey note after it, and an optional colour legend on the right."""
        strip = Image.new("RGB", (INNER, 62), _PAPER)
        draw = ImageDraw.Draw(strip)
        draw.line([(0, 4), (INNER, 4)], fill=_RULE, width=2)
        heading = _font(25)
        draw.text((0, 22), text, font=heading, fill=_INK)
        draw.text((draw.textlength(text, font=heading) + 16, 26), note, font=_font(20), fill=_GREY)
        if legend is not None:
            legend.draw(strip)
        self._add(strip, space=6)

    def tiles(self, pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]], labels: Sequence[str], columns: int) -> None:
        """One row of pictures, scaled to equal widths (`columns` of them fill the page), a label under each."""
        width = (INNER - GAP * (columns - 1)) // columns
        scaled = [_scaled(picture, width) for picture in pictures]
        row_height = max(picture.height for picture in scaled)
        has_labels = any(labels)
        row = Image.new("RGB", (INNER, row_height + (32 if has_labels else 0)), _PAPER)
        draw = ImageDraw.Draw(row)
        for index, (picture, label) in enumerate(zip(scaled, labels, strict=True)):
            left = index * (width + GAP)
            row.paste(picture, (left, 0))
            draw.text((left, picture.height + 6), label, font=_font(19), fill=_GREY)
        self._add(row, space=16)

    def picture(self) -> Image.Image:
        """The finished page."""
        page = Image.new("RGB", (WIDTH, self._height + MARGIN - 16), _PAPER)
        for top, part in self._parts:
            page.paste(part, (MARGIN, top))
        return page

    def _text(self, text: str, size: int, ink: tuple[int, int, int], *, space: int) -> None:
        font = _font(size)
        strip = Image.new("RGB", (INNER, round(size * 1.25)), _PAPER)
        draw = ImageDraw.Draw(strip)
        draw.text((0, 0), _shortened(text, font, INNER), font=font, fill=ink)
        self._add(strip, space=space)

    def _add(self, part: Image.Image, *, space: int) -> None:
        self._parts.append((self._height, part))
        self._height += part.height + space


@dataclass(frozen=True, kw_only=True)
class Legend:
    """A colour bar with a word at each end."""

    colors: UInt8[np.ndarray, "n 3"]
    low: str
    high: str

    def draw(self, strip: Image.Image) -> None:
        """Draw at the right end of a section strip."""
        draw, font = ImageDraw.Draw(strip), _font(20)
        right = INNER - draw.textlength(self.high, font=font)
        draw.text((right, 26), self.high, font=font, fill=_GREY)
        bar = Image.fromarray(self.colors[None]).resize((240, 18), Image.Resampling.BILINEAR)
        left = round(right) - 12 - bar.width
        strip.paste(bar, (left, 31))
        draw.text((left - 12 - draw.textlength(self.low, font=font), 26), self.low, font=font, fill=_GREY)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    text = " ".join(text.split())
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text.rstrip() + "..."


def _scaled(picture: UInt8[np.ndarray, "_ _ 3"], width: int) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(picture))
    height = max(1, round(image.height * width / image.width))
    return image.resize((width, height), Image.Resampling.LANCZOS)
