"""From Tryton's typed values to text cells.

======================  =====================================================================
many2one                the id; `link.field` is a field of what it links to
reference               model,id
one2many, many2many     JSON list of ids (`link.field`: of values)
dict, multiselection    JSON as Tryton sends it, typed values inside included, so that it goes back unharmed
datetime, timestamp     ISO 8601 with +00:00: Tryton keeps them in UTC
timedelta               seconds, a plain number
binary                  base64 without line breaks
======================  =====================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa

from connectors.file.block import CELL
from connectors.page import Page, none_damaged
from connectors.tryton.model import Column


def cell(value: Any) -> str:
    """One value as text; '' is null."""
    write = SIMPLE.get(type(value))
    if write is not None:
        return write(value)
    typed = TYPED.get(value["__class__"]) if isinstance(value, dict) and "__class__" in value else None
    return typed(value) if typed is not None else orjson.dumps(value).decode()


def cells_of(column: Column, rows: Sequence[dict[str, Any]]) -> list[str]:
    """A column of `rows` as text. A boolean that is computed may come as 0 or 1, and its null means false."""
    values = column.of(rows)
    if column.type == "boolean" and len(column.path) == 1:
        return ["true" if value else "false" for value in values]
    if column.type == "boolean":  # behind a link there may be nothing
        return [cell(value if value is None or isinstance(value, list) else bool(value)) for value in values]
    return [cell(value) for value in values]


def _plain(number: str) -> str:
    """Without an exponent."""
    return number if "e" not in number.lower() else format(Decimal(number), "f")


def _date(value: dict[str, Any]) -> str:
    return f"{value['year']:04}-{value['month']:02}-{value['day']:02}"


def _time(value: dict[str, Any]) -> str:
    part = f".{value['microsecond']:06}" if value["microsecond"] else ""
    return f"{value['hour']:02}:{value['minute']:02}:{value['second']:02}{part}"


SIMPLE: dict[type, Callable[[Any], str]] = {
    type(None): lambda _: "",
    str: str,
    bool: lambda value: "true" if value else "false",
    int: str,
    float: lambda value: _plain(repr(value)),
}

TYPED: dict[str, Callable[[dict[str, Any]], str]] = {
    "Decimal": lambda value: _plain(value["decimal"]),
    "date": _date,
    "datetime": lambda value: f"{_date(value)}T{_time(value)}+00:00",
    "time": _time,
    "timedelta": lambda value: _plain(repr(value["seconds"])).removesuffix(".0"),
    "bytes": lambda value: "".join(str(value["base64"]).split()),
}
"""By the `__class__` that Tryton gives an object."""


def page_of(rows: Sequence[dict[str, Any]], columns: Iterable[Column], first: int = 1,
            states: Sequence[Hashable] = ()) -> Page:
    """A page of rows as `read` gives them; their numbers begin with `first`."""
    table = pa.table({column.name: pa.array(cells_of(column, rows), CELL) for column in columns})
    frame = table.to_pandas(types_mapper={CELL: pd.StringDtype("pyarrow")}.get)
    numbers = np.arange(first, first + len(rows), dtype=np.int64)
    frame.index = pd.Index(numbers, dtype="int64", name="row")
    return Page(frame, numbers.copy(), none_damaged(), states)
