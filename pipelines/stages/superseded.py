"""Elements of nested lists whose row is not the newest of its key: they are superseded with it.

::

    {"no": "a", "rev": 5, "lines": [1, 2]}    taken in
    {"no": "a", "rev": 4, "lines": [1, 3]}    comes late: line 3 does not come in, and line 2 is not gone

So it is where the late row itself is refused: it is a reject, and its elements go with it all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Connection,
    Select,
    Subquery,
    Table,
    Tuple,
    and_,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.sql.selectable import FromClause

from pipelines.stages.match import OUTDATED, entry_of, is_older, of_run
from pipelines.stages.plan import IntoPlan
from pipelines.stages.staging import IntoStaging

_NEWEST = (1 << 63) - 1
WITH_OWNER = "with_owner"
"""The code in `fate` of an element that is superseded with the row that holds it: such a row names nothing."""


@dataclass(frozen=True)
class Aside:
    """Elements that landing had counted (`same` as unchanged, `refused` as rejected) and that go with their row."""

    same: int = 0
    refused: int = 0


def set_elements_aside(connection: Connection, plan: IntoPlan, tables: IntoStaging,
                       pairs: Sequence[tuple[IntoPlan, IntoStaging]], twice: Sequence[bool],
                       run: tuple[int, int | None]) -> Aside:
    """Supersedes the elements of `plan` whose row is not the newest of its key in the into of which they hang.

    That into stands above, so whether its keys repeat (`twice`, by the place of each into) is known already.
    """
    place = holder_place(plan, pairs)
    if place is None:
        return Aside()
    rows, fate, above = tables.rows, tables.fate, pairs[place][1]
    old: Select[Any] | CompoundSelect[Any] = select(above.fate.c.row_no).where(above.fate.c["class"] == "superseded")
    if _mark_late(connection, *pairs[place], run):
        old = union_all(old, select(above.held.c.row_no).where(above.held.c.late))
    if twice[place]:
        # Rows that are as they were when last applied have no fate, also where a later one has their key.
        same = older_rows(above)
        old = union_all(old, select(same.c.row_no).where(same.c.is_same))
    connection.execute(
        update(fate)
        .where(fate.c.row_no == rows.c.row_no, rows.c.source_no.in_(old), fate.c["class"] != "done")
        .values({"class": "superseded", "code": WITH_OWNER, "field": None, "params": None})
    )
    return Aside(*[_mark_aside(connection, table, table.c.source_no.in_(old)) for table in (tables.same, tables.held)])


def _mark_late(connection: Connection, plan: IntoPlan, tables: IntoStaging, run: tuple[int, int | None]) -> bool:
    """Marks the rows that landing refused and that are not the newest of their key; returns whether there are any.

    They have no fate that would say so: only rows that could be decoded are matched.
    """
    held = tables.held
    some = tables.once("any refused", lambda: select(exists(select(held.c.row_no).where(held.c.key.is_not(None)))))
    if not connection.scalar(some):
        return False
    x = entry_of(plan, held)
    newer_entry = exists(select(x.c.key).select_from(x).where(is_older(plan, x, held)))
    later = union_all(*[select(table.c.key, table.c.mark, table.c.row_no) for table in (tables.rows, tables.same)]
                      ).subquery("later")
    newer_row = exists().where(later.c.key == held.c.key, _place(later) > _place(held))
    late = and_(held.c.key.is_not(None), or_(OUTDATED, newer_entry, newer_row))
    marked = update(held).where(or_(held.c.late, late)).values(late=late)
    return bool(connection.execute(marked, of_run(plan, run)).rowcount)


def _place(table: FromClause) -> Tuple:
    """Where a row stands among those of its key: by its mark (none is the newest), then as it came."""
    return tuple_(func.coalesce(table.c.mark, literal(_NEWEST, BigInteger)), table.c.row_no)


def _mark_aside(connection: Connection, table: Table, goes: ColumnElement[bool]) -> int:
    """Marks what goes, and nothing else: a run that waited decides anew. Returns how many."""
    connection.execute(update(table).where(or_(table.c.aside, goes)).values(aside=goes))
    return int(connection.scalar(select(func.count()).select_from(table).where(table.c.aside)) or 0)


def stands(table: FromClause) -> ColumnElement[bool]:
    """For a row of `same` or `held`: it did not go with the row that holds it."""
    return table.c.aside.is_not(True)


def older_rows(tables: IntoStaging) -> Subquery:
    """Of the rows with one key all but the newest (mark, then place): columns row_no and is_same."""
    rows, same = tables.rows, tables.same
    everything = union_all(
        select(rows.c.row_no, rows.c.key, rows.c.mark, false().label("is_same")),
        select(same.c.row_no, same.c.key, same.c.mark, true().label("is_same")).where(stands(same)),
    ).subquery()
    twice = select(everything.c.key).group_by(everything.c.key).having(func.count() > 1).subquery()
    place = func.row_number().over(
        partition_by=everything.c.key, order_by=(everything.c.mark.desc().nulls_first(), everything.c.row_no.desc())
    )
    ranked = (
        select(everything.c.row_no, everything.c.is_same, place.label("place"))
        .join(twice, twice.c.key == everything.c.key).subquery()
    )
    return select(ranked.c.row_no, ranked.c.is_same).where(ranked.c.place > 1).subquery()


def holder_place(plan: IntoPlan, pairs: Sequence[tuple[IntoPlan, IntoStaging]]) -> int | None:
    """The place of the into, up the line of owners, whose rows are the source's own and hold the elements of `plan`."""
    owner = plan.owner
    while owner is not None:
        place = next((i for i, (p, _) in enumerate(pairs) if p.id_space in owner.spaces), None)
        if place is None or pairs[place][0].into.each is None:
            return place
        owner = pairs[place][0].owner
    return None


def newest(tables: IntoStaging) -> ColumnElement[bool]:
    """For a staged row: it is not superseded, so what it names counts."""
    fate = tables.fate
    return ~exists().where(fate.c.row_no == tables.rows.c.row_no, fate.c["class"] == "superseded")


def names_itself(tables: IntoStaging) -> ColumnElement[bool]:
    """For a staged row: it was not superseded with the row that holds it."""
    fate = tables.fate
    return ~exists().where(fate.c.row_no == tables.rows.c.row_no, fate.c.code == WITH_OWNER)
