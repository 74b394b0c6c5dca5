"""Rows of any number out of the database in bounded memory: COPY, a page at a time, parsed by Arrow."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.csv as pa_csv
from psycopg import sql

from connectors.file.block import CELL
from connectors.page import Page, none_damaged
from connectors.sql.session import Connection, Rendered
from mappings.errors import SourceUnreadable

_STEP = 1_000
PAGE_BYTES = 64 << 20
"""A page of long rows ends here, before it has as many as it may have."""


def copied(
    connection: Connection, statement: Rendered, columns: tuple[str, ...], rows: int, where: str
) -> Iterator[Page]:
    """Pages of at most `rows` rows, numbered from 1; every expression of `statement` is text. Raises psycopg.Error."""
    text, values = statement.text, statement.values
    if not values:  # a percent sign is doubled for the driver, which looks only where there are values
        text = text.replace("%%", "%")
    copy = sql.SQL("COPY ({}) TO STDOUT (FORMAT csv)").format(sql.SQL(text))
    before = 0
    with connection.cursor() as cursor, cursor.copy(copy, values) as lines:
        for block in _blocks(lines, rows):
            page = paged(_table(block, columns, where), before)
            before += len(page)
            yield page


def paged(table: pa.Table, before: int = 0) -> Page:
    """Rows that are all whole, numbered after `before`."""
    frame = table.to_pandas(types_mapper={CELL: pd.StringDtype("pyarrow")}.get)
    numbers = np.arange(before + 1, before + 1 + len(frame), dtype=np.int64)
    frame.index = pd.Index(numbers, dtype="int64", name="row")
    return Page(frame, numbers, none_damaged())


def _blocks(lines: psycopg.Copy, rows: int) -> Iterator[bytes]:
    """The text of at most `rows` rows: libpq hands over one row at a time, line breaks within it and all."""
    every = iter(lines)
    while True:
        parts: list[bytes] = []
        count = size = 0
        while count < rows and size < PAGE_BYTES:
            taken = list(islice(every, min(_STEP, rows - count)))
            if not taken:
                break
            parts.append(b"".join(taken))
            count, size = count + len(taken), size + len(parts[-1])
        if not parts:
            return
        yield b"".join(parts)


def _table(text: bytes, columns: tuple[str, ...], where: str) -> pa.Table:
    names = [str(place) for place in range(len(columns))]  # names of other systems may be anything
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(text),
            read_options=pa_csv.ReadOptions(column_names=names, use_threads=False, block_size=len(text) + 1),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, CELL), strings_can_be_null=False),
        )
    except pa.ArrowInvalid as error:
        if "UTF8" not in str(error):
            raise
        raise SourceUnreadable(
            "the database holds text that is not in its own encoding", where=where,
            todo="an SQL_ASCII database holds anything: name a query that converts it, convert_from(column::bytea, …)",
        ) from error
    return table.rename_columns(list(columns))
