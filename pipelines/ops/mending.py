"""The crosswalk mended by hand: a key linked to a record, or unlinked; each is noted in sync.mending and can be undone.

::

    link     entry (again as it was, where the same link was taken away by hand)   lost creates settled   marker queued
    unlink   no entry; another key of the record becomes the primary one, and      conflicts settled      marker dropped
             the rows that it has left are looked at again                                                or queued

Both hold the flow's lock, so that no run decides on what is being changed, and are one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Table,
    and_,
    bindparam,
    delete,
    desc,
    exists,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import DBAPIError

from crm_store import hub_tables as tables
from crm_store.store_faults import store_error
from mappings.errors import ConfigurationError
from mappings.language.flow import Flow
from pipelines.hub import Hub
from pipelines.ops.asking import must_be_there
from pipelines.ops.decisions import decided, person
from pipelines.runs.attempt import attempt
from pipelines.runs.lock import mending_lock
from pipelines.runs.orders import quiet
from pipelines.runs.unfinished import finish_unfinished
from pipelines.stages.absent import look_again
from pipelines.stages.plan import IntoPlan, compile_flow, field_set

T = TypeVar("T")


@dataclass(frozen=True)
class Mended:
    """One thing that was mended by hand; `flow` and `key` of a link or unlink, `other_id` (the loser) of a merge."""

    id: int
    what: str
    at: datetime
    by: str
    why: str | None
    entity: str
    flow: str | None
    key: str | None
    record_id: int
    other_id: int | None
    undone_at: datetime | None
    undone_by: str | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def link(hub: Hub, name: str, key: str, record_id: int, *, into: str | None = None, why: str | None = None) -> Mended:
    """Says that `key` of the flow's system is this record. Raises ConfigurationError (there is no such record or row,
    or it is linked already), RetryLater (a run of the flow is under way)."""

    def work(connection: Connection, plan: IntoPlan) -> int:
        _lock_record(connection, plan.record, plan.into.entity, record_id)
        _must_be_free(connection, plan, key, record_id)
        again = _unlinked_before(connection, plan, key, record_id)
        if again is not None:
            restore(connection, plan.crosswalk, plan.into.entity, again)
        else:
            nothing = field_set(connection, plan.into.entity, [])
            connection.execute(insert(plan.crosswalk).values(
                id_space=plan.id_space, key=key, feed=plan.feed, record_id=record_id, base_set=nothing,
                is_primary=~_has_primary(plan.crosswalk, plan.id_space, record_id)))
        before = {"intents": _settle_creates(connection, plan, record_id, key),
                  "marker": _marker(connection, plan.feed, record_id)}
        if plan.writes:
            _queue(connection, plan.feed, record_id)
        return note(connection, plan, "link", key, record_id, before, why)

    must_be_there(hub, hub.flow(name), into, key)
    return _mend(hub, name, into, work)


def unlink(hub: Hub, name: str, key: str, *, into: str | None = None, why: str | None = None) -> Mended:
    """Says that `key` of the flow's system is no record. Raises ConfigurationError (it is not linked), RetryLater."""

    def work(connection: Connection, plan: IntoPlan) -> int:
        x = plan.crosswalk
        this = _entry(plan, key)
        entry = connection.execute(
            select(x.c.record_id, x.c.is_primary, func.to_jsonb(x.table_valued()).label("whole")).where(this)
            .with_for_update()
        ).mappings().one_or_none()
        if entry is None:
            raise ConfigurationError(f"{plan.system} {key!r} is not linked through this flow", where=f"flow {name}",
                                     todo="navette trace shows under which keys a record is known")
        record_id = int(entry["record_id"])
        marker = _marker(connection, plan.feed, record_id)
        connection.execute(delete(x).where(this))
        before = {"entry": entry["whole"], "promoted": look_again(connection, plan, [record_id]),
                  "conflicts": settle_astray(connection, x, plan.into.entity, record_id), "marker": marker}
        box = tables.outbox
        connection.execute(delete(box).where(box.c.feed == plan.feed, box.c.record_id == record_id,
                                             ~exists().where(x.c.record_id == record_id, x.c.feed == plan.feed)))
        return note(connection, plan, "unlink", key, record_id, before, why)

    return _mend(hub, name, into, work)


