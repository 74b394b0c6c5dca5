"""What systems say by calling us: JSON objects, or lists of them, read at the mapping's paths as JSON lines are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from connectors.file.block import Block, paginate
from connectors.file.json_text import parsed
from connectors.file.nested import column_of, paths_of, plain_number
from connectors.file.series import Series
from connectors.page import PAGE_ROWS, Notices, Page
from mappings.language.read import Read

MOST_ROWS = 10_000
"""Rows of one call."""
MOST_DIGITS = 400
COUNTED_BYTES = 1 << 18


def rows_of(body: bytes) -> list[dict[str, Any]]:
    """The rows that a call brings. Raises ValueError with what is wrong; what passes can be read and stored."""
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1} is not UTF-8") from None
    value = parsed(body)
    rows = value if isinstance(value, list) else [value]
    if not rows:
        raise ValueError("the list is empty")
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("expected an object, or a list of objects")
    if len(rows) > MOST_ROWS:
        raise ValueError(f"{len(rows)} rows in one call; at most {MOST_ROWS}")
    try:
        again = orjson.dumps(value, default=_exact)
    except (TypeError, RecursionError) as error:
        long = isinstance(error.__cause__, _TooLong)
        raise ValueError(f"it holds a number of more than {MOST_DIGITS} digits" if long else
                         "nested too deeply, or holding half a character (a lone surrogate)") from None
    if b"\\u0000" in again.replace(b"\\\\", b""):
        raise ValueError("it holds the character U+0000, which no text may")
    return rows


class _TooLong(ValueError):
    """A number that would fill the memory."""


def _exact(value: Any) -> str:
    """A number that a float would round, as it is kept. An exponent of many digits would fill the memory."""
    if isinstance(value, Decimal) and abs(value.adjusted()) > MOST_DIGITS:
        raise _TooLong
    return plain_number(value)


@dataclass(frozen=True)
class EventSource:
    """The rows of calls, in their order; the `line` of a row is the number of its call in the inbox.

    `events`: number and body of each call, which `rows_of` has let pass.
    """

    events: Sequence[tuple[int, bytes]]
    paths: tuple[str, ...]
    series: Series
    detected: dict[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        return self.series.all_columns

    @property
    def notices(self) -> Notices:
        return self.series.notices

    @property
    def size(self) -> int | None:
        """How many rows there are; None where counting them would be work."""
        if sum(len(body) for _, body in self.events) > COUNTED_BYTES:
            return None
        return sum(len(rows_of(body)) for _, body in self.events)

    def pages(self, rows: int = PAGE_ROWS) -> Iterator[Page]:
        """As any source; a path that an object does not have is NA."""
        yield from paginate(self.series.over(self._blocks(), self._raw, "inbox", self.detected), self.columns, rows)

    def _raw(self, cells: list[str]) -> str:
        return orjson.dumps(dict(zip(map(str, self.paths), cells, strict=False))).decode()

    def _blocks(self) -> Iterator[Block]:
        objects: list[dict[str, Any]] = []
        numbers: list[int] = []
        for number, body in self.events:
            found = rows_of(body)
            objects += found
            numbers += [number] * len(found)
        table = pa.table({str(place): column_of(objects, name) for place, name in enumerate(self.paths)})
        yield Block(table, np.arange(len(objects), dtype=np.int64), np.array(numbers, dtype=np.int64))


def open_events(events: Sequence[tuple[int, bytes]], read: Read, wanted: Sequence[str]) -> EventSource:
    """`wanted`: the paths that become columns (see `paths_of`).

    A call has no trailer, and no lines that continue others.
    """
    paths = list(paths_of(wanted))
    if read.records is not None and isinstance(read.records.by, str) and read.records.by not in paths:
        paths.append(read.records.by)
    read = read.model_copy(update={"trailer": None, "continues": None})
    return EventSource(events, tuple(paths), Series.of(read, paths, "inbox"))
