"""Nested values: paths into an object, and the rows that the elements of a nested list are.

::

    {"no": 7, "lines": [{"sku": "A"}, {"sku": "B"}]}      each: lines      sku  ^no
                                                                           A    7
                                                                           B    7

Where the path passes through another list, `^` is the element that holds the list, and `^^` what holds that one::

    {"no": 7, "lines": [{"n": 1, "lots": [{"lot": "L"}]}]}      each: lines.lots      lot  ^n  ^^no
                                                                                      L    1   7
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
ABOVE = "^"
SEEN = "\x1f"
"""Behind the path of a list on the way: what follows is a column as that list's element sees it (lines, SEEN, ^no)."""
BROKEN = ["row", "parent", "line", "value", "detail"]


class ListPath(str):
    """The name of a column that lists are taken from: what holds those that the path passes through stays in its cells.
    """


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


def _list_at(row: Any, path: str) -> Any:
    """What stands at a `ListPath`; where another list is on the way, an object that holds the whole way to it."""
    if not passes_list(row, path):
        return at_path(row, path)
    head = path.partition(".")[0]
    return {head: row[head]}


def passes_list(value: Any, path: str) -> bool:
    """Whether a list stands on the way to what is at `path`; one that a number picks from is none."""
    if not isinstance(value, dict) or path in value:
        return False
    for step in path.split("."):
        if isinstance(value, list) and not step.isdigit():
            return True
        value = at_path(value, step)
    return False


def paths_of(wanted: Sequence[str]) -> tuple[str, ...]:
    """The paths into a row that are `wanted`: ^NAME of an element is NAME; parts of a file's name are none."""
    named = [name if isinstance(name, ListPath) else name.lstrip(ABOVE) for name in wanted if not name.startswith("$")]
    return tuple(dict.fromkeys(name for name in named if name))


def column_of(values: Sequence[Any], path: str) -> pa.Array:
    """The cells at `path` of each of the values."""
    if "." in path and isinstance(path, ListPath):
        found = [_list_at(value, path) for value in values]
    elif "." in path:
        found = [at_path(value, path) for value in values]
    else:
        found = [value.get(path, MISSING) if type(value) is dict else at_path(value, path) for value in values]
    if all(type(one) is str for one in found):
        return pa.array(found, CELL)
    return pa.array([one if type(one) is str else cell_of(one) for one in found], CELL)


Above = tuple[tuple[str, Any], ...]
"""The elements of other lists that an element stands in: each with the path of its list, the innermost first."""


def expand(page: Page, each: str, columns: Sequence[str], *, first: int = 1, column: str | None = None) -> Children:
    """The rows that the elements of the lists at the path `each` are; `column` (default: `each`) holds these lists, or
    the one that they are in.

    `columns`: what is wanted of them: paths into the element, `.` for the element itself, ^NAME for what holds it, and
    any of these behind the path of another list and SEEN. Rows are numbered from `first`; a parent without the list has
    none. A cell that is no JSON uses up a number too.
    """
    elements: list[Any] = []
    above: list[Above] = []
    holders: list[int] = []  # places of the parents in the page
    numbers: list[int] = []
    broken: list[tuple[int, int, int, str, str]] = []
    number = first
    column = column or each
    lists = page.frame[column] if column in page.frame.columns else pd.Series([], dtype="string[pyarrow]")
    for place in np.flatnonzero(lists.notna() & (lists != "")).tolist():
        text = str(lists.iat[place])
        try:
            value = parsed(text.encode())
        except ValueError as error:
            broken.append((number, int(page.frame.index[place]), int(page.lines[place]), text, str(error)))
            number += 1
            continue
        if column == each and not passes_list(value, each):
            found = value if isinstance(value, list) else [value]
            above += [()] * len(found)
        else:
            at, way = ("", each) if column == each else (column, each.removeprefix(f"{column}."))
            pairs = list(_elements(value, way, at, ()))
            found = [element for element, _ in pairs]
            above += [things for _, things in pairs]
        elements += found
        holders += [place] * len(found)
        numbers += range(number, number + len(found))
        number += len(found)
    taken: Integers = np.array(holders, dtype=np.int64)
    index = pd.Index(numbers, dtype="int64", name="row")
    frame = pd.DataFrame(index=index)
    for name in columns:
        frame[name] = pd.array(_cells(page, elements, above, taken, name), dtype="string[pyarrow]")
    parents = pd.Series(page.frame.index.to_numpy()[taken], index=index, dtype="int64")
    return Children(Page(frame, page.lines[taken], none_damaged()), parents, pd.DataFrame(broken, columns=BROKEN))


def _elements(value: Any, way: str, at: str, above: Above) -> Iterator[tuple[Any, Above]]:
    """The elements of the lists that lie this `way` below a value, which stands at the path `at` below what is `above`.
    """
    head, _, rest = way.partition(".")
    if isinstance(value, list) and not head.isdigit():
        for one in value:
            yield from _elements(one, way, at, ((at, one), *above) if isinstance(one, dict) else above)
    elif rest and not (isinstance(value, dict) and way in value):
        yield from _elements(at_path(value, head), rest, f"{at}.{head}" if at else head, above)
    else:
        found = at_path(value, way)
        elements = found if isinstance(found, list) else [] if found is MISSING or found is None else [found]
        yield from ((element, above) for element in elements)


def _cells(page: Page, elements: list[Any], above: list[Above], taken: Integers, name: str) -> Any:
    """The cells of one of the wanted columns; see `expand`."""
    place, _, column = name.rpartition(SEEN)
    path = column.lstrip(ABOVE)
    ups = len(column) - len(path)
    if not place and not ups:
        return column_of(elements, path)
    of_row = page.frame[path].array.take(taken) if path in page.frame.columns else [None] * len(taken)
    if not place and ups == 1 and not any(above):
        return of_row
    return [_seen(things, _step(things, place) + ups, path, of_its_row)
            for things, of_its_row in zip(above, of_row, strict=True)]


def _step(above: Above, place: str) -> int:
    """How far above an element the one of the list at `place` stands; 0 is itself, and none is out of reach."""
    if not place:
        return 0
    return next((step for step, (path, _) in enumerate(above, start=1) if path == place), len(above) + 2)


def _seen(above: Above, step: int, path: str, of_row: str | None) -> str | None:
    """The cell at `path` of what stands so many steps above an element; the row stands above all of them."""
    if step <= len(above):
        return cell_of(at_path(above[step - 1][1], path))
    return of_row if step == len(above) + 1 else None
