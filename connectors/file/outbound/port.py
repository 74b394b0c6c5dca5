"""What writes an outbound file: pages of text cells in, refusals of what the file cannot hold out.

::

    page ─ judge ─▶ Unfit: rows that this file cannot hold ─▶ the others ─ write ─▶ … ─ finish(trailer) ─▶ bytes

Nothing is ever cut, replaced or left out silently: a cell that does not fit refuses its row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Cells = Mapping[str, pa.Array]
"""Column to its cells (large_string without nulls), all of one length; blank is ''."""
Spot = tuple[int, int]
"""[start, width] in a fixed width line."""
Trailer = Sequence[tuple[str | Spot, str]]
"""Where each cell of the trailer goes, and what stands there."""
TEXT = pa.large_string()
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Unfit:
    """A cell that its file cannot hold: `code` is a key of mappings.messages.REASONS, `row` counts from 0."""

    row: int
    column: str
    code: str
    params: Mapping[str, Any]


class FileWriter(Protocol):
    """One file under way, in a file that was opened for it."""

    def judge(self, cells: Cells) -> list[Unfit]:
        """Cells of a page that the file cannot hold; writes nothing."""

    def write(self, cells: Cells) -> None:
        """The rows of a page that was judged, less what did not fit."""

    def finish(self, trailer: Trailer) -> None:
        """What comes behind the rows; nothing is written after it. Raises RunStopped where the trailer does not fit."""


def flags(mask: pa.Array) -> Flags:
    return np.asarray(pc.fill_null(mask, False).to_numpy(zero_copy_only=False), dtype=bool)


def unfit(column: str, cells: pa.Array, mask: Flags, code: str, **params: Any) -> Iterator[Unfit]:
    """One for each row of the mask, with the cell as `value`."""
    for row in np.flatnonzero(mask).tolist():
        yield Unfit(row, column, code, {"value": cells[row].as_py(), **params})


def blank(rows: int) -> pa.Array:
    return pa.array([""], TEXT).take(pa.array(np.zeros(rows, dtype=np.int64)))
