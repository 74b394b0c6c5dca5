"""What is due to be sent, and what a flow's guard says of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ARRAY, ScalarSelect, Select, Text, any_, exists, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB

from crm_store import hub_tables as tables
from mappings.language.flow import Flow
from mappings.words import Outcome
from pipelines.hub import Hub
from pipelines.stages.absent import entries_of
from pipelines.stages.guard import Tripped, check_guard, enough_entries
from pipelines.stages.plan import IntoPlan
from pipelines.stages.sending import unknown_there


def beyond(hub: Hub, flow: Flow, plan: IntoPlan) -> list[Tripped]:
    """What the flow's guard says of all that is due: updates and creates, against the entries there are."""
    if flow.guard.creates is None and flow.guard.updates is None:
        return []
    box, x = tables.outbox, plan.crosswalk
    linked = exists().where(x.c.record_id == box.c.record_id, x.c.id_space == plan.id_space)
    mine = [box.c.feed == plan.feed, box.c.state == "waiting", box.c.due_at <= func.now()]
    with hub.engine.connect() as connection:
        changed, new = connection.execute(
            select(func.count().filter(linked), func.count().filter(~linked)).select_from(box).where(*mine)
        ).one()
        outcomes: Counter[Outcome] = Counter({"updated": changed, "created": new if flow.write.create else 0})
        entries = entries_of(connection, plan, enough_entries(flow.guard, outcomes, 0))
    return check_guard(flow.guard, plan.label, 1, outcomes, 0, entries, full=False)


def unseen(hub: Hub, flow: Flow, plan: IntoPlan, read: set[str]) -> list[Tripped]:
    """What would be made in a system of which the flow has not read everything yet: who knows what is there already.
    `read`: flows that are known to have."""
    if flow.direction != "two-way" or not flow.write.create or flow.flow in read:
        return []
    run, box, r = tables.run, tables.outbox, plan.record
    whole = select(run.c.id).where(run.c.flow == flow.flow, run.c.full, run.c.state == "done").order_by(run.c.id)
    new = select(func.count()).join_from(box, r, r.c.id == box.c.record_id).where(
        box.c.feed == plan.feed, box.c.state == "waiting", box.c.due_at <= func.now(), unknown_there(plan, flow.write))
    with hub.ask.connect() as connection:
        if connection.scalar(whole.limit(1)) is not None:
            read.add(flow.flow)
            return []
        count = connection.scalar(new) or 0
    return [Tripped("unseen", plan.label, count, 0, 0.0)] if count else []


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
