"""Calls in the inbox: kept once, given to a run, read again by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, LargeBinary, case, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from connectors.file.event import EventSource, open_events
from crm_store import hub_tables as tables
from mappings.language.flow import Flow
from pipelines.runs.leadership import INBOX
from pipelines.runs.sources import columns_wanted


@dataclass(frozen=True)
class Receipt:
    """A call that is safe in the inbox. `repeated`: it was there already; `other`: under its key, with other words."""

    number: int
    received_at: datetime
    rows: int
    repeated: bool = False
    other: bool = False


def put(connection: Connection, flow: Flow, body: bytes, *, rows: int, digest: str, key: str | None) -> Receipt:
    """Keeps a call, once: a call that was signed alike, or has the key of an earlier one, is that one."""
    inbox = tables.inbox
    made = connection.execute(
        insert(inbox).values(system=flow.system, flow=flow.flow, key=key, digest=digest, body=body, rows=rows)
        .on_conflict_do_nothing().returning(inbox.c.id, inbox.c.received_at)
    ).one_or_none()
    if made is not None:
        connection.execute(select(func.pg_notify(INBOX, flow.system),
                                  func.set_config("synchronous_commit", "on", True)))  # kept is on the disk
        return Receipt(made.id, made.received_at, rows)
    same = inbox.c.digest == digest
    other = func.coalesce(inbox.c.body != body, inbox.c.body_digest != body_digest(literal(body, LargeBinary)))
    there = connection.execute(
        select(inbox.c.id, inbox.c.received_at, inbox.c.rows, other.label("other"))
        .where(inbox.c.flow == flow.flow, or_(same, inbox.c.key == key) if key is not None else same)
        .order_by(case((inbox.c.key == key, 0), else_=1)).limit(1)
    ).one()
    return Receipt(there.id, there.received_at, there.rows, repeated=True, other=there.other)


def body_digest(body: ColumnElement[bytes]) -> ColumnElement[str]:
    """What stays of a body that is dropped, so that another one under its key is still told from it."""
    return func.encode(func.sha256(body), "hex")


def source_of(flow: Flow, events: Sequence[tuple[int, bytes]]) -> EventSource:
    """The calls as a source of this flow."""
    return open_events(events, flow.read, columns_wanted(flow))


def source_of_run(connection: Connection, flow: Flow, run_id: int) -> EventSource | None:
    """The calls that a run takes in, in the same order; None for a run on something else."""
    inbox = tables.inbox
    events = connection.execute(
        select(inbox.c.id, inbox.c.body).where(inbox.c.run_id == run_id).order_by(inbox.c.id)
    ).all()
    return source_of(flow, [(number, bytes(body)) for number, body in events]) if events else None


def claim(connection: Connection, run_id: int, calls: Sequence[int], *, done: bool = False) -> None:
    """Gives calls to a run, in the transaction in which it begins; and ends as well, where they are `done`."""
    if calls:
        connection.execute(
            update(tables.inbox).where(tables.inbox.c.id.in_(calls))
            .values(state="done" if done else "taking", run_id=run_id)
        )


def give_back(connection: Connection, run_id: int) -> None:
    """The calls of a run that was interrupted and cannot be carried on wait again; rows of theirs that were applied
    are known."""
    connection.execute(
        update(tables.inbox).where(tables.inbox.c.run_id == run_id, tables.inbox.c.state == "taking")
        .values(state="waiting", run_id=None)
    )
