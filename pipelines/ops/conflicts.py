"""Conflicts that wait for a person: both sides changed a field, or differed when they first met.

::

    --ours     record stays      base := record, image of the remote := theirs      the row agrees from now on
    --theirs   record := theirs  base := theirs                                     with either decision
    --ours, where the flow, or another one of its id space, writes the field: base := theirs, so that our value is the
    newer one, and is sent by that flow

One transaction; the entry's fingerprint goes, so that the next run looks at the row again and finds both sides agreed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Table,
    Text,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, array, insert
from sqlalchemy.exc import DBAPIError

from crm_store import hub_tables as tables
from crm_store.store_faults import sqlstate
from mappings.errors import ConfigurationError, StoreError
from pipelines.hub import Hub
from pipelines.ops.decisions import decided
from pipelines.ops.records import field_columns, shown_records
from pipelines.runs.attempt import attempt, say
from pipelines.stages.outbox import queue_anew

Side = Literal["ours", "theirs"]


@dataclass(frozen=True)
class OpenConflict:
    """One field that nobody has decided. Values are as JSON has them; money is [amount, currency]."""

    id: int
    flow: str
    into: str
    system: str
    run_id: int
    key: str
    entity: str
    record: dict[str, Any]  # id, type, archived and the `show` fields
    field: str
    based: bool  # whether they had agreed on it before, on `base`
    base: Any
    ours: Any
    theirs: Any
    since: datetime

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def open_conflicts(hub: Hub, connection: Connection) -> list[OpenConflict]:
    """The latest open conflict of each key and field, oldest first."""
    conflict, feed = tables.conflict, tables.feed
    rows = connection.execute(
        select(conflict, feed.c.flow, feed.c.label, feed.c.system)
        .join_from(conflict, feed, feed.c.id == conflict.c.feed)
        .where(conflict.c.state == "open", ~_newer(conflict)).order_by(conflict.c.id)
    ).mappings().all()
    records: dict[int, dict[str, Any]] = {}
    for entity in {row["entity"] for row in rows}:
        ids = {row["record_id"] for row in rows if row["entity"] == entity}
        records |= shown_records(connection, hub, entity, ids)
    return [
        OpenConflict(
            id=row["id"], flow=row["flow"], into=row["label"], system=row["system"], run_id=row["run_id"],
            key=row["key"], entity=row["entity"], record=records.get(row["record_id"], {"id": row["record_id"]}),
            field=row["field"], based=row["based"], base=row["base"], ours=row["ours"], theirs=row["theirs"],
            since=row["at"],
        )
        for row in rows
    ]


def settle_conflict(hub: Hub, conflict_id: int, side: Side, why: str | None = None) -> OpenConflict:
    """Writes the chosen value and what both sides agree on from now on; returns the conflict as it was.

    Raises ConfigurationError for a conflict that is not open, that a newer one replaced, or whose key is linked no
    more; StoreError when the store refuses the value.
    """
    with hub.engine.connect() as connection:
        try:
            return attempt(connection, lambda: _settle(hub, connection, conflict_id, side, why))
        except DBAPIError as error:
            if sqlstate(error)[:2] not in ("22", "23", "P0"):
                raise
            said = getattr(getattr(error.orig, "diag", None), "message_primary", None)
            raise StoreError(
                f"the store refuses {side} of conflict {conflict_id}: {said or 'no reason given'}",
                todo="choose the other side, or edit the record in the CRM and run the flow again",
            ) from error


def _settle(hub: Hub, connection: Connection, conflict_id: int, side: Side, why: str | None) -> OpenConflict:
    row = _locked(connection, conflict_id)
    told = next(one for one in open_conflicts(hub, connection) if one.id == conflict_id)
    say(connection, {"navette.system": row["system"], "navette.run": str(row["run_id"])})
    record, x = hub.tables.record[row["entity"]], hub.tables.crosswalk[row["entity"]]
    columns = field_columns(hub, row["entity"], row["field"])
    if not columns:
        raise ConfigurationError(f"{row['entity']} has no field {row['field']} any more",
                                 todo="the conflict is of no use; take the field up again, or leave it")
    # Records before entries, like every run: whoever locks the other way round would meet it half-way.
    connection.execute(select(record.c.id).where(record.c.id == row["record_id"]).with_for_update())
    entries = connection.execute(
        select(x).where(x.c.id_space == row["id_space"], x.c.key == row["key"], x.c.record_id == row["record_id"])
        .order_by(x.c.feed != row["feed"], x.c.feed).with_for_update()
    ).mappings().all()
    if not entries or entries[0]["feed"] != row["feed"]:
        raise ConfigurationError(
            f"{row['key']} of {row['system']} is no longer {row['entity']} {row['record_id']}",
            where=f"conflict {conflict_id}", todo="run the flow again: it tells what stands now",
        )
    images = {column: _image(place, len(columns), record, column) for place, column in enumerate(columns)}
    this = tables.conflict.c.id == conflict_id
    if side == "theirs":
        connection.execute(
            update(record).where(record.c.id == tables.conflict.c.record_id, this)
            .values(dict(_stored(record, column, image) for column, image in images.items()))
        )
    feeds = [entry["feed"] for entry in entries]
    writer = next((feed for feed in feeds if side == "ours" and _is_sent(connection, feed, list(images))), None)
    sent = writer is not None
    for entry in entries:
        if entry["feed"] == row["feed"] or row["field"] in _based_on(connection, entry["base_set"]):
            _agree(connection, x, record, entry=entry, row=row, images=images, side="theirs" if sent else side,
                   sent=sent)
    if writer is not None:
        this_record = select(tables.conflict.c.record_id).where(this)
        queue_anew(connection, writer, this_record)
    conflict = tables.conflict
    now = connection.execute(select(func.now())).scalar_one()  # the moment that the journal has, too
    connection.execute(
        update(conflict)
        .where(conflict.c.feed == row["feed"], conflict.c.key == row["key"], conflict.c.field == row["field"],
               conflict.c.state == "open", conflict.c.id <= conflict_id)
        .values(state="settled", winner="crm" if side == "ours" else "remote", decision=decided(side, why, at=now))
    )
    return told


def _locked(connection: Connection, conflict_id: int) -> RowMapping:
    conflict, feed = tables.conflict, tables.feed
    row = connection.execute(
        select(conflict, feed.c.system, feed.c.id_space).join_from(conflict, feed, feed.c.id == conflict.c.feed)
        .where(conflict.c.id == conflict_id).with_for_update(of=conflict)
    ).mappings().one_or_none()
    if row is None or row["state"] != "open":
        state = "does not exist" if row is None else f"is {row['state']}"
        raise ConfigurationError(f"conflict {conflict_id} {state}; only an open one can be settled",
                                 todo="navette review list shows what is open")
    newer = connection.scalar(
        select(func.max(conflict.c.id)).where(
            conflict.c.feed == row["feed"], conflict.c.key == row["key"], conflict.c.field == row["field"],
            conflict.c.state == "open",
        )
    )
    if newer != conflict_id:
        raise ConfigurationError(f"the other side has changed since; conflict {newer} replaced conflict {conflict_id}",
                                 todo=f"navette review conflict {newer} --ours or --theirs")
    return row


def _newer(conflict: Table) -> ColumnElement[bool]:
    other = conflict.alias("newer")
    return exists().where(other.c.feed == conflict.c.feed, other.c.key == conflict.c.key,
                          other.c.field == conflict.c.field, other.c.state == "open", other.c.id > conflict.c.id)


def _image(place: int, parts: int, record: Table, column: str) -> ColumnElement[Any]:
    """The conflict's `theirs` as a value of the column's type; it never leaves the database, so no digit is lost."""
    theirs = tables.conflict.c.theirs
    whole = func.jsonb_build_array(theirs) if parts == 1 else theirs
    name = literal(str(place))
    kind = record.c["archived_at" if column == "archived" else column].type
    if column == "archived":
        return func.coalesce(func.jsonb_extract_path_text(whole, name) == "true", False)
    if isinstance(kind, ARRAY):
        part = func.jsonb_extract_path(whole, name)
        items = func.jsonb_array_elements_text(part).column_valued("item")
        listed = select(func.array_agg(cast(items, kind.item_type))).correlate(tables.conflict).scalar_subquery()
        return case((func.jsonb_typeof(part) == "array", listed))
    return cast(func.jsonb_extract_path_text(whole, name), kind)


def _stored(record: Table, column: str, image: ColumnElement[Any]) -> tuple[str, ColumnElement[Any]]:
    if column != "archived":
        return column, image
    return "archived_at", case((image, func.coalesce(record.c.archived_at, func.now())))


def _agree(connection: Connection, x: Table, record: Table, *, entry: RowMapping, row: RowMapping,
           images: dict[str, ColumnElement[Any]], side: Side, sent: bool) -> None:
    """The entry's base and its image of the remote, as after a run in which both sides agreed; `sent`: as before an
    edit of ours that the system has not taken yet."""
    nothing = cast(literal("{}"), JSONB)
    remote: ColumnElement[Any] = func.coalesce(x.c.remote.op("-")(array(list(images), type_=Text)), nothing)
    values: dict[str, Any] = {"fingerprint": None, "base_set": _with_field(connection, row, entry["base_set"])}
    for column, image in images.items():
        ours: ColumnElement[Any] = record.c.archived_at.is_not(None) if column == "archived" else record.c[column]
        values[f"b_{column}"] = image if sent else ours
        if side == "ours":
            differs = ours.is_distinct_from(image)
            piece = func.jsonb_build_object(literal(column, Text), func.to_jsonb(image))
            remote = remote.op("||")(case((differs, piece), else_=nothing))
    values["remote"] = func.nullif(remote, nothing)
    connection.execute(
        update(x)
        .where(and_(*[x.c[name] == entry[name] for name in ("id_space", "key", "feed")]),
               record.c.id == x.c.record_id, tables.conflict.c.record_id == record.c.id,
               tables.conflict.c.id == row["id"])
        .values(values)
    )


def _is_sent(connection: Connection, feed: int, columns: list[str]) -> bool:
    """Whether the feed writes the field to its system."""
    told = tables.subscription
    names = ["archived_at" if column == "archived" else column for column in columns]
    return bool(connection.scalar(select(exists().where(told.c.feed == feed, told.c.columns.contains(names)))))


def _with_field(connection: Connection, row: RowMapping, before: int | None) -> int:
    """The field set of the entry with this field in it."""
    table = tables.field_set
    fields = sorted({*_based_on(connection, before), row["field"]})
    connection.execute(insert(table).values(entity=row["entity"], fields=fields).on_conflict_do_nothing())
    return int(connection.execute(
        select(table.c.id).where(table.c.entity == row["entity"], table.c.fields == fields)
    ).scalar_one())


def _based_on(connection: Connection, base_set: int | None) -> Sequence[str]:
    """The fields of an entry that have a base."""
    table = tables.field_set
    known: Sequence[str] | None = connection.scalar(select(table.c.fields).where(table.c.id == base_set))
    return known or ()
