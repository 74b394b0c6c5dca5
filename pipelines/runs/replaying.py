"""Held rows as a source: what was refused, parked or reviewed goes down the same road again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from connectors.file.neutral import ANSWERS
from connectors.page import DAMAGED_COLUMNS, PAGE_ROWS, Notices, Page


@dataclass
class HeldRow:
    """One raw row, its order mark and line, and the held rows (ids) that it is in."""

    raw: dict[str, str]
    mark: int | None
    line: int | None
    numbers: list[int] = field(default_factory=list)


@dataclass
class HeldSource:
    """The raw rows of held lines, in the order given; numbered from 1."""

    rows: Sequence[HeldRow]
    detected: dict[str, str] = field(default_factory=dict)
    notices: Notices = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that any of the rows has, in the order of the first row that has it; and what they answer."""
        return (*dict.fromkeys(name for row in self.rows for name in row.raw), ANSWERS)

    @property
    def size(self) -> int:
        """How many rows there are."""
        return len(self.rows)

    def pages(self, rows: int = PAGE_ROWS) -> Iterator[Page]:
        """Pages as any source gives them; a column that a row does not have is NA."""
        columns = self.columns
        for start in range(0, len(self.rows), rows):
            chunk = self.rows[start : start + rows]
            index = pd.Index(range(start + 1, start + 1 + len(chunk)), dtype="int64")
            cells: dict[str, list[str | None]] = {name: [row.raw.get(name) for row in chunk] for name in columns}
            cells[ANSWERS] = [" ".join(map(str, row.numbers)) for row in chunk]
            frame = pd.DataFrame(
                {name: pd.array(texts, dtype="string[pyarrow]") for name, texts in cells.items()}, index=index,
            )
            lines = np.array([row.line or 0 for row in chunk], dtype=np.int64)
            damaged = pd.DataFrame({name: pd.Series(dtype="object") for name in DAMAGED_COLUMNS})
            yield Page(frame, lines, damaged.astype({"row": "int64", "line": "int64"}))
