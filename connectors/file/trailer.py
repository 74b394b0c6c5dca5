"""The trailer of a file: a last line that says how many rows there are, or what a column adds up to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.file.block import Block
from connectors.file.kinds import Spot, place_or_fault
from mappings.codecs.cells import POINT, Cells, Mask, blank_to_null, contiguous, matches, nulled, pointed, present
from mappings.codecs.numbers import canonical
from mappings.errors import RunStopped
from mappings.language.read import Trailer

SUM = pa.decimal256(60, 30)
"""30 digits on each side of the point, and room for the sum of any number of rows."""
EXACT = Context(prec=76)
"""For sums: Python's own context rounds to 28 digits."""
_FITS = r"^-?0*\d{0,30}(?:\.\d{0,30}0*)?$"


@dataclass
class Totals:
    """Running totals of one pass, compared with the trailer at its end.

    Damaged lines count as rows. A sum is compared only if every row could be added up: what a damaged line, or a cell
    that is no number, would add is not known.
    """

    where: str
    rows_at: int | None
    sums: dict[int, int]  # place of the column in rows: place of its sum in the trailer
    names: dict[int, str]
    rows: int = 0
    added: dict[int, Decimal] = field(default_factory=dict)
    unread: int = 0  # rows without an amount that could be read, for one sum or more
    first: int = 0  # the line of the first of them
    unsure: set[int] = field(default_factory=set)  # the sums that lack some amount
    last: list[str] | None = None

    @classmethod
    def of(
        cls, trailer: Trailer | None, columns: Sequence[str], where: str, spots: Mapping[Spot, int]
    ) -> Totals | None:
        if trailer is None:
            return None

        def place(column: int | str | Spot, key: str) -> int:
            return place_or_fault(column, columns, f"trailer: {key}", where, spots)

        rows_at = place(trailer.rows, "rows") if trailer.rows is not None else None
        sums = {place(name, "sum"): place(at, "sum") for name, at in trailer.sum.items()}
        return cls(where, rows_at, sums, {place(name, "sum"): name for name in trailer.sum})

    def add(self, block: Block, sign: str | None) -> None:
        """`sign`: the file's decimal sign, None where it is not known."""
        self.rows += block.total
        if block.trailers:
            self.last = block.trailers[-1]
        strange = np.zeros(block.table.num_rows, dtype=bool)
        for place in self.sums:
            total, unread = add_up(block.table.column(place), sign)
            self.added[place] = EXACT.add(self.added.get(place, Decimal(0)), total)
            if block.damaged or unread.any():
                self.unsure.add(place)
                strange |= unread
        lines = [*block.lines[strange][:1].tolist(), *[one.line for one in block.damaged[:1]]]
        if self.sums and lines:
            self.first = self.first or min(lines)
            self.unread += int(strange.sum()) + len(block.damaged)

    def check(self, sign: str | None) -> dict[str, Any] | None:
        """Which sums could not be compared, as the notice `trailer` tells it; RunStopped if the trailer is missing or
        differs."""
        if self.last is None:
            raise RunStopped(
                f"the file has no trailer line after its {self.rows} rows: it may be cut short", where=self.where,
                todo="ask for the file again; if the export has no trailer, remove `trailer` from the mapping",
            )
        if self.rows_at is not None:
            self._compare("row count", self.rows_at, Decimal(self.rows), sign)
        for place, at in self.sums.items():
            if place not in self.unsure:
                self._compare(f"sum of {self.names[place]}", at, self.added.get(place, Decimal(0)), sign)
        if not self.unsure:
            return None
        columns = ", ".join(self.names[place] for place in self.sums if place in self.unsure)
        return {"where": self.where, "columns": columns, "unread": self.unread, "rows": self.rows, "line": self.first}

    def _compare(self, what: str, at: int, found: Decimal, sign: str | None) -> None:
        told = self.last[at].strip() if self.last is not None and at < len(self.last) else ""
        total, unread = add_up(pa.chunked_array([[told]], pa.large_string()), sign)
        if not told or unread.any() or total != found:
            self._differs(what, told, f"{found.normalize(EXACT):f}")

    def _differs(self, what: str, told: str, found: str) -> None:
        raise RunStopped(
            f"the trailer tells a {what} of {told.replace(POINT, '.')!r}, the file has {found}", where=self.where,
            todo="the file is cut short or was changed: ask for it again",
        )


def add_up(column: pa.ChunkedArray, sign: str | None) -> tuple[Decimal, Mask]:
    """The exact sum of a column of text, and the cells that are left out of it, for they are no numbers.

    Cells are read as the codec `decimal` reads them; blank ones add nothing. A number that only has the other decimal
    sign is one too: a field may read its column with a sign of its own.
    """
    cells = pointed(blank_to_null(contiguous(pc.utf8_trim_whitespace(column))), sign or ".")
    numbers = canonical(cells, sign)
    if sign is not None and numbers.null_count > cells.null_count:
        numbers = contiguous(pc.coalesce(numbers, canonical(cells, None)))
    try:
        amounts = numbers.cast(SUM)
    except pa.ArrowInvalid:  # at least one has more digits than any field keeps
        numbers = _fitting(numbers)
        amounts = numbers.cast(SUM)
    return Decimal(pc.sum(amounts, min_count=0).as_py()), present(cells) & ~present(numbers)


def _fitting(numbers: Cells) -> Cells:
    fitting: Cells = nulled(numbers, ~matches(numbers, _FITS))
    return fitting
