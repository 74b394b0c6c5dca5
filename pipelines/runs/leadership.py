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

from sqlalchemy import Connection, column, func, select

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


_mine: ContextVar[Leadership] = ContextVar("leadership")


def lead(connection: Connection, kind: Kind, name: str) -> Leadership | None:
    """Takes the lock for the connection's session, and raises the epoch; None where another session has it."""
    found = func.sync.lead(LOCKS[kind], kind, name).table_valued(column("taken"), column("backend"))
    row = connection.execute(select(found)).one_or_none()
    return None if row is None else Leadership(kind, name, row.taken, row.backend)


@contextmanager
def under(leadership: Leadership) -> Iterator[None]:
    """What this thread does in the block is done under this leadership."""
    token = _mine.set(leadership)
    try:
        yield
    finally:
        _mine.reset(token)


def must_lead(connection: Connection) -> None:
    """Raises RetryLater unless this thread leads still; if it does, nobody else does before the transaction ends."""
    mine = _mine.get()
    asked = func.sync.leads(LOCKS[mine.kind], mine.kind, mine.name, mine.epoch, mine.backend)
    if not connection.scalar(select(asked)):
        raise RetryLater(
            "the connection that held the lock was cut, and another process may be at it by now; nothing was written",
            where=f"{mine.kind} {mine.name}", todo="nothing to do: what is to be sent waits for the next push",
        )