def mended(hub: Hub, limit: int | None = 20) -> list[Mended]:
    """What was mended by hand, the newest first."""
    with hub.engine.connect() as connection:
        return [_told(row) for row in connection.execute(_select().order_by(desc(tables.mending.c.id)).limit(limit))
                .mappings()]


def told_of(connection: Connection, number: int) -> Mended:
    """One of them. Raises ConfigurationError where there is none of this number."""
    row = connection.execute(_select().where(tables.mending.c.id == number)).mappings().one_or_none()
    if row is None:
        raise ConfigurationError(f"nothing was mended under number {number}", todo="navette undo lists what was")
    return _told(row)


def note(connection: Connection, plan: IntoPlan | None, what: str, key: str | None, record_id: int,
         before: dict[str, Any], why: str | None, *, entity: str = "", other_id: int | None = None) -> int:
    """Writes down what was mended, and what was there before; returns its number."""
    number: int = connection.execute(insert(tables.mending).values(
        what=what, by=person(), why=why, entity=entity if plan is None else plan.into.entity,
        feed=None if plan is None else plan.feed, key=key, record_id=record_id, other_id=other_id, before=before,
    ).returning(tables.mending.c.id)).scalar_one()
    return number


def whole(hub: Hub, work: Callable[[Connection], T]) -> T:
    """`work` as one transaction, tried again when the store says that this helps. Raises StoreError."""
    with hub.engine.connect() as connection:
        try:
            return attempt(connection, lambda: work(connection))
        except DBAPIError as error:
            raise store_error(error, "the crosswalk") from error


@contextmanager
def held(hub: Hub, flow: Flow) -> Iterator[None]:
    """The flow's lock, with nothing of it left half-done."""
    with mending_lock(hub, flow.flow):
        finish_unfinished(hub, flow, quiet)
        yield


def _mend(hub: Hub, name: str, into: str | None, work: Callable[[Connection, IntoPlan], int]) -> Mended:
    flow = hub.flow(name)

    def done(connection: Connection) -> Mended:
        plans = compile_flow(connection, flow, hub.project, hub.tables)
        return told_of(connection, work(connection, _chosen(plans, name, into)))

    with held(hub, flow):
        return whole(hub, done)


def _chosen(plans: tuple[IntoPlan, ...], name: str, into: str | None) -> IntoPlan:
    found = [plan for plan in plans if into in (None, plan.label)]
    if len(found) != 1:
        raise ConfigurationError("which into of the flow?", where=f"flow {name}",
                                 todo="--into " + " or ".join(plan.label for plan in plans))
    return found[0]


def _select() -> Any:
    m, feed = tables.mending, tables.feed
    names = ("id", "what", "at", "by", "why", "entity", "key", "record_id", "other_id", "undone_at", "undone_by")
    return select(*[m.c[name] for name in names], feed.c.flow).join_from(m, feed, feed.c.id == m.c.feed, isouter=True)


def _told(row: RowMapping) -> Mended:
    return Mended(**row)


def _entry(plan: IntoPlan, key: str) -> ColumnElement[bool]:
    x = plan.crosswalk
    return and_(x.c.id_space == plan.id_space, x.c.key == key, x.c.feed == plan.feed)


def _has_primary(x: Table, space: int, record_id: int) -> ColumnElement[bool]:
    other = x.alias("other")
    return exists().where(other.c.record_id == record_id, other.c.id_space == space, other.c.is_primary)


def _lock_record(connection: Connection, record: Table, entity: str, record_id: int) -> None:
    if connection.execute(select(record.c.id).where(record.c.id == record_id).with_for_update()).first() is None:
        raise ConfigurationError(f"there is no {entity} {record_id}", todo="the id of a record is in crm." + entity)


