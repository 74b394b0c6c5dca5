"""What is due to be sent, and what a flow's guard says of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ARRAY, Connection, ScalarSelect, Select, Text, and_, any_, exists, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB

from crm_store import hub_tables as tables
from mappings.language.flow import Flow
from mappings.words import Outcome
from pipelines.hub import Hub
from pipelines.stages.absent import entries_of
from pipelines.stages.guard import Tripped, check_guard, enough_entries, most_let_pass
from pipelines.stages.plan import IntoPlan
from pipelines.stages.sending import allowed, unknown_there


def beyond(hub: Hub, flow: Flow, plan: IntoPlan, *, filling: bool = False) -> list[Tripped]:
    """What the flow's guard says of all that is due: updates, creates and ends there, against the entries there are.
    `filling`: many creates and updates are usual.

    Of so few markers that nothing can trip only their number is asked for, since live asks at each change.
    """
    guard = flow.guard.model_copy(update={"creates": None, "updates": None}) if filling else flow.guard
    most = most_let_pass(guard)
    if most is None:
        return []
    some = plan.once(("some are due", most), lambda: select(func.count()).select_from(
        _mine(plan).limit(most + 1).subquery()))
    with hub.ask.connect() as connection:
        if (connection.scalar(some) or 0) <= most:
            return []
    with hub.engine.connect() as connection:
        outcomes, ends = _markers(connection, flow, plan)
        entries = entries_of(connection, plan, enough_entries(guard, outcomes, ends))
    return check_guard(guard, plan.label, 1, outcomes, ends, entries, full=False)


def _mine(plan: IntoPlan) -> Select[Any]:
    """The records whose markers are due."""
    box = tables.outbox
    return select(box.c.record_id).where(box.c.feed == plan.feed, box.c.state == "waiting", box.c.due_at <= func.now())


def _markers(connection: Connection, flow: Flow, plan: IntoPlan) -> tuple[Counter[Outcome], int]:
    """How many records that are due may be made there, and changed; and ended."""
    r, x, mine = plan.record, plan.crosswalk, _mine(plan).subquery("mine")
    known = and_(exists().where(x.c.record_id == r.c.id, x.c.id_space == plan.id_space), allowed(plan, flow.write))
    ends = and_(known, literal(plan.ends is not None), r.c.archived_at.is_not(None))
    new = and_(literal(flow.write.create), unknown_there(plan, flow.write))
    counts = [func.count().filter(which) for which in (new, and_(known, ~ends), ends)]
    counted = connection.execute(select(*counts).select_from(r.join(mine, mine.c.record_id == r.c.id))).one()
    return Counter({"created": counted[0], "updated": counted[1]}), counted[2]


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
