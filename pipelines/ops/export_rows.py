"""The rows of one export, gathered one by one and kept as Arrow text: a million of them must fit into memory."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd
import pyarrow as pa

from connectors.file.neutral import REASONS
from pipelines.ops.held_rows import HeldRow

PART = 5_000


@dataclass
class Sheet:
    """One line for each raw row: one that is held in two intos, one after the other, is corrected once."""

    lines: int = 0
    runs: set[int] = field(default_factory=set)
    columns: dict[str, None] = field(default_factory=dict)  # of the source, in the order in which rows bring them
    _held: list[list[HeldRow]] = field(default_factory=list)
    _parts: list[pa.Table] = field(default_factory=list)
    _first: HeldRow | None = None

    @property
    def first(self) -> HeldRow:
        """The first row; there is one."""
        assert self._first is not None
        return self._first

    def add(self, row: HeldRow) -> None:
        """Takes the next row, in the order of runs and lines."""
        self._first = self._first or row
        self.runs.add(row.run_id)
        self.columns |= dict.fromkeys(row.raw or ())
        if self._held and _same(self._held[-1][0], row):
            self._held[-1].append(row)
            return
        if len(self._held) >= PART:
            self._pack()
        self._held.append([row])
        self.lines += 1

    def frame(self, columns: list[str]) -> pd.DataFrame:
        """The source's `columns` and REASONS, every cell text; NA where a row does not have the column."""
        self._pack()
        whole = pa.concat_tables(self._parts, promote_options="default")
        empty = pa.nulls(whole.num_rows, pa.large_string())
        names = [*columns, *REASONS]
        texts = {name: whole.column(name) if name in whole.column_names else empty for name in names}
        return pd.DataFrame({name: pd.array(text, dtype="string[pyarrow]") for name, text in texts.items()})

    def _pack(self) -> None:
        if not self._held:
            return
        firsts = [rows[0] for rows in self._held]
        causes = [[cause for row in rows for cause in row.causes] for rows in self._held]
        cells: dict[str, list[str | None]] = {
            name: [(row.raw or {}).get(name) for row in firsts] for name in self.columns
        }
        told: tuple[list[str | None], ...] = (
            ["; ".join(dict.fromkeys(cause.sentence for cause in each)) for each in causes],
            [", ".join(dict.fromkeys(cause.field for cause in each if cause.field)) for each in causes],
            [str(row.line or "") for row in firsts],
            [(row.source or "").rsplit("/", 1)[-1] for row in firsts],
            [" ".join(str(row.id) for row in rows) for rows in self._held],
            [row.raw_text for row in firsts],
        )
        cells |= dict(zip(REASONS, told, strict=True))
        self._parts.append(pa.table({name: pa.array(texts, pa.large_string()) for name, texts in cells.items()}))
        self._held.clear()


def _same(one: HeldRow, other: HeldRow) -> bool:
    return (one.source, one.line, one.raw, one.raw_text) == (other.source, other.line, other.raw, other.raw_text)
