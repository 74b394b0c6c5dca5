"""Source columns as a mapping names them: header, `Header#2`, position from 1, `$part` of the file's name, derived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mappings.codecs.cells import (
    TEXT,
    Cells,
    cells_of,
    holds,
    is_ascii,
    judged,
    mask_of,
    placed,
    pointed,
    repeat,
    trimmed,
)
from mappings.codecs.formula import names_in
from mappings.errors import ConfigurationError
from mappings.language.derived import Derived, is_part, roots
from mappings.language.field import FieldMap, Part

if TYPE_CHECKING:
    from mappings.language.flow import Flow, Into
    from mappings.language.strict import Column
    from mappings.language.text import Text

UNSTORABLE = "\0"
"""A cell that cannot be text (bytes that are not UTF-8, lone surrogates) becomes this: it is refused as not_text."""
SHOWN = "\u2400"
"""What stands for UNSTORABLE where a refused row is kept and shown: no database stores NUL."""


def resolve_column(frame_columns: Sequence[str], column: Column) -> str | None:
    """The name under which the source has the column; None where it has none (variables are not in the source)."""
    if isinstance(column, int):
        return frame_columns[column - 1] if 1 <= column <= len(frame_columns) else None
    if column in frame_columns:
        return column
    if column.isascii() and column.isdigit():  # a position where only text can stand: in `when`, in a formula
        return resolve_column(frame_columns, int(column))
    first = column.removesuffix("#1")
    return first if first != column and first in frame_columns else None


def columns_needed(into: Into) -> list[Column]:
    """Every column of the source (and `$variable`) that the into reads: key, conditions, fields; in that order, once
    each."""
    found: list[Column] = [root for column in (*into.key, *into.when) for root in roots(column)]
    for field_map in into.fields.values():
        found += field_columns(field_map)
    return list(dict.fromkeys(found))


def variables_used(flow: Flow) -> set[str]:
    """The parts of the file's name that the flow's rows depend on."""
    named = {str(column)[1:] for into in flow.into for column in columns_needed(into) if is_part(column)}
    records = flow.read.records
    uses = () if records is None else (records.use,) if isinstance(records.use, str) else records.use
    return named | {use[1:] for use in uses if use.startswith("$")}


def field_columns(field_map: FieldMap) -> list[Column]:
    """The columns of the source that one field reads; none for a constant."""
    found: list[Column] = [*source_columns(field_map)]
    parts = (field_map.currency, field_map.unit, field_map.region)
    found += [part.from_ for part in parts if isinstance(part, Part) and part.from_ is not None]
    return [root for column in found for root in roots(column)]


def source_columns(text: Text) -> Sequence[Column]:
    """The columns that the value itself comes from (not its currency or unit), derived ones as such."""
    return names_in(text.compute) if isinstance(text, FieldMap) and text.compute is not None else text.columns


def raw_cells(frame: pd.DataFrame, column: Column, variables: Mapping[str, str], sign: str = ".") -> Cells:
    """The column's cells as they are: '' is blank, null means that the row does not have the column.

    `sign`: the decimal sign that who asks reads numbers with; cells that are numbers have it (see `cells.POINT`).
    Raises ConfigurationError for a `$variable` that the file's name does not give.
    """
    if isinstance(column, Derived):
        from mappings.codecs.derived import derived_cells  # which is made of raw cells

        return derived_cells(frame, column, variables, sign)
    if is_part(column) and column not in frame.columns:
        name = str(column)[1:]
        if name not in variables:
            given = ", ".join(f"${part}" for part in variables) or "none"
            raise ConfigurationError(
                f"the mapping names {column}, which the file's name does not give (it gives: {given})",
                todo="Name the part in `read: files:`, for example CLI_{company}_{day:%Y%m%d}.csv.",
            )
        return repeat(variables[name], len(frame))
    there = isinstance(column, str) and column in frame.columns  # asked first: listing all names costs more
    found = column if there else resolve_column(tuple(frame.columns), column)
    if found is None:
        return repeat(None, len(frame))
    cells = cells_of(frame[found])
    return cells if is_ascii(cells) else pointed(_readable(cells), sign)


def trimmed_cells(frame: pd.DataFrame, column: Column, variables: Mapping[str, str], sign: str = ".") -> Cells:
    """`raw_cells` without white space (Unicode's, so no-break spaces too) and what is invisible at either end."""
    return trimmed(raw_cells(frame, column, variables, sign))


def unstorable(cells: Cells) -> Cells | None:
    """Where a cell holds what no text column can hold (NUL); None where nothing does, found in one quick pass."""
    return mask_of(pc.match_substring(cells, UNSTORABLE)) if holds(cells, b"\0") else None


def _readable(cells: Cells) -> Cells:
    try:
        cells.validate(full=True)
    except pa.ArrowInvalid:
        unread = mask_of(judged(cells.view(pa.large_binary()), _is_damaged, pa.bool_()))
        return placed(cells, unread, repeat(UNSTORABLE, int(unread.sum()))).cast(TEXT)
    return cells


def _is_damaged(raw: bytes | str) -> bool:
    try:
        _ = raw.decode() if isinstance(raw, bytes) else raw
    except UnicodeDecodeError:
        return True
    return False
