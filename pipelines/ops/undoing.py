"""Undo: what was mended by hand, put back as it was; the newest first where two touch the same record or key."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Connection,
    Table,
    and_,
    any_,
    case,
    cast,
    delete,
    false,
    func,
    literal,
    null,
    or_,
    select,
    true,
    update,
)

from crm_store import hub_tables as tables
from mappings.errors import ConfigurationError
from pipelines.hub import Hub
from pipelines.ops.decisions import person
from pipelines.ops.mending import Mended, held, restore, settle_astray, told_of, whole
from pipelines.ops.merging import all_held, entries_among, keep_unclear, writing
from pipelines.stages.outbox import queue_anew
from pipelines.stages.plan import field_set


def undo(hub: Hub, number: int) -> Mended:
    """Undoes one link, unlink or merge. Raises ConfigurationError (undone already, something later stands on it, the
    key is somebody else's by now), RetryLater."""
    with hub.engine.connect() as connection:
        told = told_of(connection, number)

    def work(connection: Connection) -> Mended:
        mending = tables.mending
        row = connection.execute(select(mending).where(mending.c.id == number).with_for_update()).mappings().one()
        if row["undone_at"] is not None:
            raise ConfigurationError(f"{number} was undone already, by {row['undone_by']}")
        _must_be_last(connection, dict(row))
        {"link": _undo_link, "unlink": _undo_unlink, "merge": _undo_merge}[row["what"]](connection, hub, dict(row))
        connection.execute(
            update(mending).where(mending.c.id == number).values(undone_at=func.now(), undone_by=person()))
        return told_of(connection, number)

    with _held(hub, told):
        return whole(hub, work)


def _held(hub: Hub, told: Mended) -> AbstractContextManager[Any]:
    if told.entity not in hub.tables.record:
        raise ConfigurationError(f"there is no entity {told.entity} any more", todo="take it up again in mappings/")
    return all_held(hub, told.entity) if told.flow is None else held(hub, hub.flow(told.flow))


def _must_be_last(connection: Connection, row: dict[str, Any]) -> None:
    m = tables.mending
    ids = [number for number in (row["record_id"], row["other_id"]) if number is not None]
    same_record = and_(m.c.entity == row["entity"], or_(m.c.record_id.in_(ids), m.c.other_id.in_(ids)))
    same_key = false() if row["feed"] is None else and_(m.c.feed == row["feed"], m.c.key == row["key"])
    later = connection.scalar(select(func.max(m.c.id)).where(
        m.c.id > row["id"], m.c.undone_at.is_(None), or_(same_record, same_key)))
    if later is not None:
        raise ConfigurationError(f"{later} came after {row['id']} and stands on it", todo=f"navette undo {later} first")


def _undo_link(connection: Connection, hub: Hub, row: dict[str, Any]) -> None:
    x, intent, box, before = hub.tables.crosswalk[row["entity"]], tables.intent, tables.outbox, row["before"]
    gone = connection.execute(delete(x).where(x.c.feed == row["feed"], x.c.key == row["key"],
                                              x.c.record_id == row["record_id"])).rowcount
    if not gone:
        raise ConfigurationError(f"{row['key']!r} is not linked to {row['entity']} {row['record_id']} any more",
                                 todo="there is nothing to undo")
    settle_astray(connection, x, row["entity"], row["record_id"])
    connection.execute(update(intent).where(intent.c.id.in_(before["intents"])).values(
        state="unclear", code=None, key=None))
    mine = (box.c.feed == row["feed"]) & (box.c.record_id == row["record_id"])
    if before["marker"] is None:
        connection.execute(delete(box).where(mine))
    else:
        connection.execute(update(box).where(mine).values(
            state="waiting" if before["marker"] == "sending" else before["marker"]))


def _undo_unlink(connection: Connection, hub: Hub, row: dict[str, Any]) -> None:
    x, conflict, before = hub.tables.crosswalk[row["entity"]], tables.conflict, row["before"]
    entry = before["entry"]
    taken = connection.execute(select(x.c.record_id).where(
        x.c.id_space == entry["id_space"], x.c.key == row["key"],
        or_(x.c.feed == row["feed"], x.c.record_id != row["record_id"])).limit(1)).scalar()
    if taken is not None:
        raise ConfigurationError(f"{row['key']!r} is {row['entity']} {taken} by now", todo="unlink it first")
    if before["promoted"]:
        connection.execute(update(x).where(x.c.id_space == entry["id_space"], x.c.record_id == row["record_id"],
                                           x.c.key.in_(before["promoted"])).values(is_primary=False))
    restore(connection, x, row["entity"], entry)
    connection.execute(update(conflict).where(conflict.c.id.in_(before["conflicts"])).values(
        state="open", decision=null()))
    if row["feed"] in writing(connection, x, row["record_id"]):  # whatever was edited here since is still to be sent
        queue_anew(connection, row["feed"], select(literal(row["record_id"])))


def _undo_merge(connection: Connection, hub: Hub, row: dict[str, Any]) -> None:
    x, record = hub.tables.crosswalk[row["entity"]], hub.tables.record[row["entity"]]
    before, winner, loser = row["before"], row["record_id"], row["other_id"]
    connection.execute(select(record.c.id).where(record.c.id.in_([winner, loser])).order_by(record.c.id)
                       .with_for_update())
    _agree_anew(connection, x, row)
    primary = [one for one in before["entries"] if one["is_primary"]]
    connection.execute(update(x).where(entries_among(x, before["entries"]), x.c.record_id == winner).values(
        record_id=loser, is_primary=entries_among(x, primary) if primary else literal(False)))
    # What each of them has may be what a row of the other one said: all their rows are looked at again.
    connection.execute(update(x).where(x.c.record_id.in_([winner, loser])).values(fingerprint=null()))
    if before["archived"]:
        connection.execute(update(record).where(record.c.id == loser).values(archived_at=null()))
    for link in before["links"]:
        r = hub.tables.record[link["entity"]]
        among = r.c.id == any_(literal(link["ids"], ARRAY(BigInteger)))
        connection.execute(update(r).where(among, r.c[link["column"]] == winner).values({link["column"]: loser}))
    for column in before["own"]:
        connection.execute(
            update(record).where(record.c.id == winner, record.c[column].is_(None)).values({column: loser}))
    for links in before["sets"]:
        _undo_sets(connection, hub, links, winner, loser)
    for table, ids in ((tables.conflict, before["conflicts"]), (tables.intent, before["intents"])):
        connection.execute(update(table).where(table.c.id.in_(ids), table.c.record_id == winner)
                           .values(record_id=loser))
    settle_astray(connection, x, row["entity"], winner)  # of the loser's rows, opened since
    for feed in before["markers"]:
        queue_anew(connection, feed, select(literal(loser)))
    for each in (winner, loser):
        for feed in writing(connection, x, each):
            queue_anew(connection, feed, select(literal(each)))
    keep_unclear(connection, x, loser, before.get("unclear", []))


def _agree_anew(connection: Connection, x: Table, row: dict[str, Any]) -> None:
    """What a system was the last to change in the winner since the merge may have come from a row of either record: in
    its rows these fields have no base, so that each record takes what its own row says, or asks. What was changed here,
    or elsewhere, went to the loser's rows as the winner's value, and the loser's own goes back to them."""
    line, feed, known, winner = tables.journal, tables.feed, tables.field_set, row["record_id"]
    each = func.jsonb_object_keys(line.c.new).table_valued("name", name="each").render_derived()
    last = {changed.name: changed.system for changed in connection.execute(
        select(each.c.name, line.c.system).select_from(line.join(each, true()))
        .where(line.c.entity == row["entity"], line.c.record_id == winner, line.c.op == "update",
               line.c.at > row["at"]).order_by(line.c.id))}
    based = connection.execute(
        select(x.c.feed, feed.c.system, known.c.id, known.c.fields).distinct()
        .select_from(x.join(feed, feed.c.id == x.c.feed).join(known, known.c.id == x.c.base_set))
        .where(x.c.record_id == winner)).all()
    for one in based:
        left = sorted({*one.fields} - {name for name, system in last.items() if system == one.system})
        if len(left) < len(one.fields):
            connection.execute(
                update(x).where(x.c.record_id == winner, x.c.feed == one.feed, x.c.base_set == one.id)
                .values(base_set=field_set(connection, row["entity"], left)))


def _undo_sets(connection: Connection, hub: Hub, links: dict[str, Any], winner: int, loser: int) -> None:
    """The loser is in each set again; the winner stays where it had been beside it, or has come since."""
    r = hub.tables.record[links["entity"]]
    ids = [one["id"] for one in links["had"]]
    beside = [one["id"] for one in links["had"] if winner in one["value"]]
    column = r.c[links["column"]]
    among = r.c.id == any_(literal(ids, ARRAY(BigInteger)))
    kept = r.c.id == any_(literal(beside, ARRAY(BigInteger)))
    back = case((kept, func.array_append(column, loser)), else_=func.array_replace(column, winner, loser))
    itself = case((r.c.id == winner, func.array_append(func.coalesce(column, cast([], ARRAY(BigInteger))), loser)),
                  else_=back)
    connection.execute(update(r).where(among).values({links["column"]: itself}))
