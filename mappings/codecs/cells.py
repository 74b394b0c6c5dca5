"""Cells: a column of raw text in Arrow, and the few moves on it that every codec makes.

A cell is a value of a `large_string` array: null where there is nothing to decode. Masks are numpy booleans, one per
cell. Nothing here copies text unless it changes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mappings.words import INVISIBLE

Cells: TypeAlias = "pa.LargeStringArray"
Mask: TypeAlias = NDArray[np.bool_]
TEXT = pa.large_string()
POINT = ".\u2060"
"""The decimal point of a cell that is a number, of a spreadsheet, and no text that shows one: no decimal sign of the
mapping is about it. The word joiner behind it is not seen; only the reader of spreadsheets puts it there."""
ODD_SPACES = "\u00a0\u2007\u2009\u202f"  # no-break, figure, thin and narrow no-break space: what exports put in numbers

_EDGES = INVISIBLE + "".join(filter(str.isspace, map(chr, range(0x3001))))
_NOT_PLAIN = np.array([sign <= 0x20 or sign >= 0x7F for sign in range(256)])


def cells_of(series: pd.Series) -> Cells:
    """The column as one contiguous array, without a copy where pandas already holds Arrow text."""
    held = contiguous(pa.array(series.array, from_pandas=True))
    return held if held.type == TEXT else held.cast(TEXT)


def trimmed(cells: Any) -> Any:
    """Without white space and what is invisible at either end."""
    cells = contiguous(cells)
    return pc.utf8_trim(cells, characters=_EDGES) if _may_be_edged(cells) else cells


def _may_be_edged(cells: Cells) -> bool:
    """Whether some cell begins or ends with what is not a plain ASCII sign; asked much faster than trimmed."""
    ends, text = offsets_of(cells), bytes_of(cells)
    filled = ends[1:] > ends[:-1]
    starts, stops = (ends[:-1], ends[1:]) if filled.all() else (ends[:-1][filled], ends[1:][filled])
    return bool(_NOT_PLAIN[text[starts]].any() or _NOT_PLAIN[text[stops - 1]].any())


def contiguous(values: Any) -> Any:
    """One array of what may be chunked."""
    if not isinstance(values, pa.ChunkedArray):
        return values
    return values.chunk(0) if values.num_chunks == 1 else values.combine_chunks()  # which copies also a single one


def repeat(text: str | None, rows: int) -> Cells:
    return pa.nulls(rows, TEXT) if text is None else pa.repeat(pa.scalar(text, TEXT), rows)


def mask_of(truths: Any) -> Mask:
    """An Arrow boolean array as a mask; null counts as false."""
    truths = contiguous(truths)
    found: Mask = (truths.fill_null(False) if truths.null_count else truths).to_numpy(zero_copy_only=False)
    return found


def present(values: Any) -> Mask:
    """Where there is a value."""
    return np.ones(len(values), bool) if values.null_count == 0 else mask_of(values.is_valid())


def matches(cells: Cells, pattern: str) -> Mask:
    """Where the cell matches an RE2 pattern somewhere; anchor it to match whole."""
    return mask_of(pc.match_substring_regex(cells, pattern))


def offsets_of(cells: Cells) -> NDArray[np.int64]:
    """Where each cell's bytes begin, and at last where they end."""
    buffer = cells.buffers()[1]
    if buffer is None or len(cells) == 0:
        return np.zeros(len(cells) + 1, np.int64)
    return np.frombuffer(buffer, np.int64, count=len(cells) + 1, offset=8 * cells.offset)


def bytes_of(cells: Cells) -> NDArray[np.uint8]:
    """The text of all cells, end to end; positions are those of `offsets_of`."""
    buffer = cells.buffers()[2]
    return np.zeros(0, np.uint8) if buffer is None else np.frombuffer(buffer, np.uint8)


def is_ascii(cells: Cells) -> bool:
    """Whether every sign of the column is: then it is text, and has none of the signs beyond."""
    ends = offsets_of(cells)
    text = bytes_of(cells)[ends[0] : ends[-1]]
    return not len(text) or int(text.max()) < 0x80


