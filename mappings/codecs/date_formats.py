"""Dates and times of a fixed form, read column by column as a rectangle of digits.

::

    %d/%m/%Y %H:%M     22/11/2026 01:44
                       ││ ││ ││││ ││ ││     each directive has its place, so a whole column is one matrix of bytes

Strict: 31/02/2026 is no date. What does not have the exact width (1/2/2026, or a form with %b or %z) is left to
Python's strptime, once per distinct text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mappings.codecs.cells import Cells, Mask, judged, picked, placed, present, rectangle

_WIDTHS = {"d": 2, "m": 2, "Y": 4, "y": 2, "H": 2, "M": 2, "S": 2, "f": 6}
_PIECE = re.compile(r"%(.)|([^%])", re.DOTALL)
_LOCAL = pa.timestamp("us")


@dataclass(frozen=True)
class Template:
    """A strptime format in which every directive has a fixed width."""

    width: int
    places: tuple[tuple[str, int], ...]  # directive, first byte
    literals: tuple[tuple[int, int], ...]  # position, byte


@cache
def template(form: str) -> Template | None:
    """The places of a format's directives; None where one of them has no fixed width."""
    places: list[tuple[str, int]] = []
    literals: list[tuple[int, int]] = []
    at = 0
    for directive, literal in _PIECE.findall(form):
        if directive and directive != "%":
            if directive not in _WIDTHS:
                return None
            places.append((directive, at))
            at += _WIDTHS[directive]
        else:
            for byte in (literal or "%").encode():
                literals.append((at, byte))
                at += 1
    named = {directive for directive, _ in places}
    return Template(at, tuple(places), tuple(literals)) if {"d", "m"} <= named and named & {"Y", "y"} else None


def parse(cells: Cells, forms: tuple[str, ...]) -> pa.TimestampArray:
    """timestamp[us] as written (no zone; one in the text is converted to UTC); null where no form fits."""
    found = pa.nulls(len(cells), _LOCAL)
    for form in forms:
        open_ = present(cells) & ~present(found)
        if not open_.any():
            return found
        fixed = template(form)
        if fixed is not None:
            found = _place_fixed(found, cells, open_, fixed)
    for form in forms:
        open_ = present(cells) & ~present(found)
        if open_.any():
            rest = judged(picked(cells, open_), partial(_strptime, form=form), _LOCAL)
            found = placed(found, open_, rest)
    return found


def _place_fixed(found: pa.TimestampArray, cells: Cells, open_: Mask, fixed: Template) -> pa.TimestampArray:
    chosen = cells if open_.all() else picked(cells, open_)
    wide, matrix = rectangle(chosen, fixed.width)
    good, moments = _moments(matrix, fixed)
    values = pa.array(moments, _LOCAL, mask=~good)
    if open_.all() and wide.all():
        return values
    where = open_.copy()
    where[open_] = wide
    return placed(found, where, values)


def _moments(matrix: NDArray[np.uint8], fixed: Template) -> tuple[Mask, NDArray[np.datetime64]]:
    """Which rows of bytes are a real date, and the moments (meaningless where they are not)."""
    good = np.ones(len(matrix), bool)
    for at, byte in fixed.literals:
        good &= matrix[:, at] == byte
    part = {"H": np.int64(0), "M": np.int64(0), "S": np.int64(0), "f": np.int64(0)}
    numbers: dict[str, NDArray[np.int64] | np.int64] = dict(part)
    for directive, at in fixed.places:
        width = _WIDTHS[directive]
        digits = matrix[:, at : at + width] - np.uint8(48)  # wraps around for bytes before '0'
        good &= (digits < 10).all(axis=1)
        numbers[directive] = digits.astype(np.int64) @ (10 ** np.arange(width - 1, -1, -1, dtype=np.int64))
    year = numbers["Y"] if "Y" in numbers else _century(np.asarray(numbers["y"]))
    month, day = numbers["m"], numbers["d"]
    good &= (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    good &= (numbers["H"] < 24) & (numbers["M"] < 60) & (numbers["S"] < 60)
    months = np.where(good, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + np.where(good, day - 1, 0)
    good &= days.astype("datetime64[M]") == months
    seconds = (numbers["H"] * 60 + numbers["M"]) * 60 + numbers["S"]
    moments = days.astype("datetime64[us]") + np.where(good, seconds * 1_000_000 + numbers["f"], 0)
    return good, moments


def _century(year: NDArray[np.int64]) -> NDArray[np.int64]:
    """Two digits as POSIX reads them: 69 to 99 are 19xx, 00 to 68 are 20xx."""
    return np.where(year >= 69, 1900, 2000) + year


def _strptime(text: str, form: str) -> datetime | None:
    try:
        moment = datetime.strptime(text, form)
    except ValueError:
        return None
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
