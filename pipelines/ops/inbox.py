"""The inbox at work: what waits or was not taken in, how often calls were refused, and a second try."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, func, select, update

from crm_store import hub_tables as tables
from mappings.errors import ConfigurationError
from pipelines.hub import Hub

OPEN = ("waiting", "taking", "failed", "refused")
SHOWN = 100


@dataclass(frozen=True)
class Call:
    """One call in the inbox."""

    number: int
    system: str
    flow: str
    key: str | None
    rows: int
    received_at: datetime
    state: str
    run_id: int | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class CallCount:
    """How often calls of a system ('' for unknown ones) were refused for one cause, or repeated."""

    system: str
    what: str
    count: int
    last_at: datetime


def calls(hub: Hub, states: Sequence[str] = OPEN, limit: int = SHOWN) -> list[Call]:
    """The newest calls in these states."""
    inbox = tables.inbox
    columns = (inbox.c.id, inbox.c.system, inbox.c.flow, inbox.c.key, inbox.c.rows, inbox.c.received_at, inbox.c.state,
               inbox.c.run_id)
    query = select(*columns).where(inbox.c.state.in_(states)).order_by(inbox.c.id.desc()).limit(limit)
    with hub.engine.connect() as connection:
        return [Call(*row) for row in connection.execute(query)]


def body_of(hub: Hub, number: int) -> bytes:
    """A call as it came. Raises ConfigurationError for one that never was, or is done long since."""
    with hub.engine.connect() as connection:
        found = connection.execute(select(tables.inbox.c.body).where(tables.inbox.c.id == number)).one_or_none()
    if found is None:
        raise _none(number)
    if found.body is None:
        raise ConfigurationError(
            f"call {number} was taken in, and its body is no longer kept", where="inbox",
            todo="navette trace shows what became of its rows; `keep` of the system's hooks says how long bodies stay")
    return bytes(found.body)


def settle_calls(hub: Hub, numbers: Sequence[int], to: Literal["waiting", "dismissed"]) -> int:
    """Lets calls that were not taken in wait again, or drops them; all of them, where none is named.

    Raises ConfigurationError for a call that is not open.
    """
    inbox = tables.inbox
    movable = inbox.c.state.in_(("failed", "refused") if to == "waiting" else ("failed", "refused", "waiting"))
    with hub.engine.begin() as connection:
        change = update(inbox).where(movable)
        change = change.where(inbox.c.id.in_(numbers)) if numbers else change.where(inbox.c.state == "failed")
        moved = connection.scalars(change.values(
            state=to, **({"run_id": None} if to == "waiting" else {})).returning(inbox.c.id)).all()
        if missing := sorted(set(numbers) - set(moved)):
            raise _none(missing[0])
    return len(moved)


def open_calls(connection: Connection) -> dict[str, dict[str, int]]:
    """Calls that are not taken in, by flow and state."""
    inbox = tables.inbox
    counts: dict[str, dict[str, int]] = {}
    query = select(inbox.c.flow, inbox.c.state, func.count()).where(
        inbox.c.state.in_(("waiting", "taking", "failed"))).group_by(inbox.c.flow, inbox.c.state)
    for flow, state, count in connection.execute(query):
        counts.setdefault(flow, {})[state] = count
    return counts


def call_counts(hub: Hub) -> list[CallCount]:
    """Refused and repeated calls, most first."""
    count = tables.call_count
    query = (select(count.c.system, count.c.what, count.c.count, count.c.last_at)
             .order_by(count.c.count.desc(), *count.primary_key))
    with hub.engine.connect() as connection:
        return [CallCount(*row) for row in connection.execute(query)]


def _none(number: int) -> ConfigurationError:
    return ConfigurationError(f"there is no such call {number}, or it is not open", where="inbox",
                              todo="navette inbox list shows those that are")
