"""One run of a flow at a time, and none of a flow that check refuses: a session lock on a connection of its own, gone
the moment its process dies.

A process whose connection is cut goes on without knowing; before it writes to a system it asks whether it still leads
(pipelines.runs.leadership).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from sqlalchemy import Text, bindparam, func, select
from sqlalchemy.exc import DBAPIError

from crm_store.store_faults import store_error
from mappings.errors import RetryLater
from pipelines.hub import Hub
from pipelines.runs.fit import must_be_fit
from pipelines.runs.leadership import FLOW_LOCK, lead, under

_UNLOCK = select(func.pg_advisory_unlock(FLOW_LOCK, func.hashtext(bindparam("flow", type_=Text))))


@contextmanager
def flow_lock(hub: Hub, flow: str) -> Iterator[None]:
    """Holds the flow for a run of it while the block runs: every road to a run passes here, before anything is read.

    Raises ConfigurationError where check refuses the flow, RetryLater when another run of it is under way.
    """
    must_be_fit(hub, flow)
    with mending_lock(hub, flow):
        yield


@contextmanager
def mending_lock(hub: Hub, flow: str) -> Iterator[None]:
    """The same to settle and to mend what earlier runs left, which a mistake in the flow must not keep anybody from."""
    with hub.ask.connect() as connection:
        try:
            leadership = lead(connection, "flow", flow)
        except DBAPIError as error:
            connection.invalidate()  # the session may have the lock, and goes back to nobody
            raise store_error(error, f"flow {flow}") from error
        if leadership is None:
            raise RetryLater(
                "another run of this flow is under way", where=f"flow {flow}",
                todo="wait for it to end; `navette status` shows it",
            )
        try:
            with under(leadership):
                yield
        except (DBAPIError, psycopg.Error) as error:  # COPY raises the driver's own
            raise store_error(error, f"flow {flow}") from error
        finally:
            with suppress(DBAPIError):  # where the server is gone, so is the lock
                if not connection.closed:
                    connection.scalar(_UNLOCK, {"flow": flow})
