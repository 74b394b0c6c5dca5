"""Several record types in one file: which rows are the flow's, which are not, and which is the trailer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.page import place_of
from mappings.codecs.cells import contiguous, pointed
from mappings.errors import ConfigurationError
from mappings.language.read import Read

Spot = tuple[int, int]
"""[start, width] in a fixed width line."""

Kind = Literal["row", "other", "trailer"]


@dataclass(frozen=True)
class Kinds:
    """Told by one column of the row: its value is one of `use`, or `end` in the trailer's column."""

    by: int | None = None  # place from 0
    use: tuple[str, ...] = ()
    end_by: int | None = None
    end: str = ""

    @property
    def all_rows(self) -> bool:
        return self.by is None and self.end_by is None

    def of(self, cells: Sequence[bytes]) -> Kind:
        """The kind of a row in any number of cells; one too short to tell is a row, and will be a damaged one."""
        if self.end_by is not None and self.end_by < len(cells) and cells[self.end_by].strip() == self.end.encode():
            return "trailer"
        if self.by is not None and self.by < len(cells):
            value = cells[self.by].strip()
            return "row" if any(value == use.encode() for use in self.use) else "other"
        return "row"

    def passes(self, cells: list[bytes]) -> bool:
        return self.of(cells) != "row"

    def masks(self, table: pa.Table) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """(rows of this flow, trailers), one bool per row of the table."""
        ends = np.zeros(table.num_rows, dtype=bool)
        if self.end_by is not None:
            ends = _equal(table.column(self.end_by), (self.end,))
        rows = ~ends
        if self.by is not None:
            rows &= _equal(table.column(self.by), self.use)
        return rows, ends


def _equal(column: Any, values: tuple[str, ...]) -> np.ndarray[Any, Any]:
    trimmed = pointed(contiguous(pc.utf8_trim_whitespace(column)))
    found = pc.is_in(trimmed, value_set=pa.array(values, trimmed.type))
    return np.asarray(pc.fill_null(found, False).to_numpy(zero_copy_only=False))


def kinds_of(read: Read, columns: Sequence[str], where: str, spots: Mapping[Spot, int]) -> Kinds:
    """From `records:` and `trailer:` of the mapping; ConfigurationError if a column they name is not there."""
    by = end_by = None
    if read.records is not None:
        by = place_or_fault(read.records.by, columns, "records: by", where, spots)
    if read.trailer is not None:
        end_by = place_or_fault(read.trailer.by, columns, "trailer: by", where, spots)
    use = read.records.use if read.records is not None else ()
    return Kinds(by, (use,) if isinstance(use, str) else tuple(use), end_by, read.trailer.is_ if read.trailer else "")


def place_or_fault(
    column: int | str | Spot, columns: Sequence[str], key: str, where: str, spots: Mapping[Spot, int]
) -> int:
    """The place of a column among a row's cells; ConfigurationError names the key that asks for it."""
    if isinstance(column, tuple) and column not in spots:
        raise ConfigurationError(
            f"`{key}` is [start, width]: only fixed width files have that", where=where,
            todo="name the column, or give its position from 1",
        )
    place = spots[column] if isinstance(column, tuple) else place_of(column, columns)
    if place is None:
        raise ConfigurationError(
            f"`{key}` names the column {column!r}, which the file does not have", where=where,
            todo=f"its columns are: {', '.join(columns[:40])}",
        )
    return place
