"""Cells that hold several values: taken apart, decoded one by one, and put together as a set."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mappings.codecs.cells import TEXT, Cells, Mask, contiguous, holds, judged, mask_of, picked, trimmed
from mappings.codecs.source_value import split_text

LIST = pa.list_(pa.string())
_ITEMS = pa.list_(TEXT)


def taken_apart(cells: Cells, separator: str | None) -> tuple[Cells, NDArray[np.int64]]:
    """The single values of all cells, and the position of the cell that each comes from; blanks are left out.

    A JSON list (`["a", "b"]`) needs no separator; otherwise a cell without one is a single value.
    """
    if holds(cells, b"[") or separator is None or holds(cells, b"\\"):
        lists = judged(cells, lambda text: _items(text, separator), _ITEMS)
    else:
        lists = pc.split_pattern(cells, separator)
    items = trimmed(pc.list_flatten(lists).cast(TEXT))
    owners = pc.list_parent_indices(lists).to_numpy()
    filled = mask_of(pc.not_equal(items, ""))
    return picked(items, filled), owners[filled].astype(np.int64)


def put_together(items: Cells, owners: NDArray[np.int64], rows: int) -> Any:
    """list<string> per row: distinct, sorted; null where a row has none."""
    table = pa.table({"row": owners, "item": items.cast(pa.string())}).filter(pc.is_valid(items))
    table = table.group_by(["row", "item"]).aggregate([]).sort_by([("row", "ascending"), ("item", "ascending")])
    counts = np.bincount(table["row"].to_numpy().astype(np.int64), minlength=rows)
    ends = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    lists = pa.ListArray.from_arrays(ends, contiguous(table["item"]))
    return contiguous(pc.if_else(pa.array(counts > 0), lists, pa.scalar(None, LIST)))


def rows_with(where: Mask, owners: NDArray[np.int64], rows: int) -> Mask:
    """The rows that own at least one of the marked items."""
    found = np.zeros(rows, bool)
    found[owners[where]] = True
    return found


def _items(text: str, separator: str | None) -> list[str]:
    if text.startswith("["):
        try:
            loaded = orjson.loads(text)
        except orjson.JSONDecodeError:
            loaded = None
        if isinstance(loaded, list):
            known = [item for item in loaded if item is not None]
            return [item if isinstance(item, str) else orjson.dumps(item).decode() for item in known]
    return split_text(text, separator) if separator is not None else [text]
