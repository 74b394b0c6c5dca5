"""Who may work on a flow or a system now, and an epoch by which a process learns that it no longer may.

Two processes, A and B: A has claimed what it will send when the connection with its lock is cut; the server gives the
lock to B, under a higher epoch, and B sends. A asks in the transaction that notes its intents: either it sees B's epoch
and writes nothing, or B, who waits for that transaction, sees A's intents and finds out what became of them first.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import BigInteger, Connection, Integer, Text, bindparam, column, func, select
from sqlalchemy.exc import DBAPIError

from crm_store.store_faults import sqlstate
from mappings.errors import RetryLater

FLOW_LOCK = 0x6E66
LEADER_LOCK = 0x6E6C
Kind = Literal["flow", "system"]
LOCKS: dict[Kind, int] = {"flow": FLOW_LOCK, "system": LEADER_LOCK}
OUTBOX, INBOX = "navette_outbox", "navette_inbox"
"""Channels on which is told what a leader waits for."""


@dataclass(frozen=True)
class Leadership:
    """A lock that was taken: `backend` is the server's process of the connection that has it."""

    kind: Kind
    name: str
    epoch: int
    backend: int


_LEAD = select(
    func.sync.lead(bindparam("lock", type_=Integer), bindparam("kind", type_=Text), bindparam("name", type_=Text))
    .table_valued(column("taken"), column("backend"))
)
_LEADS = select(func.sync.leads(
    bindparam("lock", type_=Integer), bindparam("kind", type_=Text), bindparam("name", type_=Text),
    bindparam("epoch", type_=BigInteger), bindparam("backend", type_=Integer)))
_LEADS_DURABLY = _LEADS.add_columns(func.set_config("synchronous_commit", "on", True))
_AWAIT = select(  # in its own transaction, with which the setting ends
    func.set_config("lock_timeout", bindparam("patience", type_=Text), True),
    func.pg_advisory_lock(bindparam("lock", type_=Integer), func.hashtext(bindparam("name", type_=Text))),
)
_mine: ContextVar[Leadership] = ContextVar("leadership")


def lead(connection: Connection, kind: Kind, name: str) -> Leadership | None:
    """Takes the lock for the connection's session, and raises the epoch; None where another session has it."""
    row = connection.execute(_LEAD, {"lock": LOCKS[kind], "kind": kind, "name": name}).one_or_none()
    return None if row is None else Leadership(kind, name, row.taken, row.backend)


def await_turn(connection: Connection, kind: Kind, name: str, seconds: float) -> bool:
    """Waits for the lock at most so long, behind those who came before: who only tries gets nothing in between. False
    where it was not to be had; else the session has it, `lead` takes it once more, and it is let go of as often."""
    asked = {"lock": LOCKS[kind], "name": name, "patience": f"{max(1, round(seconds * 1000))}ms"}
    try:
        connection.execute(_AWAIT, asked)
    except DBAPIError as error:
        if sqlstate(error) != "55P03":
            raise
        return False
    return True


@contextmanager
def under(leadership: Leadership) -> Iterator[None]:
    """What this thread does in the block is done under this leadership."""
    token = _mine.set(leadership)
    try:
        yield
    finally:
        _mine.reset(token)


def must_lead(connection: Connection, *, durably: bool = False) -> None:
    """Raises RetryLater unless this thread leads still; if it does, nobody else does before the transaction ends.
    `durably`: its commit waits for the disk."""
    mine = _mine.get()
    asked = {"lock": LOCKS[mine.kind], "kind": mine.kind, "name": mine.name, "epoch": mine.epoch,
             "backend": mine.backend}
    if not connection.scalar(_LEADS_DURABLY if durably else _LEADS, asked):
        raise RetryLater(
            "the connection that held the lock was cut, and another process may be at it by now; nothing was written",
            where=f"{mine.kind} {mine.name}", todo="nothing to do: what is to be sent waits for the next push",
        )


def may_take_in(connection: Connection) -> None:
    """Raises RetryLater where this thread led and no longer does: what it has read may be older than what another
    process has taken in by now. As `must_lead` otherwise."""
    if _mine.get(None) is not None:
        must_lead(connection)
