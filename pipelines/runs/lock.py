"""One run of a flow at a time, and none of a flow that check refuses: a session lock on a connection of its own, gone
the moment its process dies.

Who is patient (pipelines.runs.patience) stands in the queue that PostgreSQL keeps; the others try, which gets them
nothing while anybody stands there: so a command has its turn beside live, which takes the lock again and again. Who
needs several flows takes them in the order of their names, so that no two wait for each other.

A process whose connection is cut goes on without knowing; before it writes to a system it asks whether it still leads
(pipelines.runs.leadership).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError

from crm_store.store_faults import store_error
from mappings.errors import RetryLater
from pipelines.hub import Hub
from pipelines.ops.sentences import said
from pipelines.runs.fit import must_be_fit
from pipelines.runs.leadership import Leadership, await_turn, lead, under
from pipelines.runs.patience import patience

_LET_GO = select(func.pg_advisory_unlock_all())  # the connection is the lock's alone, and may have taken it twice


class FlowBusy(RetryLater):
    """Somebody else is at the flow."""


@contextmanager
def flow_lock(hub: Hub, flow: str) -> Iterator[None]:
    """Holds the flow for a run of it while the block runs: every road to a run passes here, before anything is read.

    Raises ConfigurationError where check refuses the flow, FlowBusy when another run of it is under way, and still is
    when who is patient has waited.
    """
    must_be_fit(hub, flow)
    with mending_lock(hub, flow):
        yield


@contextmanager
def mending_lock(hub: Hub, flow: str) -> Iterator[None]:
    """The same to settle and to mend what earlier runs left, which a mistake in the flow must not keep anybody from."""
    with hub.ask.connect() as connection:
        try:
            leadership = _led(connection, flow)
        except DBAPIError as error:
            connection.invalidate()  # the session may have the lock, and goes back to nobody
            raise store_error(error, f"flow {flow}") from error
        try:
            if leadership is None:
                raise FlowBusy("another run of this flow is under way", where=f"flow {flow}",
                               todo="wait for it to end; `navette status` shows it")
            with under(leadership):
                yield
        except (DBAPIError, psycopg.Error) as error:  # COPY raises the driver's own
            raise store_error(error, f"flow {flow}") from error
        finally:
            with suppress(DBAPIError):  # where the server is gone, so is the lock
                if not connection.closed:
                    connection.execute(_LET_GO)


def _led(connection: Connection, flow: str) -> Leadership | None:
    leadership, mine = lead(connection, "flow", flow), patience()
    if leadership is not None or mine is None:
        return leadership
    came = mine.wait(lambda seconds: await_turn(connection, "flow", flow, seconds), said("waits_for_flow", flow=flow))
    return lead(connection, "flow", flow) if came else None
