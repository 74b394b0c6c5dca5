"""Spreadsheets (xlsx, xls, ods): a sheet's cells as the text that they stand for.

::

    409.0                    409          a number that is whole has no decimals
    12.5                     12.5         its point is marked: no `decimal` is about cells that are numbers
    2026-11-22 00:00 (date)  2026-11-22   dates and times in ISO form
    TRUE                     true
    #N/A, as an error                     the row is damaged, where the mapping reads the cell: it is no blank
    =A2*2, without result                 nor is this
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import python_calamine

from connectors.file.block import CELL, Block, Damage, paginate
from connectors.file.dialect import behind_mark, find_decimal, own_places
from connectors.file.lost_cells import Lost, column_number, lost_cells
from connectors.file.neutral import ANSWERS, MARK, OWN_PREFIX, undone
from connectors.file.series import Series
from connectors.file.workbook import check_workbook
from connectors.page import PAGE_ROWS, Notices, Page, distinct_headers
from mappings.codecs.cells import POINT
from mappings.codecs.columns import resolve_column
from mappings.errors import ConfigurationError, NavetteError, SourceUnreadable
from mappings.language.read import ExcelFormat, Read

BLOCK_ROWS = 10_000
LAST_ROW = 10_000_000  # beyond what any sheet has
_RANGE = re.compile(r"\$?([A-Za-z]{1,3})\$?(\d{1,7}):\$?([A-Za-z]{1,3})\$?(\d{1,7})")


@dataclass(frozen=True)
class Area:
    """Rows and columns of a sheet from 0; the last ones are not in it."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True)
