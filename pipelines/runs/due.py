"""What is due to be sent."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ARRAY, ScalarSelect, Select, Text, any_, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB

from crm_store import hub_tables as tables
from mappings.language.flow import Flow
from pipelines.hub import Hub


def due(hub: Hub, flow: Flow) -> int:
    """How many markers of the flow are due; those that a killed process was sending are."""
    return flows_due(hub, [flow.flow]).get(flow.flow, 0)


def flows_due(hub: Hub, flows: Sequence[str]) -> dict[str, int]:
    """`due` of several flows, those only that have any."""
    with hub.ask.connect() as connection:
        return connection.scalar(_due(tuple(flows))) or {}


@lru_cache(64)
def _due(flows: tuple[str, ...]) -> Select[Any]:
    return select(due_by_flow(flows))


def due_by_flow(flows: Sequence[str]) -> ScalarSelect[Any]:
    """{flow: how many}; null where nothing is due."""
    box, feed = tables.outbox, tables.feed
    counted = (
        select(feed.c.flow, func.count().label("markers")).join_from(box, feed, feed.c.id == box.c.feed)
        .where(feed.c.flow == any_(literal(list(flows), ARRAY(Text))), box.c.state.in_(["waiting", "sending"]),
               box.c.due_at <= func.now())
        .group_by(feed.c.flow).subquery()
    )
    return select(func.jsonb_object_agg(counted.c.flow, counted.c.markers, type_=JSONB)).scalar_subquery()
