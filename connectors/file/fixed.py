"""Fixed width: every cell is where its column begins, [start, width] counted in characters or in bytes.

::

    lines of UTF-8 ─▶ one Arrow array of lines ─▶ a slice per column, trimmed ─▶ Block
                      (over the block's own bytes)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.file.block import CELL, Block, Damage, paginate
from connectors.file.dialect import find_decimal
from connectors.file.encoding import SAMPLE, one_byte, readable, settle, text_blocks
from connectors.file.lines import NOTHING, whole_lines
from connectors.file.neutral import ANSWERS, MARK
from connectors.file.scan import Flags, Lines
from connectors.file.series import Series
from connectors.file.spoilt import spoilt, why_spoilt
from connectors.page import PAGE_ROWS, Integers, Notices, Page, distinct_headers
from mappings.errors import ConfigurationError, SourceUnreadable
from mappings.language.read import FixedFormat, Read

BLOCK_BYTES = 8 << 20
Spot = tuple[int, int]
_TORN = re.compile(rb"^[\x80-\xbf]{1,3}|(?:[\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})$")


_BEHIND = re.compile(rf" {MARK} .*\| {ANSWERS} (?P<answers>[0-9]+(?: [0-9]+)*)\s*$")
"""The reasons behind a line of an export; the last of them names the held rows."""
_WRITTEN_OUT = r"\\x[0-9a-f]{2}"
"""A byte that is no text, as `readable` shows it."""


@dataclass(frozen=True)
class FixedSource:
    """A fixed width file; `spots` are the columns and, behind them, what only `records` and `trailer` look at."""

    path: Path
    form: FixedFormat
    encoding: str
    mark: int
    names: tuple[str, ...]
    spots: tuple[Spot, ...]
    series: Series
    detected: dict[str, str] = field(default_factory=dict)
    block_bytes: int = BLOCK_BYTES

    @property
    def columns(self) -> tuple[str, ...]:
        return self.series.all_columns

    @property
    def notices(self) -> Notices:
        return self.series.notices

    @property
    def in_bytes(self) -> bool:
        """Whether places count bytes of the text, which is UTF-8 here. Where characters are bytes, they need not."""
        return self.form.bytes and self.encoding == "utf-8"

    def pages(self, rows: int = PAGE_ROWS) -> Iterator[Page]:
        try:
            blocks = self.series.over(self._blocks(), self._raw, str(self.path), self.detected)
            yield from paginate((self._shown(block) for block in blocks), self.columns, rows)
        except OSError as error:
            raise SourceUnreadable(
                f"reading failed: {error.strerror or error}", where=str(self.path), todo="check the file and the disk"
            ) from error

    def _shown(self, block: Block) -> Block:
        """Without the columns that only `records` and `trailer` look at."""
        shown = [*range(len(self.names)), *range(len(self.spots), block.table.num_columns)]
        return Block(block.table.select(shown), block.orders, block.lines, block.damaged)

    def _raw(self, cells: list[str]) -> str:
        return " ".join(cells[: len(self.names)])

    def _blocks(self) -> Iterator[Block]:
        blocks = text_blocks(self.path, self.encoding, self.mark, self.block_bytes)
        for text, lines, before in whole_lines(blocks, self.path):
            first = max(0, self.form.skip - before)
            if first < len(lines):
                rest = Lines(lines.starts[first:], lines.stops[first:], lines.nexts[first:])
                yield self._block(text, rest, before + first)

    def sample(self) -> Block | None:
        """The first rows; None if there are none."""
        return next((block for block in self._blocks() if block.total), None)

    def _block(self, text: bytes, lines: Lines, before: int) -> Block:
        whole = _as_array(text, lines)
        bad = spoilt(text, lines.starts, lines.nexts, int(lines.nexts[-1]), utf8=not self.in_bytes)
        if ANSWERS in self.series.columns:  # a damaged line that nobody has corrected is that line still
            bad = sorted({*bad, *np.flatnonzero(np.asarray(pc.match_substring_regex(whole, _WRITTEN_OUT))).tolist()})
        plain = ~np.asarray(pc.match_substring_regex(whole, r"^[ \t\x1a\x0b\x0c\r\n]*$"))
        plain[bad] = False
        places = np.flatnonzero(plain).astype(np.int64)
        table, torn = self._table(whole.take(pa.array(places)))
        refused: dict[int, tuple[str, dict[str, object]]] = {}
        for at in [*bad, *places[torn].tolist()]:
            line = text[lines.starts[at] : lines.stops[at]]
            if self.series.kinds.of(self._cells(line)) == "row":
                refused[at] = why_spoilt(line, self.encoding)
        table, places = table.filter(pa.array(~torn)), places[~torn]
        if self.form.short == "reject" and len(places):
            expected = max(start + width - 1 for start, width in self.spots[: len(self.names)])
            found = self._lengths(whole.take(pa.array(places)), lines, places)
            short = (found < expected) & self.series.kinds.masks(table)[0]
            for at, length in zip(places[short].tolist(), found[short].tolist(), strict=True):
                refused[at] = ("width", {"found": length, "expected": expected})
            table, places = table.filter(pa.array(~short)), places[~short]
        everything = np.sort(np.concatenate([places, np.array(list(refused), dtype=np.int64)]))
        damaged = [
            Damage(
                int(np.searchsorted(everything, at)), before + at + 1, code, params,
                *self._as_it_came(readable(text[lines.starts[at] : lines.stops[at]])),
            )
            for at, (code, params) in sorted(refused.items())
        ]
        if ANSWERS in self.series.columns:
            table = table.append_column(str(len(self.spots)), _answers(whole.take(pa.array(places))))
        return Block(table, np.searchsorted(everything, places).astype(np.int64), places + (before + 1), damaged)

    def _as_it_came(self, line: str) -> tuple[str, str]:
        """The text of a damaged line; of a line of an export, without the reasons, and the held rows it answers."""
        found = _BEHIND.search(line) if self.detected.get("export") else None
        text, answers = (line[: found.start()], found["answers"]) if found else (line, "")
        return text.rstrip(" "), answers  # padding comes and goes; the line is the same

    def _table(self, whole: pa.Array) -> tuple[pa.Table, Flags]:
        """The cells of the lines, trimmed; and the lines in which a cell cut in bytes is no text."""
        torn = np.zeros(len(whole), dtype=bool)
        text = whole if self.in_bytes else pc.cast(whole, CELL)
        columns = {}
        for place, (start, width) in enumerate(self.spots):
            if self.in_bytes:
                cell, bad = _text_of(pc.binary_slice(text, start - 1, start - 1 + width))
                torn |= bad
            else:
                cell = pc.utf8_slice_codeunits(text, start - 1, start - 1 + width)
            columns[str(place)] = pc.utf8_trim(cell, characters=" \r\n")
        return pa.table(columns), torn

    def _lengths(self, whole: pa.Array, lines: Lines, places: Integers) -> Integers:
        counted = pc.binary_length(whole) if self.in_bytes else pc.utf8_length(pc.cast(whole, CELL))
        return np.asarray(np.asarray(counted) - (lines.nexts - lines.stops)[places], dtype=np.int64)

    def _cells(self, line: bytes) -> list[bytes]:
        """The cells of a line that is no text, as far as they can be told apart."""
        if self.in_bytes:
            return [line[start - 1 : start - 1 + width].strip() for start, width in self.spots]
        text = line.decode("utf-8", "surrogateescape")
        cells = [text[start - 1 : start - 1 + width].strip() for start, width in self.spots]
        return [cell.encode("utf-8", "surrogateescape") for cell in cells]


def _answers(whole: pa.Array) -> pa.Array:
    """What the lines of an export say of the held rows that they answer."""
    found = pc.struct_field(pc.extract_regex(whole, _BEHIND.pattern), "answers")
    return pc.fill_null(pc.cast(found, CELL), "")


def _as_array(text: bytes, lines: Lines) -> pa.Array:
    """The lines with their line ends, over the text's own bytes."""
    ends = np.append(lines.starts, lines.nexts[-1]).astype(np.int64)
    return pa.Array.from_buffers(pa.large_binary(), len(lines), [None, pa.py_buffer(ends), pa.py_buffer(text)])


