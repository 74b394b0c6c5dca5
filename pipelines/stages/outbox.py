"""The outbox: one marker for each record that a feed still has to send; values are read when it is claimed.

::

    waiting ─ claim ─▶ sending ─┬─ delivered: gone, unless the record changed meanwhile ─▶ waiting
       ▲                        ├─ may pass later, hangs on another record, or its row may not be read ─▶ waiting,
       │                        │  with a time to try again
       ├── the record changes ──┼─ will never be taken as it is ─▶ refused
       └── its row changes ─────┴─ the answer was lost ─▶ unclear
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Connection,
    Integer,
    Select,
    Text,
    Update,
    any_,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, Insert, insert
from sqlalchemy.sql.dml import ReturningUpdate

from connectors.remote import NOT_ABLE
from crm_store import hub_tables as hub

LONGEST = timedelta(minutes=15)


@dataclass(frozen=True)
class Marker:
    """One claimed marker."""

    record_id: int
    generation: int
    tries: int


def queue(connection: Connection, feed: int, records: Select[Any]) -> None:
    """Markers for `records` (one column of ids); where one is there already, it is enough. One that is being sent waits
    anew when it is delivered: what goes out now was decided before this."""
    connection.execute(queued(feed, records))


def queued(feed: int, records: Select[Any]) -> Insert:
    """The statement of `queue`."""
    box = hub.outbox
    return _marked(feed, records).on_conflict_do_update(
        index_elements=["feed", "record_id"], set_={"generation": box.c.generation + 1}, where=box.c.state == "sending")


def woken(feed: int, records: Select[Any]) -> Insert:
    """The statement of `queue`, for records whose rows were read: one that was refused waits anew, since what was wrong
    may have been put right there. A push does not wake what it was refused itself: its own markers are `sending` while
    it reads, and what it reads afterwards are rows that were taken."""
    return _anew(_marked(feed, records), "refused")


def unrefused(feed: int, records: Select[Any]) -> Update:
    """The statement of `woken` for markers that are there: also where nothing is left to be sent."""
    box = hub.outbox
    return (
        update(box).where(box.c.feed == feed, box.c.state == "refused", box.c.record_id.in_(records))
        .values(generation=box.c.generation + 1, due_at=func.now(), tries=0, why=None, state="waiting")
    )


def queue_anew(connection: Connection, feed: int, records: Select[Any]) -> int:
    """Markers for `records`, due now, also where one was refused or waits; returns how many there are."""
    queued = _anew(_marked(feed, records), "waiting", "refused").returning(hub.outbox.c.record_id).cte("queued")
    return connection.scalar(select(func.count()).select_from(queued)) or 0


def _marked(feed: int, records: Select[Any]) -> Insert:
    ids = records.subquery()
    marked = select(literal(feed), ids.c[0]).distinct().order_by(ids.c[0])
    return insert(hub.outbox).from_select(["feed", "record_id"], marked)


def _anew(marked: Insert, *states: str) -> Insert:
    """Due now, also where there is one in these states."""
    box = hub.outbox
    return marked.on_conflict_do_update(index_elements=["feed", "record_id"], set_={
        "generation": box.c.generation + 1, "due_at": func.now(), "tries": 0, "why": None, "state": "waiting",
    }, where=box.c.state.in_(states))


def claim(connection: Connection, feed: int, system: str, limit: int) -> list[Marker]:
    """Takes at most `limit` markers whose time has come, oldest first; the caller holds the flow's lock.

    None while the system is paused: who pauses it and then edits a record finds that nothing of the edit went out.
    """
    taken = connection.execute(_claimed(), {"its_feed": feed, "system": system, "most": limit}).all()
    return sorted((Marker(*row) for row in taken), key=lambda marker: marker.record_id)


@lru_cache(1)
def _claimed() -> ReturningUpdate[Any]:
    box, state, feed = hub.outbox, hub.system_state, bindparam("its_feed", type_=Integer)
    paused = exists().where(state.c.system == bindparam("system", type_=Text), state.c.state == "paused")
    due = (
        select(box.c.record_id).where(box.c.feed == feed, box.c.state == "waiting", box.c.due_at <= func.now(), ~paused)
        .order_by(box.c.queued_at, box.c.record_id).limit(bindparam("most", type_=Integer))
        .with_for_update(skip_locked=True)
    )
    return (
        update(box).where(box.c.feed == feed, box.c.record_id.in_(due)).values(state="sending")
        .returning(box.c.record_id, box.c.generation, box.c.tries)
    )


def release_interrupted(feed: int) -> Update:
    """What a killed process was sending waits again: reading the system first tells what it had done."""
    box = hub.outbox
    return update(box).where(box.c.feed == feed, box.c.state == "sending").values(state="waiting", due_at=func.now())


def delivered(connection: Connection, feed: int, markers: Collection[Marker]) -> bool:
    """Removes markers whose record is as it was when it was claimed; the others wait anew. Returns whether any do."""
    box = hub.outbox
    same = tuple_(box.c.record_id, box.c.generation).in_([(m.record_id, m.generation) for m in markers])
    if not markers or connection.execute(delete(box).where(box.c.feed == feed, same)).rowcount == len(markers):
        return False
    connection.execute(
        update(box).where(box.c.feed == feed, _among(markers), box.c.state == "sending")
        .values(state="waiting", tries=0, why=None, due_at=func.now())
    )
    return True


def set_aside(connection: Connection, feed: int, markers: Sequence[Marker], state: str, why: Mapping[str, Any], *,
              after: float | None = None) -> None:
    """Markers that were not delivered: `refused`, `unclear`, or `waiting` for `after` seconds (None: growing delays).

    A record that changed since it was claimed waits anew instead: the change may be what was needed. Not where it is
    unclear what became of it: sent again before that is settled, it would be there twice.
    """
    box = hub.outbox
    if not markers:
        return
    as_claimed = [(marker.record_id, marker.generation) for marker in markers]
    same = true() if state == "unclear" else tuple_(box.c.record_id, box.c.generation).in_(as_claimed)
    grown = func.least(func.power(2, func.least(box.c.tries, 20)), LONGEST.total_seconds())
    delay = grown if after is None else literal(after)
    connection.execute(
        update(box).where(box.c.feed == feed, _among(markers), box.c.state == "sending").values(
            state=case((same, literal(state)), else_="waiting"),
            why=case((same, literal(dict(why), JSONB))),
            tries=box.c.tries + 1,
            due_at=case((same, func.now() + func.make_interval(0, 0, 0, 0, 0, 0, delay)), else_=func.now()),
        )
    )


def hasten_all(connection: Connection, flows: Collection[str]) -> None:
    """What waits of these flows, whatever for, is due now. What somebody is changing is left out: the change makes it
    due, and two who wait for each other would be stopped."""
    box, feed = hub.outbox, hub.feed
    later = (
        select(box.c.feed, box.c.record_id).join(feed, feed.c.id == box.c.feed)
        .where(feed.c.flow.in_(flows), box.c.state == "waiting", box.c.due_at > func.now())
        .with_for_update(skip_locked=True, of=box)
    )
    connection.execute(update(box).where(tuple_(box.c.feed, box.c.record_id).in_(later)).values(due_at=func.now()))


def hasten(connection: Connection, feed: int, code: str) -> None:
    """What waits for `code` is due now."""
    box = hub.outbox
    connection.execute(
        update(box).where(box.c.feed == feed, box.c.state == "waiting", box.c.why["code"].astext == code)
        .values(due_at=func.now())
    )


def try_again(connection: Connection, feed: int) -> None:
    """What the system, or our login there, was not able to do is due again: by now it may be."""
    box = hub.outbox
    connection.execute(
        update(box).where(box.c.feed == feed, box.c.state.in_(("refused", "waiting")),
                          box.c.why["code"].astext == NOT_ABLE)
        .values(state="waiting", due_at=func.now())
    )


def drop_gone(connection: Connection, feeds: Collection[int], records: Select[Any]) -> None:
    """What was refused since the row is gone there: with the link, or the record itself, nothing is left to be told."""
    box = hub.outbox
    connection.execute(delete(box).where(box.c.feed.in_(feeds), box.c.state == "refused", box.c.record_id.in_(records),
                                         box.c.why["code"].astext == "gone_there"))


def _among(markers: Collection[Marker]) -> Any:
    return hub.outbox.c.record_id == any_(literal([m.record_id for m in markers], ARRAY(BigInteger)))
