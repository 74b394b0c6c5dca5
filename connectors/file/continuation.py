"""Continuation lines: rows whose keys are blank take what the row above says, across blocks too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from connectors.file.block import CELL, Block, Damage
from connectors.file.kinds import place_or_fault
from connectors.page import Integers
from mappings.language.read import Each

Flags = npt.NDArray[np.bool_]


@dataclass
class Filling:
    """Running state of one pass: what the last head line (a row that continues nothing) said.

    `broken`: a damaged row stands above that later lines may continue (its line; 0: no row came yet; None: none).
    """

    blank: tuple[int, ...]
    fill: tuple[int, ...]
    numbered: bool
    last: dict[int, str] = field(default_factory=dict)
    count: int = 0  # continuation lines since the last head line
    broken: int | None = 0

    @classmethod
    def of(cls, each: Each | None, columns: Sequence[str], where: str) -> Filling | None:
        """None where the mapping has no `continues`, or where the file has the number column already: an export of
        refused rows, whose lines are filled."""
        if each is None or each.number in columns:
            return None
        blank = tuple(place_or_fault(name, columns, "continues: blank", where, {}) for name in each.blank)
        fill = tuple(place_or_fault(name, columns, "continues: fill", where, {}) for name in each.fill)
        return cls(blank, fill, each.number is not None)

    def over(self, block: Block, raw: Callable[[list[str]], str]) -> Block:
        """The block with filled rows; continuation lines of a damaged row (or of none) are damaged too."""
        table = block.table
        continues = np.ones(table.num_rows, dtype=bool)
        for place in self.blank:
            blank = pc.equal(pc.utf8_trim_whitespace(table.column(place)), "")
            continues &= np.asarray(pc.fill_null(blank, True).to_numpy(zero_copy_only=False))
        lost = self._lost(block, continues)
        damaged = [*block.damaged]
        for at in np.flatnonzero(lost > 0).tolist():
            cells = [str(value) for value in table.slice(at, 1).to_pylist()[0].values()]
            params = {"above": int(lost[at]) - 1}
            damaged.append(Damage(int(block.orders[at]), int(block.lines[at]), "continues", params, raw(cells)))
        damaged.sort(key=lambda one: one.order)
        for place in self.fill:
            filled = self._filled(table.column(place), continues, place)
            table = table.set_column(place, table.column_names[place], filled)
        if self.numbered:
            table = table.append_column(str(table.num_columns), self._numbers(continues))
        kept = lost == 0
        if not kept.all():
            table = table.filter(pa.array(kept))
        return Block(table, block.orders[kept], block.lines[kept], damaged, block.trailers)

    def _lost(self, block: Block, continues: Flags) -> Integers:
        """For each row 0, or 1 + the line of the damaged row above that it may continue (1: nothing stands above)."""
        heads = block.orders[~continues]
        orders = np.concatenate([heads, np.array([one.order for one in block.damaged], dtype=np.int64)])
        marks = np.array([one.line + 1 for one in block.damaged], dtype=np.int64)
        state = np.concatenate([np.zeros(len(heads), dtype=np.int64), marks])
        sorting = np.argsort(orders)
        orders, state = orders[sorting], state[sorting]
        before = np.searchsorted(orders, block.orders) - 1
        known = np.append(state, 0 if self.broken is None else self.broken + 1)  # the last: what came before
        lost = np.where(continues, known[before], 0)
        if len(state):
            self.broken = None if state[-1] == 0 else int(state[-1]) - 1
        return np.asarray(lost, dtype=np.int64)

    def _filled(self, column: pa.ChunkedArray, continues: Flags, place: int) -> pa.ChunkedArray:
        if not len(continues):
            return column
        own = pc.if_else(pa.array(continues), pa.scalar(None, CELL), column)
        seeded = pa.chunked_array([pa.array([self.last.get(place, "")], CELL), *own.chunks], CELL)
        filled = pc.fill_null_forward(seeded).slice(1)
        self.last[place] = filled[-1].as_py()
        return filled

    def _numbers(self, continues: Flags) -> pa.Array:
        """0 on a head line, then 1, 2 … until the next."""
        places = np.arange(1, len(continues) + 1)
        heads = np.maximum.accumulate(np.where(continues, 0, places))
        numbers = np.where(heads > 0, places - heads, places + self.count)
        if len(numbers):
            self.count = int(numbers[-1])
        return pc.cast(pa.array(numbers), CELL)