def _text_of(cells: pa.Array) -> tuple[pa.Array, Flags]:
    """Cells cut in bytes as text, without the halves of characters at their edges; and which are no text even so."""
    try:
        return pc.cast(cells, CELL), np.zeros(len(cells), dtype=bool)
    except pa.ArrowInvalid:
        distinct = pc.dictionary_encode(cells)
        mended = [_mended(value) for value in distinct.dictionary.to_pylist()]
        taken = pa.array(mended, CELL).take(distinct.indices)
        return pc.fill_null(taken, ""), np.asarray(pc.is_null(taken))


def _mended(value: bytes) -> str | None:
    try:
        return _TORN.sub(b"", value).decode("utf-8") if not value.isascii() else value.decode("ascii")
    except UnicodeDecodeError:
        return None


def open_fixed(path: Path, read: Read, _: tuple[str, ...] = ()) -> FixedSource:
    """ConfigurationError if the mapping tells no columns."""
    form = read.format.fixed if read.format and read.format.fixed else FixedFormat()
    own = read.records.columns if read.records and isinstance(read.records.columns, dict) else None
    layout = own or form.columns
    if not layout:
        raise ConfigurationError(
            "a fixed width file needs its columns", where=str(path),
            todo="write `columns: {NAME: [start, width], …}` below `fixed`, start counted from 1",
        )
    hidden: dict[Spot, int] = {}
    asked = [read.records.by if read.records else None]
    if read.trailer is not None:
        asked += [read.trailer.by, read.trailer.rows, *read.trailer.sum.values()]
    for spot in asked:
        if isinstance(spot, tuple):
            hidden.setdefault(spot, len(layout) + len(hidden))
    spots = (*layout.values(), *hidden)
    encoding, mark = settle(path, form.encoding)
    if form.bytes and encoding != "utf-8" and not one_byte(encoding):
        raise ConfigurationError(f"bytes: true cannot be with {encoding}", where=str(path), todo="count characters")
    names = distinct_headers(list(layout))
    back = _lines_back(path, encoding, mark, form.skip)
    export, numbered = bool(back), any(_BEHIND.search(line) for line in back)
    columns = (*names, ANSWERS) if numbered else names
    series = Series.of(read, columns, str(path), hidden, export=export)
    detected = ({} if form.encoding else {"encoding": encoding}) | ({"export": "refused rows"} if export else {})
    source = FixedSource(path, form, encoding, mark, names, spots, series, detected)
    sample = source.sample()
    if sample is None:
        raise SourceUnreadable("the file has no line to read", where=str(path), todo="check the export, and `skip`")
    rows = ([cell.encode() for cell in row.values()] for row in sample.table.slice(0, 1000).to_pylist())
    if form.decimal is None and (sign := find_decimal(rows)):
        detected["decimal"] = sign
    return source


def _lines_back(path: Path, encoding: str, mark: int, skip: int) -> list[str]:
    """The lines of the file's beginning, if each has the mark of refused rows that come back; else none."""
    text = next(text_blocks(path, encoding, mark, SAMPLE), b"")
    lines = [line for line in text.split(b"\n")[skip:] if line.strip(NOTHING)][:1000]
    return [readable(line) for line in lines] if all(f" {MARK} ".encode() in line for line in lines) else []