def holds(cells: Cells, *sequences: bytes) -> bool:
    """Whether any of these byte sequences stands anywhere in the column: one quick pass before slower ones."""
    ends = offsets_of(cells)
    text = bytes_of(cells)[ends[0] : ends[-1]].tobytes()
    return any(sequence in text for sequence in sequences)


def pointed(cells: Cells, sign: str = ".") -> Cells:
    """The cells with this sign for the point of those that are numbers, as what reads them expects it."""
    if not holds(cells, POINT.encode()):
        return cells
    return contiguous(pc.replace_substring_regex(cells, rf"^(-?\d+){re.escape(POINT)}(\d+)$", rf"\1{sign}\2"))


def lengths_of(cells: Cells) -> NDArray[np.int64]:
    """Bytes per cell; -1 for null."""
    lengths = np.diff(offsets_of(cells))
    return lengths if cells.null_count == 0 else np.where(present(cells), lengths, -1)


def any_of(rows: int, masks: Sequence[Mask]) -> Mask:
    """Where at least one of the masks is true."""
    found = np.zeros(rows, bool)
    for mask in masks:
        found |= mask
    return found


def without(cells: Cells, characters: bytes) -> Cells:
    """The cells without these ASCII characters, wherever they stand."""
    if not holds(cells, *(bytes([character]) for character in characters)):
        return cells
    ends = offsets_of(cells)
    text = bytes_of(cells)[ends[0] : ends[-1]]
    kept = ~np.isin(text, np.frombuffer(characters, np.uint8))
    places = np.concatenate([[0], np.cumsum(kept)])[ends - ends[0]]
    blanks = None if cells.null_count == 0 else pc.is_valid(cells).buffers()[1]
    return pa.LargeStringArray.from_buffers(len(cells), pa.py_buffer(places), pa.py_buffer(text[kept]), blanks)


def plain_spaces(cells: Cells) -> Cells:
    """The cells with the odd spaces of exports (no-break, narrow …) as plain ones."""
    for space in ODD_SPACES:
        if holds(cells, space.encode()):
            cells = contiguous(pc.replace_substring(cells, space, " "))
    return cells


def nulled(values: Any, where: Mask) -> Any:
    """`values`, null also where the mask says so."""
    if not where.any():
        return values
    return contiguous(pc.if_else(pa.array(where), pa.scalar(None, values.type), values))


def rectangle(cells: Cells, width: int) -> tuple[Mask, NDArray[np.uint8]]:
    """The cells of exactly `width` bytes: where they are, and their bytes as a matrix of one row each."""
    where = lengths_of(cells) == width
    chosen = cells if where.all() else picked(cells, where)
    ends = offsets_of(chosen)
    return where, bytes_of(chosen)[ends[0] : ends[-1]].reshape(len(chosen), width)


def cells_from(matrix: NDArray[np.uint8]) -> Cells:
    """The way back from `rectangle`: one cell per row of ASCII bytes."""
    rows, width = matrix.shape
    ends = np.arange(rows + 1, dtype=np.int64) * width
    return pa.LargeStringArray.from_buffers(rows, pa.py_buffer(ends), pa.py_buffer(np.ascontiguousarray(matrix)))


def blank_to_null(cells: Cells) -> Cells:
    return nulled(cells, lengths_of(cells) == 0)


def picked(values: Any, where: Mask) -> Any:
    """The values where the mask is true, as one array."""
    return contiguous(values.filter(pa.array(where)))


def placed(values: Any, where: Mask, replacements: Any) -> Any:
    """`values` with `replacements`, in order, where the mask is true."""
    if not where.any():
        return values
    if pa.types.is_list(values.type):  # which Arrow does not replace
        places = np.arange(len(values))
        places[where] = np.arange(len(values), len(values) + len(replacements))
        return pa.concat_arrays([values, contiguous(replacements)]).take(pa.array(places))
    return contiguous(pc.replace_with_mask(values, pa.array(where), contiguous(replacements)))


def judged(cells: Cells, judge: Callable[[str], Any], type_: Any = TEXT) -> Any:
    """What `judge` says of each cell, asked once per distinct text; None (refused) becomes null.

    For libraries that judge value by value: they see only what the vectorised common case could not decide.
    """
    coded = contiguous(cells.dictionary_encode())
    verdicts = pa.array([judge(text) for text in coded.dictionary.to_pylist()], type_)
    return verdicts.take(coded.indices)
