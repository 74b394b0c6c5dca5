"""Creates whose answer was lost: looked for at the system before another row is made.

::

    open or unclear ─ after `settle` ─▶ looked for by our reference, else by the match keys, else among all that is new
                                          ├─ one row that nobody knows ─▶ linked: the create was done
                                          ├─ none ─▶ dropped: the record is sent again
                                          └─ several, or strangers ─▶ unclear: a person says which it is, if any

A system that cuts or reformats what it stores has no row with the cells that were sent. Therefore, where these find
nothing, every row that came since the last read, or is parked, is held against what was sent (pipelines.runs.likeness).
Those that are not alike are *strangers*, where the system says that we made them, or does not say who makes its rows:
somebody may have changed the very row since. While one is open, rows that the flow does not know are parked: one of
them may be the row that was made.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Exists, RowMapping, exists, func, or_, select, update

from connectors.page import Page
from connectors.remote import Remote, Resource
from crm_store import hub_tables as tables
from mappings.codecs.into import decode_into
from mappings.codecs.keys import keys_of
from mappings.language.flow import Flow
from pipelines.hub import Hub
from pipelines.runs.likeness import stored_of
from pipelines.runs.lost_updates import page_there, rows_of, send_of, settle_updates, take_in
from pipelines.runs.planning import kept_plan
from pipelines.runs.position import position_of
from pipelines.runs.sources import seconds
from pipelines.stages.agree import link_found, link_made
from pipelines.stages.plan import IntoPlan
from pipelines.stages.prints import read_by
from pipelines.stages.sending import remote_key


def settle_before_reading(hub: Hub, flow: Flow, remote: Remote, resource: Resource) -> None:
    """Settles what is old enough of the creates that are open, so that their rows are known when they are read; and
    updates, so that their rows are not taken for somebody else's edits."""
    if flow.direction == "in":
        return
    with hub.ask.connect() as connection:
        if not connection.scalar(select(answers_open(flow.flow))):
            return
    settle_creates(hub, flow, kept_plan(hub, flow), remote, resource, patient=False)


def answers_open(flow: str) -> ColumnElement[bool]:
    """Whether the answer to a create or an update of the flow is not known."""
    return unanswered(flow).where(tables.intent.c.operation.in_(["create", "update"]))


def unanswered(flow: str) -> Exists:
    """Whether there is anything that `settle_creates` settles."""
    intent, feed = tables.intent, tables.feed
    return exists().where(feed.c.flow == flow, feed.c.id == intent.c.feed, intent.c.state.in_(["open", "unclear"]))


def settle_creates(hub: Hub, flow: Flow, plan: IntoPlan, remote: Remote, resource: Resource, *, patient: bool = True
                   ) -> None:
    """Settles every create of the flow that is open; waits until the youngest is older than the system's `settle`, or,
    not `patient`, leaves those that are younger."""
    intent = tables.intent
    with hub.ask.connect() as connection:
        left = connection.execute(
            select(intent, func.extract("epoch", func.now() - intent.c.at).label("age"))
            .where(intent.c.feed == plan.feed, intent.c.state.in_(["open", "unclear"])).order_by(intent.c.id)
        ).mappings().all()
    creates = [row for row in left if row["operation"] == "create"]
    settle_updates(hub, flow, plan, remote, resource, [row for row in left if row["operation"] != "create"])
    if not creates:
        return
    settle = seconds(hub.project.systems[flow.system].settle)
    if not patient:
        creates = [row for row in creates if float(row["age"]) >= settle]
    elif (wait := settle - min(float(row["age"]) for row in creates)) > 0:
        time.sleep(wait)
    for row in creates:
        _settle(hub, flow, plan, remote, resource, row)


def _settle(hub: Hub, flow: Flow, plan: IntoPlan, remote: Remote, resource: Resource, row: RowMapping) -> None:
    with hub.ask.connect() as connection:
        sent_as = _sent_as(connection, row)
    found = [key for key in _looked_for(plan, remote, resource, row, sent_as) if key is not None]
    strangers: list[str] = []
    if resource.reference is None and not _unknown(hub, plan, found):
        news = _news(hub, flow, plan, remote, resource)
        found += [key for key, cells in sorted(news.items()) if stored_of(_said(row), cells)]
        strangers = _strangers(hub, plan, remote, resource, row, set(news).difference(found))
    page = page_there(remote, resource, found)
    there, ours = rows_of(plan, page), False
    table, box, x = tables.intent, tables.outbox, plan.crosswalk
    with hub.engine.begin() as connection:
        among = select(x.c.key).where(x.c.id_space == plan.id_space, x.c.key.in_(found or [""]))
        known = set(connection.scalars(among))
        linked = select(x.c.key).where(x.c.id_space == plan.id_space, x.c.record_id == row["record_id"]).limit(1)
        by_hand = connection.scalar(linked)
        # Of a record that was merged into one that is known already, the row is a second one.
        looks = by_hand is None or sent_as != row["record_id"]
        free: list[Any] = [key for key in found if key not in known] if looks else [by_hand]
        if len(free) == 1 and looks:
            ours = bool(row["record"]) and stored_of(_said(row), there.get(free[0], {}))
            if ours:
                link_made(connection, plan, [send_of(plan, row, free[0])])
            else:  # somebody has changed it already, or it is not ours but a twin's: the next reading decides
                link_found(connection, plan, row["record_id"], free[0])
        maybe = ", ".join((free or strangers)[:10])
        state = {0: "unclear" if strangers else "dropped", 1: "delivered"}.get(len(free), "unclear")
        connection.execute(update(table).where(table.c.id == row["id"]).values(
            state=state, code="found" if free else "not_found", key=free[0] if len(free) == 1 else None,
            message=maybe or None, answered_at=func.now(),
        ))
        marker: dict[str, Any] = {"state": "waiting", "due_at": func.now(), "why": None}
        if state == "unclear":
            marker = {"state": "unclear", "why": {"code": "create_unclear", "keys": maybe}}
        connection.execute(
            update(box).where(box.c.feed == plan.feed, box.c.record_id == row["record_id"]).values(marker))
    if ours and page is not None:
        take_in(hub, flow, page, resource)