class ExcelSource:
    """A sheet; `body` is its first row of data, from 0; `asked` the places of the cells that the mapping reads."""

    path: Path
    sheet: str
    headers: tuple[str, ...]
    area: Area
    body: int
    series: Series
    asked: frozenset[int]
    own: tuple[int, ...] | None = None  # of an export of refused rows: the cells that are read
    detected: dict[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        return self.series.all_columns

    @property
    def notices(self) -> Notices:
        return self.series.notices

    def pages(self, rows: int = PAGE_ROWS) -> Iterator[Page]:
        yield from paginate(self.series.over(self._blocks(), _raw, str(self.path), self.detected), self.columns, rows)

    def _blocks(self) -> Iterator[Block]:
        with _translated(self.path):
            book = python_calamine.load_workbook(str(self.path))
            sheet = book.get_sheet_by_name(self.sheet)
            left, place = sheet.start[1] if sheet.start else 0, book.sheet_names.index(self.sheet)
            lost = lost_cells(self.path, self.sheet, place, lambda column: column - self.area.left in self.asked)
        rows = _with_lost(enumerate(_rows(sheet, self.path)), lost)
        while part := list(islice(rows, BLOCK_ROWS)):
            yield self._block([(at, row) for at, row in part if self.body <= at < self.area.bottom], left, lost)

    def _block(self, rows: list[tuple[int, list[Any]]], left: int, lost: Lost) -> Block:
        texts: list[list[str]] = []
        lines: list[int] = []
        orders: list[int] = []
        damaged: list[Damage] = []
        for at, row in rows:
            cells = [_cell(value) for value in row[max(self.area.left - left, 0) : max(self.area.right - left, 0)]]
            cells = [""] * max(left - self.area.left, 0) + cells
            cells += [""] * (len(self.headers) - len(cells))
            cells = cells[: len(self.headers)]
            broken = self._damage(cells, *lost[at]) if at in lost else None
            order = len(lines) + len(damaged)
            if broken is not None:
                damaged.append(replace(broken, order=order, line=at + 1))
            elif any(cells):
                texts.append(cells)
                lines.append(at + 1)
                orders.append(order)
        columns = list(zip(*texts, strict=True)) if texts else [()] * len(self.headers)
        table = pa.table({str(place): pa.array(column, CELL) for place, column in enumerate(columns)})
        if self.own is not None:
            table = undone(table.select(self.own))
        return Block(table, np.array(orders, dtype=np.int64), np.array(lines, dtype=np.int64), damaged)

    def _damage(self, cells: list[str], column: int, error: str) -> Damage | None:
        """What the lost cell of a row makes of it; None for one that is no row of the flow."""
        place = column - self.area.left
        name = (self.headers[place] if place < len(self.headers) else "") or str(place + 1)
        cells = [cell if at != place else "" for at, cell in enumerate(cells)]
        if not self._is_ours(cells):
            return None
        answers = cells[self.headers.index(ANSWERS)] if ANSWERS in self.headers else ""
        raw = _raw([cell if at != place else error for at, cell in enumerate(cells)
                    if not self.headers[at].startswith(OWN_PREFIX)])
        said = ("cell_error", {"column": name, "error": error}) if error else ("formula", {"column": name})
        return Damage(0, 0, *said, raw, answers)

    def _is_ours(self, cells: list[str]) -> bool:
        """Whether a row is, or may be, of the record type that is read: no trailer, and none of another type."""
        kinds, own = self.series.kinds, cells if self.own is None else [cells[place] for place in self.own]
        kind = kinds.of([cell.encode() for cell in own])
        return kind == "row" or (kind == "other" and kinds.by is not None and not own[kinds.by])


def _raw(cells: list[str]) -> str:
    return "\t".join(cells).replace(POINT, ".")


def _cell(value: Any) -> str:
    """`text_of`, with the mark of numbers."""
    text = text_of(value)
    return text.replace(".", POINT) if isinstance(value, float) else text


def text_of(value: Any) -> str:
    """A cell's value as text; numbers with the 15 digits that a spreadsheet keeps, and without an exponent."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds" if not value.microsecond else "microseconds")
    if isinstance(value, timedelta):
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value).lower()  # whole numbers, true and false


def _number(value: float) -> str:
    if value.is_integer() and abs(value) < 1e16:
        return str(int(value))
    text = f"{value:.15g}"
    if "e" in text:
        text = f"{value:.20f}".rstrip("0").rstrip(".") if abs(value) < 1 else f"{value:.0f}"
    return text


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Errors of the reading library, its panics included, as errors of ours."""
    try:
        yield
    except (NavetteError, GeneratorExit, KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except python_calamine.PasswordError as error:
        raise SourceUnreadable(
            "the workbook is locked by a password", where=str(path), todo="save it without a password"
        ) from error
    except OSError as error:
        raise SourceUnreadable(
            f"reading failed: {error.strerror or error}", where=str(path), todo="check the file and the disk"
        ) from error
    except BaseException as error:  # a panic of the library is no Exception
        raise SourceUnreadable(
            f"the workbook is damaged: {error}", where=str(path),
            todo="open it in a spreadsheet and save it again, or ask for CSV",
        ) from error


def open_excel(path: Path, read: Read, wanted: Sequence[str] = ()) -> ExcelSource:
    """`wanted`: the columns that the mapping reads; errors, and formulas without results, damage the row in these only.

    SourceUnreadable if the workbook cannot be read, ConfigurationError if it lacks the sheet or the header row.
    """
    form = read.format.excel if read.format and read.format.excel else ExcelFormat()
    with path.open("rb") as file:
        check_workbook(path, file.read(1 << 16))
    with _translated(path):
        book = python_calamine.load_workbook(str(path))
        sheet = _chosen(book, form.sheet, path)
        if sheet.end is None:
            raise SourceUnreadable(
                f"the sheet {sheet.name!r} is empty", where=str(path), todo="check the export, and `sheet`"
            )
        area = _area(form.range, sheet, path)
        merged = sheet.merged_cell_ranges or []
        headed = form.header is not False
        row = area.top + (1 if form.header is True else form.header) - 1 if headed else area.top - 1
        left = sheet.start[1] if sheet.start else 0
        start = row + 1 + form.skip
        rows = [[""] * left + cells for cells in islice(sheet.iter_rows(), start + 1000)]
    if headed and row >= len(rows):
        raise ConfigurationError(
            f"the sheet {sheet.name!r} ends before row {row + 1}, where the headers should be", where=str(path),
            todo="correct `header`",
        )
    right = min(area.right, sheet.end[1] + 1) if sheet.end else area.right
    while headed and sheet.end and right <= sheet.end[1] and _is_reason(rows[row], right):
        right += 1  # the reasons of an export stand beside the range
    found = _headers(rows, row, area.left, right, merged) if headed else [""] * (right - area.left)
    body = [[text_of(value) for value in cells[area.left : right]] for cells in rows[start:]]
    while found and not found[-1] and not any(len(cells) >= len(found) and cells[len(found) - 1] for cells in body):
        found.pop()
    if not found:
        raise SourceUnreadable(
            f"the sheet {sheet.name!r} is empty", where=str(path), todo="check the export, and `sheet`"
        )
    own, found = _own(found, body, read, headed=headed)
    names = distinct_headers([found[place] for place in own] if own is not None else found)
    detected = {"export": "refused rows"} if own is not None else {}
    detected |= {} if form.sheet is not None else {"sheet": sheet.name}
    if form.decimal is None and find_decimal([cell.encode() for cell in cells] for cells in body) == ".":
        detected["decimal"] = "."  # cells that are numbers always have the point; a comma is only some texts' sign
    area = Area(area.top, area.left, area.bottom, area.left + len(found))
    series = Series.of(read, names, str(path), export=own is not None)
    asked = _asked(read, wanted, names, own if own is not None else range(len(names)))
    return ExcelSource(path, sheet.name, tuple(found), area, start, series, asked, own, detected)


def _asked(read: Read, wanted: Sequence[str], names: Sequence[str], places: Sequence[int]) -> frozenset[int]:
    """The places of the columns that the mapping reads; of all, where it names none."""
    if not wanted:
        return frozenset(places)
    kinds, fills = read.records, read.continues
    named = [*wanted, *([str(kinds.by)] if kinds else ()), *map(str, (*fills.blank, *fills.fill) if fills else ())]
    found = {column: resolve_column(names, column) for column in named}
    # A last column without header and values is none of the sheet's, as far as the reading library can see.
    beyond = [int(column) - 1 for column, name in found.items() if name is None and column.isdecimal()]
    return frozenset([*beyond, *(places[names.index(name)] for name in found.values() if name is not None)])


def _own(
    found: list[str], body: list[list[str]], read: Read, *, headed: bool
) -> tuple[tuple[int, ...] | None, list[str]]:
    """Of an export of refused rows: the places of the source's own cells; and all headers."""
    if headed:
        return own_places(found), found
    at = body[0].index(MARK) if body and MARK in body[0] else None
    if at is None or any(len(cells) <= at or cells[at] != MARK for cells in body):
        return None, found
    if read.continues is not None and read.continues.number is not None:
        found = [*found[: at - 1], read.continues.number, *found[at:]]
    found = [*found[:at], *behind_mark(len(found) - at)]
    return own_places(found), found


def _chosen(book: Any, asked: str | int | None, path: Path) -> Any:
    names: list[str] = list(book.sheet_names)
    if asked is None:
        hidden = {one.name for one in book.sheets_metadata if one.visible != python_calamine.SheetVisibleEnum.Visible}
        for name in sorted(names, key=lambda one: one in hidden):
            try:
                sheet = book.get_sheet_by_name(name)
            except python_calamine.CalamineError:
                continue  # a sheet that holds a chart
            if sheet.end is not None:
                return sheet
        raise SourceUnreadable("no sheet of the workbook holds anything", where=str(path), todo="check the export")
    if isinstance(asked, int):
        if 1 <= asked <= len(names):
            return book.get_sheet_by_index(asked - 1)
    else:
        for name in names:
            if name == asked or name.strip().casefold() == asked.strip().casefold():
                return book.get_sheet_by_name(name)
    near = get_close_matches(str(asked), names, 1)
    raise ConfigurationError(
        f"the workbook has no sheet {asked!r}" + (f": did you mean {near[0]!r}?" if near else ""), where=str(path),
        todo=f"its sheets are: {', '.join(names[:40])}",
    )


def _is_reason(cells: list[Any], place: int) -> bool:
    return place < len(cells) and str(cells[place]).startswith(OWN_PREFIX)


def _area(asked: str | None, sheet: Any, path: Path) -> Area:
    if asked is None:
        return Area(0, 0, LAST_ROW, sheet.end[1] + 1 if sheet.end else 0)
    try:
        return range_of(asked)
    except ValueError as error:
        raise ConfigurationError(
            f"{asked!r} is no range: {error}", where=str(path), todo="write it like B3:H200"
        ) from error


def range_of(text: str) -> Area:
    """`B3:H200` as an area; ValueError if it is none."""
    found = _RANGE.fullmatch(text.strip())
    if not found:
        raise ValueError("two cells with a colon between are expected")
    rows = sorted((int(found[2]), int(found[4])))
    columns = sorted((column_number(found[1]), column_number(found[3])))
    if rows[0] < 1:
        raise ValueError("rows count from 1")
    return Area(rows[0] - 1, columns[0] - 1, rows[1], columns[1])


def _headers(rows: list[list[Any]], row: int, left: int, right: int, merged: Sequence[Any]) -> list[str]:
    """The header row's cells; a cell merged over several columns, or from rows above, names all that it covers."""
    cells = [text_of(value) for value in rows[row][left:right]]
    cells += [""] * (right - left - len(cells))
    for (top, first), (bottom, last) in merged:
        if top <= row <= bottom and top < len(rows) and first < len(rows[top]):
            for column in range(max(first, left), min(last + 1, right)):
                cells[column - left] = text_of(rows[top][first])
    return cells


def _rows(sheet: Any, path: Path) -> Iterator[list[Any]]:
    rows = sheet.iter_rows()
    while True:
        with _translated(path):
            row = next(rows, None)
        if row is None:
            return
        yield row


def _with_lost(rows: Iterator[tuple[int, list[Any]]], lost: Lost) -> Iterator[tuple[int, list[Any]]]:
    """The rows, and those behind the last value that hold nothing but lost cells."""
    last = -1
    for at, row in rows:
        last = at
        yield at, row
    yield from ((at, []) for at in sorted(lost) if at > last)
