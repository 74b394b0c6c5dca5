"""Where a field's raw text comes from, and what the mapping does to it before any codec sees it.

::

    from | first | join ─▶ trim ─▶ html ─▶ replace ─▶ split, part ─▶ extract ─▶ pattern ─▶ values ─▶ codec
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mappings.codecs.cells import (
    TEXT,
    Cells,
    Mask,
    any_of,
    blank_to_null,
    contiguous,
    judged,
    nulled,
    picked,
    placed,
    present,
    repeat,
    trimmed,
)
from mappings.codecs.columns import raw_cells, source_columns
from mappings.codecs.conditions import compiled, matching
from mappings.codecs.text import plain
from mappings.language.derived import in_source

if TYPE_CHECKING:
    from mappings.language.field import FieldMap
    from mappings.language.text import Text


def source_parts(frame: pd.DataFrame, text: Text, variables: Mapping[str, str], sign: str = ".") -> list[Cells]:
    """The source columns of the field, trimmed unless the mapping says otherwise; `sign`: see `raw_cells`."""
    return [_trimmed(raw_cells(frame, column, variables, sign), text) for column in source_columns(text)]


def source_cells(parts: Sequence[Cells], text: Text) -> Cells:
    """One raw text per row: '' is blank, null says that the row has none of the columns."""
    if len(parts) == 1:
        return parts[0]
    filled = [blank_to_null(part) for part in parts]
    said = [present(part) for part in parts]
    if text.join is None:
        return nulled(contiguous(pc.coalesce(*filled).fill_null("")), ~any_of(len(filled[0]), said))
    # A constant, or a part of the file's name, says nothing of a row that has none of the columns beside it.
    own = [there for there, column in zip(said, text.columns, strict=True) if in_source(column)]
    absent = ~any_of(len(filled[0]), own or said)
    # Arrow loses the rows of which every part is null, so they are left out of the joining.
    some = any_of(len(absent), [present(part) for part in filled])
    between = pa.scalar(text.join.with_, TEXT)
    joined = pc.binary_join_element_wise(*[picked(part, some) for part in filled], between, null_handling="skip")
    return nulled(placed(repeat("", len(some)), some, joined), absent)


def prepared(cells: Cells, text: Text) -> Cells:
    """The text after html and replace; splitting and what follows it work on single values."""
    if text.html:
        cells = _trimmed(plain(cells), text)
    for found, instead in (text.replace or {}).items():
        cells = pc.replace_substring(cells, found, instead)
    return _trimmed(cells, text) if text.replace else cells


def single(cells: Cells, text: Text) -> Cells:
    """One value out of a cell that holds several (`split` with `part`), or out of a longer text (`extract`)."""
    if text.split is not None and text.part is not None:
        cells = judged(cells, _part_taker(text.split, text.part))
    return extracted(cells, text)


def extracted(cells: Cells, text: Text) -> Cells:
    if text.extract is None:
        return cells
    pattern = compiled(text.extract)

    def first_group(cell: str) -> str:
        found = pattern.search(cell)
        return "" if found is None else (found.group(1 if pattern.groups else 0) or "").strip()

    return judged(cells, first_group)


def mismatched(cells: Cells, field_map: FieldMap) -> Mask:
    """Where the text does not match the mapping's pattern whole."""
    if field_map.pattern is None:
        return np.zeros(len(cells), bool)
    return present(cells) & ~matching(cells, field_map.pattern)


def split_text(text: str, separator: str) -> list[str]:
    r"""The values in one cell, trimmed, empty ones left out; `\` before the separator makes it part of a value."""
    if "\\" not in text:
        pieces = text.split(separator)
    else:
        held = re.split(r"(?<!\\)" + re.escape(separator), text)
        pieces = [piece.replace("\\" + separator, separator) for piece in held]
    return [piece for piece in map(str.strip, pieces) if piece]


def joined_text(values: Sequence[str], separator: str) -> str:
    """The way back from `split_text`."""
    return separator.join(value.replace(separator, "\\" + separator) for value in values)


def _part_taker(separator: str, part: int) -> Callable[[str], str]:
    at = part - 1 if part > 0 else part

    def take(text: str) -> str:
        pieces = split_text(text, separator)
        return pieces[at] if -len(pieces) <= at < len(pieces) else ""

    return take


def _trimmed(cells: Cells, text: Text) -> Cells:
    return trimmed(cells) if text.trim else cells


