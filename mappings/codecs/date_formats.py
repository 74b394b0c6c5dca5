"""Dates and times of a fixed form, read column by column as a rectangle of digits.

::

    %d/%m/%Y %H:%M     22/11/2026 01:44
                       dd/dd/dddd dd:dd     each directive has its place, so a whole column is one matrix of bytes

Strict: 31/02/2026 is no date. What does not have the exact width (1/2/2026, or a form with %b or %z) is left to
Python's strptime, once per distinct text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mappings.codecs.cells import Cells, Mask, judged, picked, placed, present
from mappings.codecs.layout import Digits, laid_out, number

_WIDTHS = {"d": 2, "m": 2, "Y": 4, "y": 2, "H": 2, "M": 2, "S": 2, "f": 6}
_PIECE = re.compile(r"%(.)|([^%])", re.DOTALL)
_LOCAL = pa.timestamp("us")
_YEARS = 9999
_CENTURY = np.timedelta64(36525, "D")  # between any day from 2001 to 2068 and that day a hundred years earlier


@dataclass(frozen=True)
class Template:
    """A strptime format in which every directive has a fixed width: its layout, and the digits of each directive."""

    layout: str
    parts: tuple[tuple[str, slice], ...]


@cache
def template(form: str) -> Template | None:
    """The places of a format's directives; None where one of them has no fixed width."""
    layout, parts, at = "", [], 0
    for directive, literal in _PIECE.findall(form):
        if directive in _WIDTHS:
            parts.append((directive, slice(at, at + _WIDTHS[directive])))
            layout += "d" * _WIDTHS[directive]
            at += _WIDTHS[directive]
        elif (directive and directive != "%") or literal in ("d", "_") or not literal.isascii():
            return None
        else:
            layout += literal or "%"
    named = {directive for directive, _ in parts}
    whole = {"d", "m"} <= named and len(named & {"Y", "y"}) == 1 and len(named) == len(parts)
    return Template(layout, tuple(parts)) if whole else None


def parse_fixed(cells: Cells, forms: Sequence[str], latest: datetime | None = None) -> pa.TimestampArray:
    """timestamp[us] as written, of the cells that have a form's exact width; null elsewhere.

    `latest`: what two digits of a year would put behind it is a hundred years earlier.
    """
    found = pa.nulls(len(cells), _LOCAL)
    for fixed in (template(form) for form in forms):
        open_ = ~present(found)
        if fixed is None or not open_.any():
            continue
        having, digits = laid_out(cells, fixed.layout)
        good, moments = _moments(digits, fixed)
        if latest is not None and any(directive == "y" for directive, _ in fixed.parts):
            moments = np.where(moments > np.datetime64(latest), moments - _CENTURY, moments)
        having[having] = good
        if having.any():
            found = placed(found, having & open_, pa.array(moments[good][open_[having]], _LOCAL))
    return found


def parse_rest(found: pa.TimestampArray, cells: Cells, forms: Sequence[str], latest: datetime | None = None
               ) -> pa.TimestampArray:
    """`found`, with what Python makes of the cells that have none; a zone in the text is converted to UTC."""
    for form in forms:
        open_ = present(cells) & ~present(found)
        if open_.any():
            read = partial(_strptime, form=form, latest=latest)
            found = placed(found, open_, judged(picked(cells, open_), read, _LOCAL))
    return found


def _moments(digits: Digits, fixed: Template) -> tuple[Mask, NDArray[np.datetime64]]:
    """Which columns of digits are a real date, and the moments (meaningless where they are not)."""
    parts = {directive: number(digits[place]) for directive, place in fixed.parts}
    year = parts["Y"] if "Y" in parts else _century(parts["y"])
    month, day = parts["m"], parts["d"]
    good: Mask = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)
    months = np.where(good, (year - 1) * 12 + month - 1, 0)
    first = _first_days()
    good &= day <= first[months + 1] - first[months]
    micros = (first[months] + day - 1) * 86_400_000_000
    for directive, limit, unit in (("H", 24, 3_600_000_000), ("M", 60, 60_000_000), ("S", 60, 1_000_000)):
        if directive in parts:
            good &= parts[directive] < limit
            micros += parts[directive] * unit
    if "f" in parts:
        micros += parts["f"]
    return good, micros.view("datetime64[us]")


@cache
def _first_days() -> NDArray[np.int64]:
    """The first day of each month from January of year 1 on, counted from 1970."""
    months = np.arange(_YEARS * 12 + 1) - 1969 * 12
    return months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


def _century(year: NDArray[np.int64]) -> NDArray[np.int64]:
    """Two digits as POSIX reads them: 69 to 99 are 19xx, 00 to 68 are 20xx."""
    return np.where(year >= 69, 1900, 2000) + year


def _strptime(text: str, form: str, latest: datetime | None) -> datetime | None:
    try:
        moment = datetime.strptime(text, form)
        moment = moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):  # the first day of year 1, east of Greenwich; the last of 9999, west of it
        return None
    if latest is None or moment <= latest or "%y" not in form.replace("%%", ""):
        return moment
    return moment - timedelta(days=int(_CENTURY.astype(int)))
