"""Delimited text of any size, in bounded memory: blocks of whole records go to Arrow's own reader as plain text.

::

    bytes ─ encoding ─▶ UTF-8 blocks ─ scan ─▶ records ─┬─ plain ─────────────▶ pyarrow.csv ─▶ Block
                                                        ├─ odd but whole ─ rewritten ─┘  │
                                                        └─ damaged ──────────────────────┴▶ Damage
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from connectors.file.block import CELL, Block, Damage, empty_table, paginate, without_blank_end
from connectors.file.dialect import Layout
from connectors.file.encoding import readable
from connectors.file.entities import restored, restored_text, stand_ins
from connectors.file.lines import NOTHING, too_long
from connectors.file.neutral import ANSWERS, OWN_PREFIX, are_numbers, undone
from connectors.file.record import judge
from connectors.file.scan import Flags, Records, cut
from connectors.file.series import Series
from connectors.file.spoilt import spoilt, why_spoilt
from connectors.page import PAGE_ROWS, Integers, Notices, Page
from mappings.errors import SourceUnreadable

BLOCK_BYTES = 1 << 20


@dataclass
class _Odd:
    """Records of a block that Arrow does not read; all by place among its records."""

    counted: Flags  # which records are rows of this flow
    refused: dict[int, tuple[str, dict[str, Any]]]
    mended: dict[int, list[bytes]] = field(default_factory=dict)
    trailers: list[list[str]] = field(default_factory=list)


@dataclass(frozen=True)
class DelimitedSource:
    """A delimited file with a known layout; `series` is what the mapping says of rows beyond their own line."""

    path: Path
    layout: Layout
    series: Series = field(default_factory=Series)
    block_bytes: int = BLOCK_BYTES

    @property
    def columns(self) -> tuple[str, ...]:
        return self.series.all_columns

    @property
    def detected(self) -> dict[str, str]:
        return self.layout.detected

    @property
    def notices(self) -> Notices:
        return self.series.notices

    def pages(self, rows: int = PAGE_ROWS) -> Iterator[Page]:
        try:
            blocks = self._blocks()
            if self.series.read.continues is None:  # there a blank row is a line of the row above
                blocks = without_blank_end(blocks)
            yield from paginate(self.series.over(blocks, self._raw, str(self.path), self.detected), self.columns, rows)
        except OSError as error:
            raise SourceUnreadable(
                f"reading failed: {error.strerror or error}", where=str(self.path), todo="check the file and the disk"
            ) from error

    def _raw(self, cells: list[str]) -> str:
        """A good row as a line of text again, for a row that is refused after all."""
        return self.layout.grammar.written([cell.encode() for cell in cells]).decode().rstrip("\n")

    def _blocks(self) -> Iterator[Block]:
        layout = self.layout
        carried, skip, line = b"", layout.body, layout.lines
        for chunk in layout.blocks(self.path, self.block_bytes):
            if skip >= len(chunk):
                skip -= len(chunk)
                continue
            text = carried + chunk[skip:] if carried or skip else chunk
            skip = 0
            block, used, lines = self._block(text, line, final=False)
            carried, line = text[used:], line + lines
            too_long(len(carried), self.path, line + 1)
            yield block
        if carried:
            yield self._block(carried, line, final=True)[0]

    def _block(self, text: bytes, line: int, *, final: bool) -> tuple[Block, int, int]:
        """The rows of a piece of text that begins at physical line `line` + 1; bytes and lines that it told."""
        kinds = self.series.kinds
        for careful in (False, True):
            records = cut(
                text, self.layout.grammar, self.layout.width, final=final, passes=kinds.passes, careful=careful
            )
            block = self._read(text, records, line)
            if block is not None:
                return block, records.used, records.lines
        raise AssertionError("the careful reading decides every line")

    def _read(self, text: bytes, records: Records, line: int) -> Block | None:
        """None if a record over several lines has not the right width: then its lines must be judged one by one."""
        layout, count = self.layout, len(records.starts)
        unreadable = spoilt(text, records.starts, records.ends, records.used)
        left_out = sorted({*records.refused, *unreadable})
        plain = np.ones(count, dtype=bool)
        plain[left_out] = False
        table, misfits = self._parse(_plain_text(text, records, left_out), int(plain.sum()))
        places = np.flatnonzero(plain)
        fits = np.ones(len(places), dtype=bool)
        fits[list(misfits)] = False
        found = {int(places[at]): width for at, width in misfits.items()}
        odd = _Odd(np.ones(count, dtype=bool), dict(records.refused))
        for place in (*found, *unreadable):
            if not self._settle(text, records, place, found.get(place), odd):
                return None
        orders = np.cumsum(odd.counted) - 1
        damaged = [
            Damage(
                int(orders[place]), line + int(records.first[place]) + 1, code, params,
                *self._as_it_came(text[records.starts[place] : records.ends[place]]),
            )
            for place, (code, params) in sorted(odd.refused.items())
        ]
        good = places[fits]
        if odd.mended:
            table, good = _with_mended(table, good, odd.mended)
        if layout.html and stand_ins(text):
            table = restored(table)
        if layout.own is not None:
            table = undone(table.select(layout.own))
        return Block(table, orders[good], records.first[good] + (line + 1), damaged, odd.trailers)

    def _settle(self, text: bytes, records: Records, place: int, width: int | None, odd: _Odd) -> bool:
        """What becomes of a record of another width (None: of one whose bytes are no text); False: of several lines."""
        layout, kinds = self.layout, self.series.kinds
        start, end = int(records.starts[place]), int(records.ends[place])
        content = text[start:end]
        if not content.strip(NOTHING):
            odd.counted[place] = False
            return True
        if kinds.all_rows and not layout.grammar.has_marks(content):  # the common case needs no second look
            expected = {"found": width, "expected": layout.width}
            odd.refused[place] = why_spoilt(content, layout.encoding) if width is None else ("columns", expected)
            return True
        verdict = judge(layout.grammar, text, start, width=layout.width, final=True, passes=kinds.passes)
        if verdict is None or verdict.end != end:
            return False
        if verdict.cells is not None and (kind := kinds.of(verdict.cells)) != "row":
            odd.counted[place] = False
            if kind == "trailer":
                odd.trailers.append([cell.decode("utf-8", "replace") for cell in verdict.cells])
        elif width is None:
            odd.refused[place] = why_spoilt(content, layout.encoding)
        elif verdict.cells is not None:
            odd.mended[place] = verdict.cells
        else:
            odd.refused[place] = (verdict.code, verdict.params or {})
        return True

    def _as_it_came(self, line: bytes) -> tuple[str, str]:
        """The text of a damaged line; of a line of an export, without the reasons, and the held rows it answers."""
        layout = self.layout
        if layout.own is not None and ANSWERS in layout.headers:
            cells = judge(layout.grammar, line, 0, width=0, final=True, passes=lambda _: True)
            # Counted from the end, where nobody edits: with a cell too many or too few, the others have moved.
            behind = len(layout.headers) - layout.headers.index(ANSWERS)
            found = (cells.cells or []) if cells is not None and cells.end == len(line) else []
            answers = found[-behind].decode("utf-8", "replace") if len(found) >= behind else ""
            if are_numbers(answers):
                reasons = sum(name.startswith(OWN_PREFIX) for name in layout.headers)
                return self._shown(layout.grammar.written(found[: len(found) - reasons])), answers
        return self._shown(line), ""

    def _shown(self, line: bytes) -> str:
        text = readable(line.rstrip(b"\r\n"))
        return restored_text(text) if self.layout.html else text

    def _parse(self, text: bytes, expected: int) -> tuple[pa.Table, dict[int, int]]:
        """The cells of plain records; and of those with another number of columns, by place from 0, that number."""
        width = self.layout.width
        if not expected:
            return empty_table(width), {}
        misfits: dict[int, int] = {}

        def note(row: pa_csv.InvalidRow) -> str:
            misfits[row.number - 1] = row.actual_columns
            return "skip"

        names = [str(place) for place in range(width)]
        grammar = self.layout.grammar
        quoted = grammar.mark in text and (grammar.quote is not None or grammar.escape is not None)
        quote = grammar.mark.decode() if quoted else False
        try:
            table = pa_csv.read_csv(
                pa.BufferReader(text),
                read_options=pa_csv.ReadOptions(use_threads=False, block_size=len(text) + 64, column_names=names),
                parse_options=pa_csv.ParseOptions(
                    delimiter=grammar.delimiter.decode(), quote_char=quote, newlines_in_values=bool(quote),
                    invalid_row_handler=note,
                ),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, CELL), strings_can_be_null=False, null_values=[], check_utf8=False
                ),
            )
        except pa.ArrowInvalid as error:
            raise SourceUnreadable(
                f"the text cannot be read as columns: {error}", where=str(self.path), todo="pin delimiter and quote"
            ) from error
        if table.num_rows + len(misfits) != expected:
            raise SourceUnreadable(
                f"{expected} records were told apart, {table.num_rows + len(misfits)} were read", where=str(self.path),
                todo="pin delimiter and quote; if that does not help, report this file",
            )
        return table, misfits


def _plain_text(text: bytes, records: Records, left_out: list[int]) -> bytes:
    """The records as text for Arrow: without the ones left out, with the rewritten ones in their plain form."""
    if not left_out and not records.rewritten and not records.comments:
        return text[: records.used] if records.used < len(text) else text
    count = len(records.starts)
    if not count:
        return b""
    special = np.zeros(count, dtype=bool)
    special[left_out] = True
    special[list(records.rewritten)] = True
    after_gap = np.append(True, records.starts[1:] != records.ends[:-1])
    heads = np.flatnonzero(after_gap | special | np.append(False, special[:-1]))
    tails = np.append(heads[1:], count) - 1
    dropped = set(left_out)
    return b"".join(
        records.rewritten.get(head, b"") if special[head] else text[records.starts[head] : records.ends[tail]]
        for head, tail in zip(heads.tolist(), tails.tolist(), strict=True)
        if head not in dropped
    )


def _with_mended(table: pa.Table, good: Integers, mended: dict[int, list[bytes]]) -> tuple[pa.Table, Integers]:
    """The rows of `table` (at the places `good`) and the mended ones, in the order of their places."""
    rows = list(mended.values())
    extra = pa.table(
        {name: pa.array([cells[at].decode() for cells in rows], CELL) for at, name in enumerate(table.column_names)}
    )
    places = np.concatenate([good, np.array(list(mended), dtype=np.int64)])
    order = np.argsort(places, kind="stable")
    return pa.concat_tables([table, extra]).take(pa.array(order)), places[order]
