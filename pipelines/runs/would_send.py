"""What a push would send: rows are read and decided on, but nothing is applied, no marker claimed, nothing written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select, union_all

from connectors.remote import Remote, Resource
from crm_store import hub_tables as tables
from mappings.codecs.keys import keys_of
from mappings.language.flow import Flow
from mappings.messages import render
from pipelines.hub import Hub
from pipelines.runs.executing import execute
from pipelines.runs.orders import LandedRun, Order
from pipelines.runs.remote import FetchedSource, resource_of, session
from pipelines.stages.plan import IntoPlan, compile_flow
from pipelines.stages.readable import refuse_unreadable
from pipelines.stages.rejected_there import fit_rejected
from pipelines.stages.resolve import LINKED, resolve_rows
from pipelines.stages.sending import Send, creates, encode, keys_known, refuse_unable, remote_key, updates_of
from pipelines.stages.unread import pending_by_base


@dataclass
class WouldSend:
    """`due`: how many markers are due; `sends`: the first of them, as `Preview.sends` shows them."""

    due: int = 0
    sends: list[dict[str, Any]] = field(default_factory=list)


def landed_sends(connection: Connection, flow: Flow, landed: LandedRun, due: Sequence[int], limit: int) -> list[Send]:
    """What would be pending after the landed run: of its own rows, and of the records `due` that it did not read.

    Cells are not filled yet. Records `due` that the run links to a row of the system are not made there.
    """
    plan, staging = landed.plans[0], landed.staging.intos[0]
    if not plan.writes or limit <= 0:
        return []
    s, x, fate = staging.rows, plan.crosswalk, staging.fate
    resolved = resolve_rows(plan, staging, fate).subquery("resolved")
    now = (
        select(resolved.c.record_id, s.c.key, resolved.c.pending)
        .join_from(resolved, s, s.c.row_no == resolved.c.row_no)
        .where(or_(resolved.c.pending.is_not(None), resolved.c.record_id.in_(due)))
    )
    read = select(s.c.key).join_from(s, fate, fate.c.row_no == s.c.row_no).where(fate.c["class"].in_(LINKED))
    earlier = pending_by_base(plan, and_(
        x.c.feed == plan.feed, x.c.id_space == plan.id_space, x.c.record_id.in_(due), x.c.key.not_in(read)))
    every = union_all(now, earlier).subquery("every")
    sends = updates_of(connection, plan, flow.write, select(every), limit)
    linked = set(connection.scalars(select(fate.c.record_id).where(fate.c["class"].in_(LINKED))))
    missing = [record for record in due if record not in linked]
    return [*sends, *creates(connection, plan, flow.write, missing)][:limit]


def would_push(hub: Hub, flow: Flow, before: Sequence[Send], limit: int) -> WouldSend:
    """What the flow's outbox holds that is due, after `before`: sends that a run's own rows would come to.

    Raises what `session` raises; the caller holds the flow's lock.
    """
    with hub.engine.begin() as connection:
        plan = compile_flow(connection, flow, hub.project, hub.tables)[0]
        count, due = _due(connection, plan.feed, limit)
        known = keys_known(connection, plan, due)
    keys = [remote_key(key) for every in known.values() for key in every]
    sends = list(before)
    with session(hub, flow.system) as remote:
        resource = resource_of(flow)
        can = remote.capabilities(resource)
        page = remote.fetch(resource, keys) if keys else None
        gone: list[int] = []
        if page is not None and len(page.frame):
            there = set(keys_of(page.frame, plan.into.key, {}).dropna())
            gone = [record for record, every in known.items() if not there.intersection(every)]
            asked = [record for record in due if record not in gone]

            def look(connection: Connection, landed: LandedRun) -> None:
                sends.extend(landed_sends(connection, flow, landed, asked, limit))

            execute(hub, Order(flow=flow, source=FetchedSource(page), name=resource.name, guarded=False,
                               trigger="preview", read_now=True), preview=look)
        else:
            gone = list(known)
            with hub.engine.connect() as connection:
                sends += creates(connection, plan, flow.write, [record for record in due if record not in known])
        sends = _once(sends)[:limit]
        now = _cells_there(plan, remote, resource, sends)
        encode(plan, sends, hub.project.codes)
        with hub.engine.connect() as connection:
            fit_rejected(connection, plan, sends)
        refuse_unreadable(plan, sends, now, hub.project.codes)
        refuse_unable(sends, can)
        told = _told(plan, sends, now)
    told += [_gone(record, known[record][0]) for record in gone[: max(0, limit - len(told))]]
    return WouldSend(count, told)


def _due(connection: Connection, feed: int, limit: int) -> tuple[int, list[int]]:
    """How many markers a push would claim, and the first of their records. What was being sent when a process was
    killed is due again."""
    box = tables.outbox
    waits = and_(box.c.state == "waiting", box.c.due_at <= func.now())
    mine = [box.c.feed == feed, or_(box.c.state == "sending", waits)]
    count = connection.scalar(select(func.count()).select_from(box).where(*mine))
    first = select(box.c.record_id).where(*mine).order_by(box.c.queued_at, box.c.record_id).limit(limit)
    return int(count or 0), list(connection.scalars(first))


def _once(sends: Sequence[Send]) -> list[Send]:
    """The last word on each row and each record that is to be made."""
    return list({(send.key or send.record_id, send.operation): send for send in sends}.values())


def _cells_there(plan: IntoPlan, remote: Remote, resource: Resource, sends: Sequence[Send]
                 ) -> dict[str, dict[str, str]]:
    """The cells of the rows as the system has them now, by key."""
    keys = list(dict.fromkeys(send.key for send in sends if send.key is not None))
    if not keys:
        return {}
    frame = remote.fetch(resource, [remote_key(key) for key in keys]).frame
    read = keys_of(frame, plan.into.key, {})
    rows = frame.fillna("").to_dict("records")
    return {str(key): {str(name): str(cell) for name, cell in row.items()} for key, row in zip(read, rows, strict=True)}


def _told(plan: IntoPlan, sends: Sequence[Send], there: dict[str, dict[str, str]]) -> list[dict[str, Any]]:
    keys = {str(column) for column in plan.into.key}
    told: list[dict[str, Any]] = []
    for send in sends:
        now = {} if send.key is None else there.get(send.key, {})
        ours = send.operation == "create" and plan.into.keyed.assigned == "crm"
        cells = {
            column: [now.get(column, ""), cell] for column, cell in send.cells.items()
            if (ours or column not in keys) and (send.operation != "create" or cell != "")
        }
        problem = None if send.fault is None else render(send.fault["code"], send.fault)
        operation = "bring back" if send.back else send.operation
        told.append({"operation": operation, "key": send.key, "record_id": send.record_id, "cells": cells,
                     "problem": problem})
    return told


def _gone(record_id: int, key: str) -> dict[str, Any]:
    return {"operation": "update", "key": key, "record_id": record_id, "cells": {},
            "problem": render("gone_there", {})}
