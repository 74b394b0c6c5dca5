"""The trailer of a file: a last line that says how many rows there are, or what a column adds up to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

import pyarrow as pa
import pyarrow.compute as pc

from connectors.file.block import Block
from connectors.file.kinds import Spot, place_or_fault
from mappings.errors import RunStopped
from mappings.language.read import Trailer

SUM = pa.decimal128(38, 6)


@dataclass
class Totals:
    """Running totals of one pass, compared with the trailer at its end.

    Damaged lines count as rows. A sum is compared only if every row could be added up: a damaged line, or a cell that
    is no number, has its own reject already.
    """

    where: str
    rows_at: int | None
    sums: dict[int, int]  # place of the column in rows: place of its sum in the trailer
    names: dict[int, str]
    rows: int = 0
    added: dict[int, Decimal] = field(default_factory=dict)
    unsure: bool = False
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

    def add(self, block: Block) -> None:
        self.rows += block.total
        self.unsure = self.unsure or bool(block.damaged)
        if block.trailers:
            self.last = block.trailers[-1]
        for place in self.sums:
            total = add_up(block.table.column(place))
            if total is None:
                self.unsure = True
            else:
                self.added[place] = self.added.get(place, Decimal(0)) + total

    def check(self) -> None:
        """RunStopped if the trailer is missing or tells of other rows."""
        if self.last is None:
            raise RunStopped(
                f"the file has no trailer line after its {self.rows} rows: it may be cut short", where=self.where,
                todo="ask for the file again; if the export has no trailer, remove `trailer` from the mapping",
            )
        if self.rows_at is not None:
            told = _number(_cell(self.last, self.rows_at))
            if told is None or told != self.rows:
                self._differs("row count", _cell(self.last, self.rows_at), str(self.rows))
        if self.unsure:
            return
        for place, at in self.sums.items():
            told, found = _number(_cell(self.last, at)), self.added.get(place, Decimal(0))
            if told is None or told != found:
                self._differs(f"sum of {self.names[place]}", _cell(self.last, at), f"{found.normalize():f}")

    def _differs(self, what: str, told: str, found: str) -> None:
        raise RunStopped(
            f"the trailer tells a {what} of {told!r}, the file has {found}", where=self.where,
            todo="the file is cut short or was changed: ask for it again",
        )


def _cell(cells: list[str], place: int) -> str:
    return cells[place].strip() if place < len(cells) else ""


_GROUPS = r"[\s\u00a0\u202f']"


def _number(text: str) -> Decimal | None:
    """A number with either decimal sign: the last of the two signs is the decimal one."""
    plain = re.sub(_GROUPS, "", text)
    comma = plain.rfind(",") > plain.rfind(".")
    plain = plain.replace(".", "").replace(",", ".") if comma else plain.replace(",", "")
    try:
        return Decimal(plain)
    except InvalidOperation:
        return None


def add_up(column: pa.ChunkedArray) -> Decimal | None:
    """The exact sum of a column of text with either decimal sign; blanks are zero; None if some cell is no number."""
    plain = pc.replace_substring_regex(column, r"[\s\x{00a0}\x{202f}']", "")
    plain = pc.replace_substring_regex(plain, r"^(.*),(\d*)$", r"\1.\2")  # the last comma is the decimal sign
    plain = pc.replace_substring_regex(plain, r"[.,](\d+[.,])", r"\1")
    plain = pc.if_else(pc.equal(plain, ""), "0", plain)
    if not pc.all(pc.match_substring_regex(plain, r"^[+-]?\d{1,30}(\.\d{0,6})?$"), min_count=0).as_py():
        return None
    try:
        total = pc.sum(pc.cast(pc.replace_substring_regex(plain, r"^\+|\.$", ""), SUM), min_count=0).as_py()
    except pa.ArrowInvalid:
        return None
    return Decimal(total)
