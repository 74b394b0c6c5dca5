"""Cells that a spreadsheet would execute get an apostrophe in exports, and lose exactly that one when they come back.

::

    =1+1            '=1+1           +33 6 39 98 42  '+33 6 39 98 42     a spreadsheet would make a number of it
    '=1+1           ''=1+1          -12,50          -12,50              a plain negative number stays one
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

OWN_PREFIX = "navette_"
"""Columns of an export that the source does not have: why a row was refused, and where it stood."""
MARK = "#navette"
"""The cell between a row's own cells and the reasons, where a file has no headers."""
ANSWERS, LINE = f"{OWN_PREFIX}id", f"{OWN_PREFIX}raw"
"""Of these columns, the two that are read again: which held rows a row answers, and the line it was, if damaged."""
REASONS = (*[f"{OWN_PREFIX}{name}" for name in ("reason", "field", "line", "source")], ANSWERS, LINE)
"""In the order in which an export has them."""
KEPT = frozenset({ANSWERS, LINE})

_NUMBERS = re.compile(r"\d+( \d+)*")

_STARTS = r"[=+\-@\t\r\n＝＋－＠]"
_NEGATIVE = r"^-[0-9][0-9 .,\x{2060}]*$"  # mappings.codecs.cells.POINT is of a number too


def are_numbers(text: str) -> bool:
    """Whether a cell of ANSWERS is as it was written: numbers with a blank between."""
    return _NUMBERS.fullmatch(text) is not None


def neutralised(cells: pa.Array) -> pa.Array:
    """The cells as they stand in an export; `undo_neutral` gives back what came in, for every text."""
    marked = pc.replace_substring_regex(cells, rf"^('*{_STARTS})", r"'\1")
    return pc.if_else(pc.match_substring_regex(cells, _NEGATIVE), cells, marked)


def undo_neutral(cells: pa.Array) -> pa.Array:
    """The cells as they were before `neutralised`."""
    return pc.replace_substring_regex(cells, rf"^'('*{_STARTS})", r"\1")


def undone(table: pa.Table) -> pa.Table:
    return pa.table({name: undo_neutral(table.column(name)) for name in table.column_names})
