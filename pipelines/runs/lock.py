"""One run of a flow at a time: a session lock on a connection of its own, gone the moment its process dies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import func, literal, select

from mappings.errors import RetryLater
from pipelines.hub import Hub

FLOW_LOCK = 0x6E66


@contextmanager
def flow_lock(hub: Hub, flow: str) -> Iterator[None]:
    """Holds the flow while the block runs; raises RetryLater when another run of it is under way."""
    key = (literal(FLOW_LOCK), func.hashtext(flow))
    with hub.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(select(func.pg_try_advisory_lock(*key))):
            raise RetryLater(
                "another run of this flow is under way", where=f"flow {flow}",
                todo="wait for it to end; `navette status` shows it",
            )
        try:
            yield
        finally:
            if not connection.closed:
                connection.scalar(select(func.pg_advisory_unlock(*key)))