def _sent_as(connection: Connection, row: RowMapping) -> int:
    """The id that the record had when it was sent: it may have been merged into another one since, and that again."""
    m = tables.mending
    first = connection.scalar(
        select(m.c.other_id).where(m.c.what == "merge", m.c.undone_at.is_(None),
                                   m.c.before["intents"].contains([row["id"]]))
        .order_by(m.c.id).limit(1))
    return int(row["record_id"] if first is None else first)


def _looked_for(plan: IntoPlan, remote: Remote, resource: Resource, row: RowMapping, sent_as: int) -> list[Any]:
    """The keys of the rows that may be the lost one."""
    if resource.reference is not None:
        return _keys(plan, remote.find(resource, {resource.reference: str(sent_as)}))
    for rule in plan.into.match:
        where = _cells_of(plan, rule.on, row["values"])
        if where:
            return _keys(plan, remote.find(resource, where))
    sent = _said(row)
    return _keys(plan, remote.find(resource, sent)) if sent else []


def _news(hub: Hub, flow: Flow, plan: IntoPlan, remote: Remote, resource: Resource) -> dict[str, Mapping[str, Any]]:
    """The cells, by key, of rows that changed since the flow was read last, and of those that were read and are
    parked; without rows that `when` leaves out."""
    held = tables.held
    with hub.engine.connect() as connection:
        since = position_of(connection, flow.flow)
        parked = connection.execute(select(held.c.key, held.c.raw).where(
            held.c.feed == plan.feed, held.c.state == "open", held.c.outcome == "parked", held.c.key.is_not(None)))
        news: dict[str, Mapping[str, Any]] = {key: raw for key, raw in parked if raw}
    for page in remote.read(resource, since).pages() if since is not None else ():
        decoded = decode_into(page.frame, read_by(plan), plan.entity, variables={}, codes=hub.project.codes,
                              key_shapes=plan.key_shapes)
        rows: list[Any] = page.frame.to_dict("records")
        told = zip(keys_of(page.frame, plan.into.key, {}), rows, decoded.skipped, strict=True)
        news |= {key: cells for key, cells, left_out in told if isinstance(key, str) and not left_out}
    return news


def _strangers(hub: Hub, plan: IntoPlan, remote: Remote, resource: Resource, row: RowMapping, keys: Collection[str]
               ) -> list[str]:
    """Those of the keys that may be the lost row's all the same: nobody knew of them before it was sent."""
    held = tables.held
    with hub.ask.connect() as connection:
        before = connection.scalars(select(held.c.key).where(
            held.c.feed == plan.feed, held.c.key.in_(keys),
            or_(held.c.since < row["at"], held.c.state == "dismissed"))).all()
    left = _unknown(hub, plan, set(keys).difference(before))
    made = remote.made_by_us(resource, [remote_key(key) for key in left]) if left else ()
    return sorted(key for key in left if made is None or remote_key(key) in made)


def _unknown(hub: Hub, plan: IntoPlan, keys: Collection[str]) -> set[str]:
    """Those of the keys that are nobody's."""
    x = plan.crosswalk
    with hub.ask.connect() as connection:
        known = connection.scalars(select(x.c.key).where(x.c.id_space == plan.id_space, x.c.key.in_(keys)))
        return set(keys).difference(known)


def _said(row: RowMapping) -> dict[str, str]:
    """The cells that were sent, without the empty ones: a new row begins with its own defaults."""
    return {column: cell for column, cell in row["values"].items() if cell != ""}


def _cells_of(plan: IntoPlan, names: tuple[str, ...], cells: Mapping[str, str]) -> dict[str, str]:
    """The cells that were sent of these fields; nothing unless all of them were."""
    columns = [str(item.map.from_) for item in plan.fields if item.name in names and item.map.from_ is not None]
    found = {column: cells[column] for column in columns if cells.get(column)}
    return found if len(found) == len(names) else {}


def _keys(plan: IntoPlan, page: Page) -> list[Any]:
    return list(keys_of(page.frame, plan.into.key, {}).dropna()) if len(page.frame) else []
