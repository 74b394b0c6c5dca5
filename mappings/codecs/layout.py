"""Cells that are laid out alike, read as a rectangle of bytes: `ddd_ddd_ddd_ddddd` is a SIRET, `dd/dd/dddd` a date.

In a layout `d` is a digit, `_` any of the usual gaps (space, point, hyphen), and every other character is itself.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from mappings.codecs.cells import Cells, Mask, rectangle

Digits = NDArray[np.uint8]
_GAPS = np.frombuffer(b" .-", np.uint8)


@cache
def _places(layout: str) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    digits = [at for at, mark in enumerate(layout) if mark == "d"]
    gaps = [at for at, mark in enumerate(layout) if mark == "_"]
    fixed = [(at, ord(mark)) for at, mark in enumerate(layout) if mark not in "d_"]
    return digits, gaps, fixed


def laid_out(cells: Cells, layout: str) -> tuple[Mask, Digits]:
    """Which cells have the layout, and the digits of those: one row per place of a `d`, one column per cell."""
    where, matrix = rectangle(cells, len(layout))
    places, gaps, fixed = _places(layout)
    digits = np.ascontiguousarray(matrix.T[places]) - np.uint8(48)  # wraps around for bytes before '0'
    good = np.ones(len(matrix), bool)
    if digits.size and digits.max() > 9:
        good &= (digits <= 9).all(axis=0)
    for at, byte in fixed:
        good &= matrix[:, at] == byte
    for at in gaps:
        good &= np.isin(matrix[:, at], _GAPS)
    if good.all():
        return where, digits
    having = where.copy()
    having[where] = good
    return having, digits[:, good]


def number(digits: Digits) -> NDArray[np.int64]:
    """The rows of digits, most significant first, as one number per column."""
    total = np.zeros(digits.shape[1], np.int64)
    for row in digits:
        total = total * 10 + row
    return total


def written(digits: Digits, before: bytes = b"") -> NDArray[np.uint8]:
    """The way back: one row of ASCII bytes per column of digits, with the same bytes before each."""
    head = np.tile(np.frombuffer(before, np.uint8), (digits.shape[1], 1))
    return np.hstack([head, (digits + np.uint8(48)).T])
