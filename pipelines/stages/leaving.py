"""Leaving: a key that goes with the run takes no record: the row that fits what it leaves comes in its place.

::

    140 is gone, 9140 fits its record:   taken by 140 ─▶ 140 leaves ─▶ 9140 is linked ─▶ 140 is unlinked (stages.absent)

Which keys go is known when everything has landed; the rows that they would have kept out are matched once more then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, func, insert, select, union_all, update

from pipelines.stages.match import match_rows, of_run
from pipelines.stages.plan import IntoPlan
from pipelines.stages.staging import IntoStaging, index_lookups


def let_follow(connection: Connection, plan: IntoPlan, tables: IntoStaging, entries: Sequence[Select[Any]],
               run: tuple[int, int | None]) -> None:
    """Notes which of the `entries` that go from the id space (key, record_id, moved) would keep a row of the run out,
    and matches these rows again. A key that has moved is there."""
    fate, out = tables.fate, tables.fate.alias("kept_out")
    kept_out = select(out.c.row_no).where(out.c.code == "taken")
    if not connection.scalar(select(kept_out.exists())):
        return
    going = union_all(*entries).subquery("going")
    records = select(func.unnest(out.c.candidates)).where(out.c.code == "taken")
    connection.execute(insert(tables.leaving).from_select(
        ["key"], select(going.c.key).where(going.c.record_id.in_(records), ~going.c.moved)))
    matched = match_rows(plan, tables, lambda s: s.c.row_no.in_(kept_out)).subquery("matched")
    values = {column.name: column for column in matched.c if column.name != "row_no"}
    with index_lookups(connection):
        connection.execute(update(fate).where(fate.c.row_no == matched.c.row_no).values(values),
                           {"low": -1, "high": 1 << 62} | of_run(plan, run))
