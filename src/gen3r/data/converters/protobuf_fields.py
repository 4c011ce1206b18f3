"""The fields of protobuf messages, without knowing what they mean: enough to take a few numbers out of large files.

A message is a row of fields, each a key (number and kind) and a value. Source: protobuf's encoding guide.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Kinds of fields."""
Buffer = mmap.mmap | bytes
_LONGEST_VARINT = 10


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of a message."""

    number: int
    value: int
    """Of a varint."""
    start: int
    """First byte of the value in the file."""
    stop: int
    """Behind its last byte."""
    kind: int
    """How it is stored."""


def doubles(buffer: Buffer, items: list[Field], number: int) -> Float64[np.ndarray, " N"]:
    """The repeated doubles of number ``number`` among the fields of a message, stored one by one or all in one field.

    Raises:
        ValueError: if that is no whole number of doubles.
    """
    parts = [item for item in items if item.number == number and item.kind in (FIXED64, BYTES)]
    if any((item.stop - item.start) % 8 for item in parts):
        raise ValueError("a row of numbers is cut off")
    return np.frombuffer(b"".join(buffer[item.start : item.stop] for item in parts), dtype="<f8").astype(np.float64)


def text(buffer: Buffer, field: Field) -> str:
    """A text; `ValueError` if the field is none."""
    if field.kind != BYTES:
        raise ValueError("a text is none")
    try:
        return bytes(buffer[field.start : field.stop]).decode()
    except UnicodeDecodeError as error:
        raise ValueError("a text is none") from error


def fields(buffer: Buffer, start: int, stop: int) -> Iterator[Field]:
    """The fields of the message between two places.

    Raises:
        ValueError: as soon as the bytes are no message.
    """
    place = start
    while place < stop:
        key, place = _varint(buffer, place, stop)
        kind, value, begin = key & 7, 0, place
        if kind == VARINT:
            value, place = _varint(buffer, place, stop)
        elif kind == BYTES:
            length, begin = _varint(buffer, place, stop)
            place = begin + length
        elif kind in (FIXED64, FIXED32):
            place += 8 if kind == FIXED64 else 4
        else:
            raise ValueError(f"a field of unknown kind {kind}")
        if place > stop or key >> 3 == 0:
            raise ValueError("a field reaches beyond its message")
        yield Field(number=key >> 3, value=value, start=begin, stop=place, kind=kind)


def _varint(buffer: Buffer, place: int, stop: int) -> tuple[int, int]:
    """A number of 7 bits per byte, lowest first, and the place behind it."""
    value = 0
    for index in range(_LONGEST_VARINT):
        if place + index >= stop:
            break
        byte = buffer[place + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, place + index + 1
    raise ValueError("a number is cut off")
