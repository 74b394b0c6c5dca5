"""What is on its way out: markers of the outbox with the reason that keeps each, and how every system stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, desc, func, insert, literal, select

from crm_store import hub_tables as tables
from mappings.errors import ConfigurationError
from mappings.messages import render
from pipelines.hub import Hub
from pipelines.ops.sentences import held_lines
from pipelines.runs.due import flows_due
from pipelines.runs.fit import must_be_fit

STATES = ("waiting", "sending", "refused", "unclear")


@dataclass(frozen=True)
class Outgoing:
    """One record that a system still has to receive; `why` is a sentence, '' while nothing keeps it."""

    flow: str
    system: str
    entity: str
    record_id: int
    state: str
    queued_at: datetime
    due_at: datetime
    tries: int
    code: str
    why: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class SystemStanding:
    """A system that is down or paused, and since when; or up."""

    system: str
    state: str
    since: datetime | None
    until: datetime | None
    why: str | None


def outgoing(hub: Hub, flow: str | None = None, states: Sequence[str] = STATES, limit: int | None = 100
             ) -> list[Outgoing]:
    """Markers, the longest waiting first."""
    box, feed = tables.outbox, tables.feed
    query = (
        select(feed.c.flow, feed.c.system, feed.c.entity, box.c.record_id, box.c.state, box.c.queued_at, box.c.due_at,
               box.c.tries, box.c.why)
        .join_from(box, feed, feed.c.id == box.c.feed).where(box.c.state.in_(states), *_of(hub, flow))
        .order_by(box.c.queued_at, box.c.record_id).limit(limit)
    )
    with hub.engine.connect() as connection:
        return [Outgoing(*row[:-1], code=(row.why or {}).get("code", ""), why=_sentence(row.why))
                for row in connection.execute(query)]


def counts(hub: Hub) -> dict[str, dict[str, int]]:
    """How many markers each flow has, by state."""
    box, feed = tables.outbox, tables.feed
    query = (
        select(feed.c.flow, box.c.state, func.count()).join_from(box, feed, feed.c.id == box.c.feed)
        .group_by(feed.c.flow, box.c.state)
    )
    found: dict[str, dict[str, int]] = {}
    with hub.engine.connect() as connection:
        for flow, state, count in connection.execute(query):
            found.setdefault(flow, {})[state] = count
    return found


def held(hub: Hub) -> dict[str, list[str]]:
    """The flows whose last push waits for a person, while something is due: why, and behind that what to do."""
    run, writing = tables.run, [name for name, flow in hub.project.flows.items() if flow.direction != "in"]
    found: dict[str, list[str]] = {}
    with hub.engine.connect() as connection:
        for flow in flows_due(hub, writing):
            last = select(run.c.problem).where(run.c.flow == flow, run.c.source == "outbox", run.c.state == "done")
            if told := held_lines(flow, connection.scalar(last.order_by(desc(run.c.id)).limit(1))):
                found[flow] = told
    return found


def standings(hub: Hub) -> list[SystemStanding]:
    """Every system of the project, in the order of their names."""
    state = tables.system_state
    with hub.engine.connect() as connection:
        known = {row.system: row for row in connection.execute(select(state).order_by(desc(state.c.since)))}
    return [
        SystemStanding(name, known[name].state, known[name].since, known[name].until, known[name].why)
        if name in known else SystemStanding(name, "up", None, None, None)
        for name in sorted(hub.project.systems)
    ]


def queue_everything(hub: Hub, name: str) -> int:
    """Queues every record of the flow's entity, for a system that is filled for the first time; returns how many."""
    flow = hub.flow(name)
    if flow.direction == "in":
        raise ConfigurationError("this flow only reads", where=f"flow {name}", todo="say direction: two-way")
    must_be_fit(hub, name)
    into, box, feed = flow.into[0], tables.outbox, tables.feed
    record = hub.tables.record[into.entity]
    with hub.engine.begin() as connection:
        number = connection.scalars(select(feed.c.id).filter_by(flow=name, label=into.label)).one()
        known = select(box.c.record_id).where(box.c.feed == number)
        every = select(literal(number), record.c.id).where(record.c.id.not_in(known)).order_by(record.c.id)
        queued = insert(box).from_select(["feed", "record_id"], every).execution_options(preserve_rowcount=True)
        return connection.execute(queued).rowcount


def _of(hub: Hub, flow: str | None) -> list[ColumnElement[bool]]:
    return [] if flow is None else [tables.feed.c.flow == hub.flow(flow).flow]


def _sentence(why: dict[str, Any] | None) -> str:
    if not why:
        return ""
    return str(why["message"]) if why.get("message") else render(why["code"], why)
