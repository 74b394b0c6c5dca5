"""One live process a system: a session lock on a connection of its own, gone the moment its process or server dies.

Two processes, A and B: A leads; its connection is cut while it works. The server gives the lock to B. A finds its
connection dead before its next turn and stops leading; what it was doing ends in transactions that are whole, and each
flow's own lock keeps B from the flow that A is still at, or, where that was cut too, A from writing
(pipelines.runs.leadership).
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from selectors import EVENT_READ, DefaultSelector
from typing import Protocol

import psycopg
from psycopg import sql

from mappings.errors import RetryLater
from pipelines.hub import Hub
from pipelines.runs.leadership import INBOX, LEADER_LOCK, OUTBOX

CHANNELS = (OUTBOX, INBOX)
CALLED = "navette live "


class Waitable(Protocol):
    """What a selector can wait for."""

    def fileno(self) -> int: ...


@dataclass
class Leader:
    """Holds the lock of one system, and hears what is put into the outbox and the inbox."""

    connection: psycopg.Connection[tuple[object, ...]]
    system: str

    def wait(self, seconds: float, also: Waitable) -> bool:
        """Waits for either of them, or for `also` to be readable, at most so long; False where it was `also` alone. A
        hint only: read in any case, now and then.

        Raises RetryLater when the connection is gone, and the lock with it.
        """
        deadline = time.monotonic() + seconds
        try:
            with DefaultSelector() as both:
                both.register(self.connection, EVENT_READ)
                both.register(also, EVENT_READ)
                while True:
                    if any(note.payload == self.system for note in self.connection.notifies(timeout=0)):
                        return True
                    ready = {key.fileobj for key, _ in both.select(max(0.0, deadline - time.monotonic()))}
                    if not ready or also in ready:
                        return also not in ready
        except psycopg.OperationalError as error:
            raise _gone(self.system) from error


@contextmanager
def leading(hub: Hub, system: str) -> Iterator[Leader]:
    """Leads the system while the block runs. Raises RetryLater where another process does."""
    connection = hub.store.connect(hub.store.roles.hub, autocommit=True)
    try:
        if not _takes(connection, system):
            raise RetryLater("another process keeps this system live", where=f"system {system}",
                             todo="nothing to do; this one may stand by (navette live --stand-by)")
        yield Leader(connection, system)
    finally:
        with suppress(psycopg.Error):
            connection.close()


def _takes(connection: psycopg.Connection[tuple[object, ...]], system: str) -> bool:
    """Takes the lock, says who has it, and listens; False where another session has it."""
    try:
        row = connection.execute("SELECT taken FROM sync.lead(%s, 'system', %s)", [LEADER_LOCK, system]).fetchone()
        connection.execute("SELECT set_config('application_name', %s, false)", [_called()])
        for channel in CHANNELS:
            connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
    except psycopg.OperationalError as error:
        raise _gone(system) from error
    return row is not None


def _gone(system: str) -> RetryLater:
    return RetryLater("the store's server went away", where=f"live {system}", todo="it is looked for again by itself")


def _called() -> str:
    """How the session calls itself, so that people see who leads; PostgreSQL keeps 63 bytes of it."""
    return f"{CALLED}{os.getpid()} {socket.gethostname()}"[:60]


def host_and_pid(called: str) -> tuple[str | None, int | None]:
    """Of a session that leads, by how it calls itself; None where it does so otherwise."""
    pid, _, host = called.removeprefix(CALLED).partition(" ")
    return (host, int(pid)) if called.startswith(CALLED) and pid.isdigit() else (None, None)
