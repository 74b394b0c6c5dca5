"""What a flow's guard says of all that is due to be sent."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

from sqlalchemy import (
    ARRAY,
    Connection,
    Select,
    Text,
    and_,
    cast,
    distinct,
    exists,
    func,
    literal,
    null,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import array

from crm_store import hub_tables as tables
from mappings.language.flow import Flow, Guard
from mappings.words import Outcome
from pipelines.hub import Hub
from pipelines.stages.absent import entries_of
from pipelines.stages.guard import FEWEST_ROWS, Tripped, check_guard, enough_entries
from pipelines.stages.plan import IntoPlan
from pipelines.stages.sending import named_by_held, unknown_there, update_rows
from pipelines.stages.unread import pending_by_base


def beyond(hub: Hub, flow: Flow, plan: IntoPlan, *, filling: bool = False) -> list[Tripped]:
    """What the flow's guard says of all that is due: creates, updates and ends there, against the entries there are.
    `filling`: many creates and updates are usual.

    Markers are counted first, whatever they may come to. Most pushes, and those of live, are so small that this is all.
    """
    guard = flow.guard.model_copy(update={"creates": None, "updates": None}) if filling else flow.guard
    counted = plan.once("markers", lambda: select(func.count()).select_from(_mine(plan).subquery()))
    with hub.ask.connect() as connection:
        markers = connection.scalar(counted)
    most: Counter[Outcome] = Counter({"created": markers or 0, "updated": markers or 0})
    check = partial(check_guard, guard, plan.label, 1, full=False)
    if not check(most, most["updated"], FEWEST_ROWS):
        return []
    with hub.engine.connect() as connection:
        entries = entries_of(connection, plan, enough_entries(guard, most, most["updated"]))
        if not check(most, most["updated"], entries):
            return []
        return check(*_writes(connection, flow, plan, guard), entries)


def _mine(plan: IntoPlan) -> Select[Any]:
    """The records whose markers are due."""
    box = tables.outbox
    return select(box.c.record_id).where(box.c.feed == plan.feed, box.c.state == "waiting", box.c.due_at <= func.now())


def _writes(connection: Connection, flow: Flow, plan: IntoPlan, guard: Guard) -> tuple[Counter[Outcome], int]:
    """How many records that are due would be made there, changed (where the guard asks), and ended, were all rows there
    as both sides agreed on: a record that was changed and changed back, or of which nothing is written, is none."""
    x, r, mine, named = plan.crosswalk, plan.record, _mine(plan), named_by_held(plan)
    known = and_(x.c.id_space == plan.id_space, x.c.record_id.in_(mine))
    own = and_(known, x.c.feed == plan.feed)
    nothing = cast(null(), ARRAY(Text)).label("pending")
    ended = select(x.c.record_id, x.c.key, nothing).where(own)
    entries = [ended if guard.updates is None else pending_by_base(plan, own)]
    # What a run left to be put right there no base tells. It stands for as long as nobody has changed the record.
    noted = and_(x.c.pending.is_not(None), x.c.fingerprint.is_not(None))
    entries.append(select(x.c.record_id, x.c.key, x.c.pending).where(own, noted))
    if plan.shared_space:  # this flow has yet to read it, and may find anything
        read = x.alias("read")
        lacks = ~exists().where(read.c.record_id == x.c.record_id, read.c.feed == plan.feed)
        entries.append(select(x.c.record_id, x.c.key, cast(array([], type_=Text), ARRAY(Text))).where(known, lacks))
    rows = update_rows(plan, flow.write, union_all(*entries)).subquery("rows")
    ends = rows.c["#ended"]
    each = func.count(distinct(rows.c["#id"]))
    made = select(func.count()).select_from(r).where(
        r.c.id.in_(mine), literal(flow.write.create), unknown_there(plan, flow.write),
        r.c.id.not_in(select(named.c.record)))
    counted = connection.execute(select(made.scalar_subquery(), each.filter(~ends), each.filter(ends))).one()
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
