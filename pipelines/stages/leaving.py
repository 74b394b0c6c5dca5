"""Leaving: a key that goes with the run takes no record, and the row that comes in its place is what it was.

::

    140 is gone, 9140 fits its record     kept out as taken by 140, or linked beside it ─▶ matched once more ─▶ its heir
    before the first row is applied       the entry of 140, with what both sides had agreed on, is 9140's from now on

Which keys go is known when everything has landed. Where several keys of a record go, or several rows fit it, nobody can
tell which was which: each begins anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    delete,
    exists,
    false,
    func,
    insert,
    null,
    or_,
    select,
    union,
    union_all,
    update,
)

from crm_store import hub_tables as hub
from pipelines.stages.match import match_rows, of_run
from pipelines.stages.plan import IntoPlan
from pipelines.stages.staging import IntoStaging, index_lookups


def let_follow(connection: Connection, plan: IntoPlan, tables: IntoStaging, entries: Sequence[Select[Any]],
               run: tuple[int, int | None]) -> None:
    """Notes which of the `entries` that go from the id space (key, record_id, moved) have a record that a row of the
    run fits, matches the rows again that they would keep out, and notes who is whose heir. A key that has moved is
    there."""
    fate, leaving = tables.fate, tables.leaving
    taken, linked = fate.c.code == "taken", fate.c["class"] == "link"
    some = select(func.count().filter(taken)).where(or_(taken, linked)).having(func.count() > 0)
    kept_out = connection.scalar(some)
    if kept_out is None:
        return
    going = union_all(*entries).subquery("going")
    records = union(select(func.unnest(fate.c.candidates)).where(taken), select(fate.c.record_id).where(linked))
    connection.execute(insert(leaving).from_select(
        ["key", "record_id"],
        select(going.c.key, going.c.record_id).distinct().where(going.c.record_id.in_(records), ~going.c.moved)))
    if kept_out:
        _match_again(connection, plan, tables, taken, run)
    rows = select(fate.c.record_id, func.min(fate.c.row_no).label("row_no")).where(linked)
    heirs = rows.group_by(fate.c.record_id).having(func.count() == 1).subquery("heirs")
    other = leaving.alias("other")
    connection.execute(
        update(leaving).where(
            leaving.c.record_id == heirs.c.record_id,
            ~exists().where(other.c.record_id == leaving.c.record_id, other.c.key != leaving.c.key))
        .values(row_no=heirs.c.row_no))
    connection.execute(
        update(fate).where(fate.c.row_no.in_(select(leaving.c.row_no)), linked).values({"class": "entry"}))


def _match_again(connection: Connection, plan: IntoPlan, tables: IntoStaging, these: ColumnElement[bool],
                 run: tuple[int, int | None]) -> None:
    """By way of a table with an index: an update would read the whole of `fate`, which has none yet, for each row."""
    fate, wait = tables.fate, tables.wait
    out = delete(fate).where(these).returning(fate.c.row_no).cte("out")
    connection.execute(insert(wait).from_select(["row_no"], select(out.c.row_no)))
    matched = match_rows(plan, tables, lambda s: s.c.row_no.in_(select(wait.c.row_no))).subquery("matched")
    names = [column.name for column in matched.c]
    with index_lookups(connection):
        connection.execute(insert(fate).from_select([*names, "waits"], select(*matched.c, false())),
                           {"low": -1, "high": 1 << 62} | of_run(plan, run))
    connection.execute(delete(wait))


def has_heirs(tables: IntoStaging) -> ColumnElement[bool]:
    """Whether a row of the run comes in the place of a key."""
    return exists(select(tables.leaving.c.key).where(tables.leaving.c.row_no.is_not(None)))


def hand_on(connection: Connection, plan: IntoPlan, tables: IntoStaging) -> None:
    """Each heir's key has the entries of the key that it follows; what is disputed is so under the new one. Done once,
    however often it is asked for."""
    x, s, left = plan.crosswalk, tables.rows, tables.leaving
    follows = [s.c.row_no == left.c.row_no]
    known = x.alias("known")
    there = exists().where(known.c.id_space == plan.id_space, known.c.key == s.c.key, known.c.feed == x.c.feed)
    conflict, feeds = hub.conflict, select(hub.feed.c.id).where(hub.feed.c.id_space == plan.id_space)
    connection.execute(update(conflict).where(
        *follows, conflict.c.feed.in_(feeds), conflict.c.key == left.c.key, conflict.c.record_id == left.c.record_id,
        conflict.c.state == "open").values(key=s.c.key))
    connection.execute(update(x).where(
        *follows, x.c.id_space == plan.id_space, x.c.key == left.c.key, x.c.record_id == left.c.record_id, ~there
    ).values(key=s.c.key, fingerprint=null()))
