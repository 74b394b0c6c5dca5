"""From the blocks that readers make of a file to pages: rows are numbered, and cut where the page size says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from connectors.page import DAMAGED_COLUMNS, Integers, Page, none_damaged

CELL = pa.large_string()
"""The type of every cell: what pandas keeps behind string[pyarrow], so that nothing is copied."""


MOST_BLANK = 1_000_000


@dataclass(frozen=True)
class Damage:
    """A line without the right shape; `order` counts from 0 among all rows of its block, `line` from 1 in the file."""

    order: int
    line: int
    code: str
    params: dict[str, Any]
    raw: str
    answers: str = ""  # of an export of refused rows: the held rows that the line was written for


@dataclass(frozen=True)
class Block:
    """Rows as they stand in a piece of the file.

    `table`: the good rows, columns named by position ("0", "1" …); `orders`: the place of each of them, from 0, among
    all rows of the block, damaged ones included; `lines`: the physical line of each; `damaged` in the file's order.
    """

    table: pa.Table
    orders: Integers
    lines: Integers
    damaged: list[Damage] = field(default_factory=list)
    trailers: list[list[str]] = field(default_factory=list)  # cells of trailer lines, which are no rows

    @property
    def total(self) -> int:
        return int(self.table.num_rows) + len(self.damaged)


def empty_table(width: int) -> pa.Table:
    return pa.table({str(place): pa.array([], CELL) for place in range(width)})


def renumber(block: Block, kept: np.ndarray[Any, Any], damaged: Sequence[Damage]) -> Block:
    """The block without some of its rows: `kept` masks the good ones, `damaged` are those that stay."""
    table = block.table.filter(pa.array(kept)) if not kept.all() else block.table
    orders, lines = block.orders[kept], block.lines[kept]
    places = np.sort(np.concatenate([orders, np.array([one.order for one in damaged], dtype=np.int64)]))
    moved = [replace(one, order=int(np.searchsorted(places, one.order))) for one in damaged]
    return Block(table, np.searchsorted(places, orders).astype(np.int64), lines, moved, block.trailers)


def without_blank_end(blocks: Iterable[Block]) -> Iterator[Block]:
    """Without the rows of nothing but blank cells at the end: spreadsheets leave them there by the ten thousand.

    Blank rows before a row that says something or is damaged stay; so do more of them than MOST_BLANK, which are not
    kept waiting.
    """
    held: list[Block] = []
    for block in blocks:
        said = _said(block)
        if said or block.damaged or sum(one.total for one in held) > MOST_BLANK:
            yield from held
            held = []
        lost = block.table.num_rows - said
        if said or block.damaged or block.trailers:
            yield Block(
                block.table.slice(0, said), block.orders[:said], block.lines[:said], block.damaged, block.trailers
            )
        if lost:
            held.append(Block(block.table.slice(said), np.arange(lost, dtype=np.int64), block.lines[said:]))


def _said(block: Block) -> int:
    """How many rows of the table stand up to the last that is damaged or not blank."""
    broken = block.damaged[-1].order if block.damaged else -1
    after = int(np.searchsorted(block.orders, broken))
    blank = np.ones(block.table.num_rows, dtype=bool)
    blank[:after] = False
    for column in block.table.columns:
        blank &= np.asarray(pc.equal(column, "").to_numpy(zero_copy_only=False))
        if not len(blank) or not blank[-1]:
            return len(blank)
    filled = np.flatnonzero(~blank)
    return int(filled[-1]) + 1 if len(filled) else 0


def paginate(blocks: Iterable[Block], columns: Sequence[str], rows: int) -> Iterator[Page]:
    """Pages of `rows` consecutive row numbers each, whatever the size of the blocks."""
    pending: list[tuple[pa.Table, Integers, Integers]] = []
    broken: list[tuple[int, Damage]] = []
    seen, first = 0, 0  # rows numbered so far; the number before the page's first
    for block in blocks:
        numbers = block.orders + (seen + 1)
        table, lines = block.table, block.lines
        waiting = [(seen + 1 + one.order, one) for one in block.damaged]
        seen += block.total
        while seen >= first + rows:
            cut = int(np.searchsorted(numbers, first + rows, side="right"))
            pending.append((table.slice(0, cut), numbers[:cut], lines[:cut]))
            here = [one for one in waiting if one[0] <= first + rows]
            yield _page(pending, broken + here, columns)
            table, numbers, lines = table.slice(cut), numbers[cut:], lines[cut:]
            waiting = waiting[len(here) :]
            pending, broken, first = [], [], first + rows
        pending.append((table, numbers, lines))
        broken += waiting
    if seen > first:
        yield _page(pending, broken, columns)


def _page(
    parts: list[tuple[pa.Table, Integers, Integers]], broken: list[tuple[int, Damage]], columns: Sequence[str]
) -> Page:
    table = pa.concat_tables([part[0] for part in parts]).rename_columns(list(columns))
    frame = table.to_pandas(types_mapper={CELL: pd.StringDtype("pyarrow")}.get)
    frame.index = pd.Index(np.concatenate([part[1] for part in parts]), dtype="int64", name="row")
    return Page(frame, np.concatenate([part[2] for part in parts]), damaged_frame(broken))


def damaged_frame(broken: list[tuple[int, Damage]]) -> pd.DataFrame:
    """The frame of damaged lines of a page, from (row number, damage)."""
    if not broken:
        return none_damaged()
    return pd.DataFrame(
        {
            "row": pd.array([number for number, _ in broken], dtype="int64"),
            "line": pd.array([one.line for _, one in broken], dtype="int64"),
            "code": pd.array([one.code for _, one in broken], dtype="string[pyarrow]"),
            "params": pd.array([orjson.dumps(one.params).decode() for _, one in broken], dtype="string[pyarrow]"),
            "raw": pd.array([one.raw for _, one in broken], dtype="string[pyarrow]"),
            "answers": pd.array([one.answers for _, one in broken], dtype="string[pyarrow]"),
        },
        columns=list(DAMAGED_COLUMNS),
    )
