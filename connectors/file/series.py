"""What the mapping says of rows beyond their own line: record types, continuation lines, the trailer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from connectors.file.block import Block, renumber
from connectors.file.continuation import Filling
from connectors.file.kinds import Kinds, Spot, kinds_of
from connectors.file.trailer import Totals
from connectors.page import Notices
from mappings.language.read import Read


@dataclass(frozen=True)
class Series:
    """Applied to the blocks of any reader, in this order; each pass over the file has its own running state.

    `notices`: what a pass told at its end: under `trailer`, which of its sums could not be compared.
    """

    read: Read = field(default_factory=Read)
    columns: tuple[str, ...] = ()
    kinds: Kinds = field(default_factory=Kinds)
    spots: Mapping[Spot, int] = field(default_factory=dict)
    notices: Notices = field(default_factory=dict)

    @classmethod
    def of(
        cls, read: Read, columns: Sequence[str], where: str, spots: Mapping[Spot, int] | None = None, *,
        export: bool = False,
    ) -> Series:
        """ConfigurationError if the mapping names a column that is not there.

        `spots`: the place, among the cells of a block, of each [start, width] that the mapping names.
        `export`: these are refused rows that come back, and have no trailer.
        """
        read = read.model_copy(update={"trailer": None}) if export else read
        series = cls(read, tuple(columns), kinds_of(read, columns, where, spots or {}), spots or {})
        Filling.of(read.continues, columns, where)
        Totals.of(read.trailer, columns, where, series.spots)
        return series

    @property
    def all_columns(self) -> tuple[str, ...]:
        """The file's columns, and the one that `continues` adds."""
        each = self.read.continues
        if each is None or each.number is None or each.number in self.columns:
            return self.columns
        return (*self.columns, each.number)

    def over(
        self, blocks: Iterable[Block], raw: Callable[[list[str]], str], where: str, detected: Mapping[str, str]
    ) -> Iterator[Block]:
        """The blocks with this flow's rows only; RunStopped at the end if the trailer tells of other rows.

        `detected`: the source's own.
        """
        sign = self.read.decimal or detected.get("decimal")
        filling = Filling.of(self.read.continues, self.columns, where)
        totals = Totals.of(self.read.trailer, self.columns, where, self.spots)
        for block in blocks:
            mine = self._of_this_flow(block)
            if filling is not None:
                mine = filling.over(mine, raw)
            if totals is not None:
                totals.add(mine, sign)
            yield mine
        if totals is not None and (unsure := totals.check(sign)) is not None:
            self.notices["trailer"] = unsure

    def _of_this_flow(self, block: Block) -> Block:
        if self.kinds.all_rows:
            return block
        rows, ends = self.kinds.masks(block.table)
        last = block.table.filter(ends).to_pylist() if ends.any() else []
        found = [*block.trailers, *([list(row.values()) for row in last])]
        mine = renumber(block, rows, block.damaged) if not np.all(rows) else block
        return replace(mine, trailers=found)
