"""Merge: two records that are one; the loser's keys and links go to the winner, and nothing is deleted.

::

    loser    ── entries ──────────▶ winner   as aliases where it has a key in that id space already
             ── links to it ──────▶ winner   of every record, single ones and sets
             ── archived

Every flow that fills the entity is held meanwhile. The locks of mastered fields do not stand in the way: the hub's role
may. `navette undo` puts all of it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from sqlalchemy import Connection, Table, and_, any_, case, delete, exists, func, literal, select, tuple_, update

from crm_store import hub_tables as tables
from mappings.errors import ConfigurationError
from pipelines.hub import Hub
from pipelines.ops.mending import Mended, held, note, told_of, whole
from pipelines.stages.outbox import queue_anew


def merge(hub: Hub, entity: str, loser: int, winner: int, why: str | None = None) -> Mended:
    """Makes `loser` a part of `winner`. Raises ConfigurationError (no such record, the winner is archived), RetryLater
    (a run of a flow that fills the entity is under way)."""
    if entity not in hub.tables.record:
        raise ConfigurationError(f"there is no entity {entity!r}", todo=f"one of: {', '.join(hub.tables.record)}")
    if loser == winner:
        raise ConfigurationError("a record cannot be merged with itself")

    def work(connection: Connection) -> Mended:
        archived = _locked(connection, hub.tables.record[entity], entity, loser, winner)
        before = {
            "entries": _move_entries(connection, hub.tables.crosswalk[entity], loser, winner),
            **_move_links(connection, hub, entity, loser, winner),
            "archived": not archived,
            "conflicts": move_rows(connection, tables.conflict, "open", loser, winner),
            "intents": move_rows(connection, tables.intent, "unclear", loser, winner)
            + move_rows(connection, tables.intent, "open", loser, winner),
            **_move_markers(connection, hub.tables.crosswalk[entity], loser, winner),
        }
        record = hub.tables.record[entity]
        connection.execute(
            update(record).where(record.c.id == loser, record.c.archived_at.is_(None)).values(archived_at=func.now()))
        number = note(connection, None, "merge", None, winner, before, why, entity=entity, other_id=loser)
        return told_of(connection, number)

    with all_held(hub, entity):
        return whole(hub, work)


def all_held(hub: Hub, entity: str) -> ExitStack:
    """The locks of all flows that fill the entity."""
    stack = ExitStack()
    try:
        for name in sorted(hub.project.flows):
            if any(into.entity == entity for into in hub.project.flows[name].into):
                stack.enter_context(held(hub, hub.project.flows[name]))
    except BaseException:
        stack.close()
        raise
    return stack


def linking_columns(hub: Hub, entity: str) -> list[tuple[str, str, bool]]:
    """(entity, column, whether it is a set) of every field that links to records of `entity`."""
    return [
        (name, field, spec.type == "links")
        for name, other in hub.project.entities.items() for field, spec in other.fields.items()
        if spec.type in ("link", "links") and spec.to == entity
    ]


def move_rows(connection: Connection, table: Table, state: str, of: int, to: int) -> list[int]:
    """Open conflicts, or creates whose answer was lost, are from now on of the other record; returns their ids."""
    return list(connection.scalars(
        update(table).where(table.c.record_id == of, table.c.state == state).values(record_id=to)
        .returning(table.c.id)))


def _locked(connection: Connection, record: Table, entity: str, loser: int, winner: int) -> bool:
    """Both records, in the order of their ids; returns whether the loser is archived already."""
    found = {row.id: row.archived_at is not None for row in connection.execute(
        select(record.c.id, record.c.archived_at).where(record.c.id.in_([loser, winner])).order_by(record.c.id)
        .with_for_update())}
    for number in (loser, winner):
        if number not in found:
            raise ConfigurationError(f"there is no {entity} {number}")
    if found[winner]:
        raise ConfigurationError(f"{entity} {winner} is archived", todo="bring it back first, or merge the other way")
    return found[loser]


def _move_entries(connection: Connection, x: Table, loser: int, winner: int) -> list[dict[str, Any]]:
    """The loser's entries are the winner's; fingerprints stay: nothing is read into them until a row changes."""
    moved = [dict(row) for row in connection.execute(
        select(x.c.id_space, x.c.key, x.c.feed, x.c.is_primary).where(x.c.record_id == loser)).mappings()]
    other = x.alias("other")
    has = exists().where(other.c.record_id == winner, other.c.id_space == x.c.id_space, other.c.is_primary)
    connection.execute(
        update(x).where(x.c.record_id == loser).values(record_id=winner, is_primary=and_(x.c.is_primary, ~has)))
    return moved


def _move_links(connection: Connection, hub: Hub, entity: str, loser: int, winner: int) -> dict[str, Any]:
    """Links that led to the loser lead to the winner; a link of the winner itself is cleared instead."""
    links, own, sets = [], [], []
    for name, column, many in linking_columns(hub, entity):
        r = hub.tables.record[name]
        itself = r.c.id == winner if name == entity else literal(False)
        if many:
            led = literal(loser) == any_(r.c[column])
            had = [{"id": row[0], "value": row[1]} for row in
                   connection.execute(select(r.c.id, r.c[column]).where(led).order_by(r.c.id).with_for_update())]
            moved = case((itself, func.array_remove(r.c[column], loser)),
                         else_=func.array_replace(r.c[column], loser, winner))
            connection.execute(update(r).where(led).values({column: moved}))
            if had:
                sets.append({"entity": name, "column": column, "had": had})
            continue
        if connection.scalars(update(r).where(itself, r.c[column] == loser).values({column: None})
                              .returning(r.c.id)).first() is not None:
            own.append(column)
        ids = list(connection.scalars(
            update(r).where(r.c[column] == loser).values({column: winner}).returning(r.c.id)))
        if ids:
            links.append({"entity": name, "column": column, "ids": ids})
    return {"links": links, "own": own, "sets": sets}


def _move_markers(connection: Connection, x: Table, loser: int, winner: int) -> dict[str, Any]:
    """The winner is to be sent where the loser was, and to the rows that are its from now on; returns the feeds of the
    loser's markers, and which of them were unclear."""
    box = tables.outbox
    gone = connection.execute(
        delete(box).where(box.c.record_id == loser).returning(box.c.feed, box.c.state, box.c.why)).all()
    feeds = [row.feed for row in gone]
    unclear = [{"feed": row.feed, "why": row.why} for row in gone if row.state == "unclear"]
    for feed in {*feeds, *writing(connection, x, winner)}:
        queue_anew(connection, feed, select(literal(winner)))
    keep_unclear(connection, x, winner, unclear)
    return {"markers": feeds, "unclear": unclear}


def writing(connection: Connection, x: Table, record: int) -> Sequence[int]:
    """The feeds that write to rows of the record."""
    sent = tables.subscription
    return connection.scalars(
        select(sent.c.feed).where(sent.c.feed.in_(select(x.c.feed).where(x.c.record_id == record)))).all()


def keep_unclear(connection: Connection, x: Table, record: int, unclear: Sequence[dict[str, Any]]) -> None:
    """Where a create may have made one of several rows, the record is not made once more, unless it is known there."""
    box = tables.outbox
    known = exists().where(x.c.record_id == record, x.c.feed == box.c.feed)
    for one in unclear:
        connection.execute(update(box).where(box.c.record_id == record, box.c.feed == one["feed"], ~known)
                           .values(state="unclear", why=one["why"]))


def entries_among(x: Table, moved: list[dict[str, Any]]) -> Any:
    """The entries with the keys that `_move_entries` told."""
    keys = [(one["id_space"], one["key"], one["feed"]) for one in moved]
    return tuple_(x.c.id_space, x.c.key, x.c.feed).in_(keys)
