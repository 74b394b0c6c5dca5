"""Order marks: which of two rows of one key is newer."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mappings.codecs.cells import POINT, Cells, Mask, cells_of, mask_of, matches, picked, placed, pointed, present
from mappings.codecs.dates import in_calendar, in_utc
from mappings.codecs.into import resolve_column
from mappings.language.read import Read

_WHOLE = r"^\s*(?:\d{1,18}|[1-3]\d{18})\s*$"  # below _MOST
_PLAIN = r"^\s*(?P<whole>\d{1,18}|[1-3]\d{18})(?:\.(?P<part>\d*))?\s*$"
_NUMBER = r"^\s*[+-]?(\d{1,99}(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?\s*$"
_OFFSET = r"[T ]\S+ ?(?:Z|[+-]\d{2}(?::?\d{2})?)$"  # behind a time
_MOST = 4 * 10**18
_STEPS = ((0, 10**6), (4 * 10**12, 10**4), (10**14, 1), (_MOST, 0))
"""From which number on how many marks there are for each whole one: six decimals as far as milliseconds since 1970 go,
four of what is written 20260105093000.5, none of nanoseconds, and _MOST for all beyond. No mark is below its number, as
which earlier versions kept it: after an upgrade the next news of a row is newer than what is known of it."""


@dataclass
class MarksSeen:
    """Whether any mark of a run tells an order; until one does, `written` counts the cells that hold one."""

    written: int = 0
    known: bool = False

    def look(self, frame: pd.DataFrame, marks: pd.Series, read: Read) -> None:
        """Takes the next rows, and the order marks that were found in them."""
        name = resolve_column(tuple(frame.columns), read.mark_columns[0]) if read.mark_columns else None
        if self.known or name is None:
            return
        self.known = bool((marks < BEYOND).any())
        self.written += 0 if self.known else int((frame[name].str.strip() != "").fillna(False).sum())

    def notice(self, read: Read) -> dict[str, Any] | None:
        """What the notice `marks` tells, of a run none of whose marks tells an order."""
        if self.known or not self.written:
            return None
        return {"written": self.written, "column": read.mark_columns[0]}


def marks_of(frame: pd.DataFrame, read: Read, file_mark: int | None) -> tuple[pd.Series, pd.Series]:
    """(order marks, stamps) of the rows, both int64 or null, aligned with the frame.

    The mark is the row's `version` (a number, else a time), else its `stamp`, else the file's own mark. Stamps and
    times are microseconds since 1970, UTC, as which seconds since then count too. A value that cannot be read gives
    null: the row then counts as newest.
    """
    stamps = _times(frame, read.stamp, read) if read.stamp is not None else None
    marks = order_marks(frame, read, file_mark) if stamps is None or read.version in read.mark_columns else stamps
    empty = pd.Series(pd.NA, index=frame.index, dtype="int64[pyarrow]")
    return marks, stamps if stamps is not None else empty


def order_marks(frame: pd.DataFrame, read: Read, file_mark: int | None) -> pd.Series:
    """The order marks alone; see `marks_of`."""
    if read.version in read.mark_columns:
        return _versions(frame, read)
    if read.stamp is not None:
        return _times(frame, read.stamp, read)
    return pd.Series(file_mark, index=frame.index, dtype="int64[pyarrow]")


def _versions(frame: pd.DataFrame, read: Read) -> pd.Series:
    assert read.version is not None
    name = resolve_column(tuple(frame.columns), read.version)
    if name is None:
        return pd.Series(pd.NA, index=frame.index, dtype="int64[pyarrow]")
    cells = pointed(cells_of(frame[name]))
    marks, numbers = _numbers(pc.replace_substring(cells, ",", ".") if read.decimal == "," else cells)
    found = pd.Series(pa.array(marks, mask=~numbers), index=frame.index, dtype="int64[pyarrow]")
    others = present(cells) & ~numbers
    if others.any():
        found[others] = _times(frame[others], read.version, read)
    return found


def _numbers(cells: Cells) -> tuple[NDArray[np.int64], Mask]:
    """The marks of the cells that are numbers, and which cells those are."""
    whole, part = np.zeros(len(cells), np.int64), np.zeros(len(cells), np.int64)
    plain = matches(cells, _WHOLE)
    if plain[present(cells)].all():
        whole[plain] = pc.cast(pc.utf8_trim_whitespace(cells.filter(pa.array(plain))), pa.int64()).to_numpy()
        return _in_order(whole, part), plain
    read = pc.extract_regex(cells, _PLAIN)
    plain = present(read)
    read = read.filter(pa.array(plain))
    millionths = pc.utf8_rpad(pc.utf8_slice_codeunits(pc.struct_field(read, "part"), 0, 6), 6, "0")
    whole[plain] = pc.cast(pc.struct_field(read, "whole"), pa.int64()).to_numpy()
    part[plain] = pc.cast(millionths, pa.int64()).to_numpy()
    marks = _in_order(whole, part)
    odd = ~plain & matches(cells, _NUMBER)
    if odd.any():
        texts = pd.Series(cells.filter(pa.array(odd)).to_pylist())
        marks[odd] = texts.map({text: _odd(text) for text in texts.unique()}).to_numpy(np.int64)
    return marks, plain | odd


def _in_order(whole: NDArray[np.int64], millionths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The marks of numbers that are not negative."""
    marks = np.zeros(len(whole), np.int64)
    for (start, each), (end, _) in pairwise(_STEPS):
        decimals = np.where((whole >= start) & (whole < end), millionths * each // 10**6, 0)
        marks += np.clip(whole - start, 0, end - start) * each + decimals
    return marks


def _odd(text: str) -> int:
    """The mark of a number with a sign, a power of ten, or more digits than most."""
    number = Decimal(text)
    size = min(abs(number), Decimal(_MOST))
    mark = int(_in_order(np.array([int(size)]), np.array([int(size % 1 * 10**6)]))[0])
    return -mark if number < 0 else mark


BEYOND = int(_in_order(np.array([_MOST]), np.array([0]))[0])
"""The mark of all numbers that are too great to be told apart."""


def _times(frame: pd.DataFrame, column: int | str, read: Read) -> pd.Series:
    name = resolve_column(tuple(frame.columns), column)
    if name is None:
        return pd.Series(pd.NA, index=frame.index, dtype="int64[pyarrow]")
    raw = frame[name].str.replace(POINT, ".").str.replace("\u00a0", " ").str.replace("  ", " ").str.strip()
    form = read.stamp_format or "ISO8601"
    read_as_utc = pd.to_datetime(raw.astype(object), format=form, errors="coerce", utc=True).dt.as_unit("us")
    times = pa.array(read_as_utc)
    if read.timezone not in (None, "UTC") and "%z" not in form:
        offset = mask_of(pa.array(raw.str.contains(_OFFSET)))
        times = placed(in_utc(times.cast(pa.timestamp("us")), read.timezone), offset, picked(times, offset))
    return pd.Series(in_calendar(times).cast(pa.int64()), index=frame.index, dtype="int64[pyarrow]")
