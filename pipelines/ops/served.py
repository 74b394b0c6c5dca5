"""Whether a project has something to serve over HTTP."""

from __future__ import annotations

from sqlalchemy import exists, select

from crm_store import hub_tables as tables
from pipelines.hub import Hub


def to_serve(hub: Hub) -> bool:
    """A flow that takes calls, or an application with a token that stands."""
    if any(flow.read.hook for flow in hub.project.flows.values()):
        return True
    with hub.engine.connect() as connection:
        return bool(connection.scalar(select(exists().where(tables.token.c.revoked_at.is_(None)))))
