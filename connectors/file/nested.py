"""Nested values: paths into an object, and the rows that the elements of a nested list are.

::

    {"no": 7, "lines": [{"sku": "A"}, {"sku": "B"}]}      each: lines      sku  ^no
                                                                           A    7
                                                                           B    7
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa

from connectors.file.block import CELL
from connectors.file.json_text import parsed
from connectors.page import Integers, Page, none_damaged

MISSING = object()
ITSELF = "."
"""The path of the element itself, where a list holds plain values."""
BROKEN = ["row", "parent", "line", "value", "detail"]


@dataclass(frozen=True)
class Children:
    """The elements of a page's lists as a page of their own.

    `page`: rows numbered on, `lines` those of the parents; `parents` (int64, labelled like `page.frame`): the row
    number of each element's parent. `broken`: cells that hold no list, with columns row, parent (its row number), line,
    value and detail (what is wrong).
    """

    page: Page
    parents: pd.Series
    broken: pd.DataFrame


def at_path(value: Any, path: str) -> Any:
    """What stands at a.b.c; a number picks from a list, a name looks into all of its elements; MISSING if nothing."""
    if isinstance(value, dict) and path in value:  # a key may itself hold a dot
        return value[path]
    if path == ITSELF:
        return value
    head, _, rest = path.partition(".")
    if isinstance(value, dict) or (isinstance(value, list) and head.isdigit()):
        below = value.get(head, MISSING) if isinstance(value, dict) else _element(value, int(head))
        return at_path(below, rest) if rest else below
    if isinstance(value, list):
        found = [one for one in (at_path(element, path) for element in value) if one is not MISSING]
        return [inner for one in found for inner in (one if isinstance(one, list) else [one])] if found else MISSING
    return MISSING


def _element(value: list[Any], place: int) -> Any:
    return value[place] if place < len(value) else MISSING


def cell_of(value: Any) -> str | None:
    """A value as the text of a cell: '' for null, None where it is missing; objects and lists are JSON text."""
    if isinstance(value, str):
        return value
    if value is MISSING or value is None:
        return None if value is MISSING else ""
    if isinstance(value, int):
        return str(value).lower()  # true and false are integers too
    if isinstance(value, float | Decimal):
        return plain_number(value)
    return orjson.dumps(value, default=plain_number).decode()


def plain_number(value: float | Decimal) -> str:
    """Without an exponent; whole numbers without decimals."""
    plain = repr(value) if isinstance(value, float) else "e"
    if "e" not in plain and "n" not in plain:
        return plain.removesuffix(".0")
    exact = Decimal(repr(value)) if isinstance(value, float) else value
    text = f"{exact:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def column_of(values: Sequence[Any], path: str) -> pa.Array:
    """The cells at `path` of each of the values."""
    if "." in path:
        found = [at_path(value, path) for value in values]
    else:
        found = [value.get(path, MISSING) if type(value) is dict else at_path(value, path) for value in values]
    if all(type(one) is str for one in found):
        return pa.array(found, CELL)
    return pa.array([one if type(one) is str else cell_of(one) for one in found], CELL)


def expand(page: Page, each: str, columns: Sequence[str], *, first: int = 1) -> Children:
    """The rows that the elements of the lists in column `each` are.

    `columns`: what is wanted of them: paths into the element, `.` for the element itself, ^NAME for the parent's
    column. Rows are numbered from `first`; a parent without the list has none. A cell that is no JSON uses up a number
    too.
    """
    elements: list[Any] = []
    holders: list[int] = []  # places of the parents in the page
    numbers: list[int] = []
    broken: list[tuple[int, int, int, str, str]] = []
    number = first
    lists = page.frame[each] if each in page.frame.columns else pd.Series([], dtype="string[pyarrow]")
    for place in np.flatnonzero(lists.notna() & (lists != "")).tolist():
        text = str(lists.iat[place])
        try:
            value = parsed(text.encode())
        except ValueError as error:
            broken.append((number, int(page.frame.index[place]), int(page.lines[place]), text, str(error)))
            number += 1
            continue
        found = value if isinstance(value, list) else [value]
        elements += found
        holders += [place] * len(found)
        numbers += range(number, number + len(found))
        number += len(found)
    taken: Integers = np.array(holders, dtype=np.int64)
    index = pd.Index(numbers, dtype="int64", name="row")
    frame = pd.DataFrame(index=index)
    for name in columns:
        if not name.startswith("^"):
            frame[name] = pd.array(column_of(elements, name), dtype="string[pyarrow]")
        elif name[1:] in page.frame.columns:
            frame[name] = page.frame[name[1:]].array.take(taken)
    parents = pd.Series(page.frame.index.to_numpy()[taken], index=index, dtype="int64")
    return Children(Page(frame, page.lines[taken], none_damaged()), parents, pd.DataFrame(broken, columns=BROKEN))