def _must_be_free(connection: Connection, plan: IntoPlan, key: str, record_id: int) -> None:
    x, feed = plan.crosswalk, tables.feed
    known = connection.execute(
        select(x.c.record_id, x.c.feed, feed.c.flow).join_from(x, feed, feed.c.id == x.c.feed)
        .where(x.c.id_space == plan.id_space, x.c.key == key)).all()
    for entry in known:
        if entry.feed == plan.feed or entry.record_id != record_id:
            same = entry.record_id == record_id
            raise ConfigurationError(
                f"{plan.system} {key!r} is {plan.into.entity} {entry.record_id} already", where=f"flow {entry.flow}",
                todo="there is nothing to do" if same else f"navette unlink {entry.flow} {key!r} first")


def _unlinked_before(connection: Connection, plan: IntoPlan, key: str, record_id: int) -> dict[str, Any] | None:
    """The entry that an unlink by hand took away, if the last one of the key was of this record."""
    m = tables.mending
    row = connection.execute(
        select(m.c.record_id, m.c.before).where(m.c.what == "unlink", m.c.feed == plan.feed, m.c.key == key,
                                                m.c.undone_at.is_(None)).order_by(desc(m.c.id)).limit(1)
    ).one_or_none()
    found: dict[str, Any] | None = row.before["entry"] if row is not None and row.record_id == record_id else None
    return found


def restore(connection: Connection, x: Table, entity: str, entry: dict[str, Any]) -> None:
    """The entry as it was, base included; the primary one only where no other is by now."""
    rows = bindparam("rows", [entry], type_=tables.mending.c.before.type)
    primary = bool(connection.scalar(select(_has_primary(x, entry["id_space"], entry["record_id"]))))
    connection.execute(select(func.sync.restore_entries(entity, rows)))
    this = and_(x.c.id_space == entry["id_space"], x.c.key == entry["key"], x.c.feed == entry["feed"])
    connection.execute(update(x).where(this).values(is_primary=not primary))


def _settle_creates(connection: Connection, plan: IntoPlan, record_id: int, key: str) -> list[int]:
    """Creates whose answer was lost: a person says which row they made."""
    intent = tables.intent
    return list(connection.scalars(
        update(intent).where(intent.c.feed == plan.feed, intent.c.record_id == record_id,
                             intent.c.operation == "create", intent.c.state.in_(["open", "unclear"]))
        .values(state="delivered", code="linked", key=key, answered_at=func.now()).returning(intent.c.id)))


def settle_astray(connection: Connection, x: Table, entity: str, record_id: int) -> list[int]:
    """Settles open conflicts of the record with rows that are not, or no longer, linked to it; returns their ids."""
    conflict = tables.conflict
    linked = exists().where(x.c.record_id == record_id, x.c.feed == conflict.c.feed, x.c.key == conflict.c.key)
    return list(connection.scalars(
        update(conflict).where(conflict.c.entity == entity, conflict.c.record_id == record_id,
                               conflict.c.state == "open", ~linked)
        .values(state="settled", decision=decided("unlinked")).returning(conflict.c.id)))


def _marker(connection: Connection, feed: int, record_id: int) -> str | None:
    """The state of the record's marker, as it is before it is touched."""
    box = tables.outbox
    return connection.scalar(select(box.c.state).where(box.c.feed == feed, box.c.record_id == record_id))


def _queue(connection: Connection, feed: int, record_id: int) -> None:
    """A marker that is due, whatever its state was: the next push reads the row and decides."""
    box = tables.outbox
    statement = upsert(box).values(feed=feed, record_id=record_id)
    connection.execute(statement.on_conflict_do_update(index_elements=["feed", "record_id"], set_={
        "generation": box.c.generation + 1, "state": "waiting", "due_at": func.now(), "tries": 0, "why": None}))
