"""Some of the rows that are held for each cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, func, select

from pipelines.ops.held_rows import CauseGroup, HeldRow, read_rows


@dataclass(frozen=True)
class Sampled:
    """A cause with some of its rows."""

    cause: CauseGroup
    rows: list[HeldRow]

    def as_json(self) -> dict[str, Any]:
        """The cause as `navette rejects list --json` tells it; `rows`: key, line, value and sentence of each; `more`:
        how many there are beside them."""
        return {**self.cause.as_json(), "rows": [self._row(row) for row in self.rows],
                "more": self.cause.count - len(self.rows)}

    def _row(self, row: HeldRow) -> dict[str, Any]:
        why = next(c for c in row.causes if (c.code, c.field) == (self.cause.code, self.cause.field))
        return {"key": row.key, "line": row.line, "value": why.value, "sentence": why.sentence}


def some_of_each(connection: Connection, query: Select[Any], most: int) -> list[HeldRow]:
    """The first rows of each first cause, `most` in all: a common cause must not crowd out a rare one."""
    rows = query.subquery("held_rows")
    nth = func.row_number().over(
        partition_by=[rows.c.into, rows.c.outcome, rows.c.code, rows.c.field], order_by=rows.c.id
    ).label("nth")
    ranked = select(rows.c.into, rows.c.id, nth).subquery("ranked")
    picked = connection.execute(
        select(ranked.c.into, ranked.c.id).order_by(ranked.c.nth, ranked.c.into, ranked.c.id).limit(most)
    ).all()
    # Their raw content is fetched for these alone: sorting it with all the others would not fit into memory.
    places = {(into, number): place for place, (into, number) in enumerate(picked)}
    found = read_rows(connection, select(rows).where(rows.c.id.in_({number for _, number in picked})))
    return sorted((row for row in found if (row.into, row.id) in places), key=lambda row: places[row.into, row.id])


def having(cause: CauseGroup, rows: Sequence[HeldRow]) -> list[HeldRow]:
    """Those of `rows` that are held for this cause."""
    return [
        row for row in rows
        if (row.into, row.outcome) == (cause.into, cause.outcome)
        and any((c.code, c.field) == (cause.code, cause.field) for c in row.causes)
    ]
