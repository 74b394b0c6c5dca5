"""Push: what the outbox of a flow holds goes to its system.

::

    claim ─▶ read the rows as they are there ─▶ down the road: news comes in, conflicts are decided, the rest is pending
                                                   │
    read back ◀─ markers gone ◀─ receipts, bases ◀─ write ◀─ intents ◀─ encode what is pending
      └▶ what the system made of it is the remote image

The caller holds the flow's lock, so nobody else reads or writes for this flow meanwhile. A process that is killed
leaves markers in state `sending` and open intents: the next push reads the rows first, so that an update which was done
is seen to be done, and looks for a create that was lost before it makes another (pipelines.runs.lost_creates).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import ARRAY, Connection, Text, any_, exists, func, insert, literal, select, update
from sqlalchemy.exc import DBAPIError

from connectors.page import Page
from connectors.remote import Capabilities, Key, Remote, RemoteDown, Resource
from crm_store import hub_tables as tables
from mappings.codecs.keys import keys_of
from mappings.errors import ConfigurationError, NavetteError
from mappings.language.flow import Flow
from mappings.words import Outcome
from pipelines.hub import Hub
from pipelines.runs.delivery import Answered, deliver, note_call
from pipelines.runs.executing import execute
from pipelines.runs.flight import Batch, Caller, Flight, create_calls, is_one_call_of_creates
from pipelines.runs.lost_creates import settle_creates
from pipelines.runs.orders import Order, Progress, quiet
from pipelines.runs.planning import kept_plan
from pipelines.runs.remote import FetchedSource, Kept, page_of, resource_of, session, sessions_beside
from pipelines.stages.absent import entries_of
from pipelines.stages.guard import Tripped, check_guard
from pipelines.stages.outbox import Marker, claim, delivered, hasten, release_interrupted, set_aside
from pipelines.stages.plan import IntoPlan
from pipelines.stages.sending import Send, creates, encode, keys_known, remote_key, updates

BATCH = 500
"""Markers claimed at once."""

Versions = dict[str, str | None]
"""Key of a row that is there to its version; None where the flow reads none."""


@dataclass
class PushResult:
    """What one push came to: writes by operation, and markers that were not delivered, by what became of them."""

    run_id: int
    flow: str
    system: str
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    problem: str | None = None
    tripped: list[Tripped] = field(default_factory=list)
    files: list[str] | None = None  # of a flow that writes files: those that were delivered

    @property
    def exit_code(self) -> int:
        return 3 if self.tripped else 4 if self.problem else 0

    def as_json(self) -> dict[str, Any]:
        names = ["created", "updated", "archived", "deleted", "unchanged", "refused", "waiting", "unclear"]
        told: dict[str, Any] = {}
        if self.files is not None:
            names = ["written", "left_out", "refused", "waiting"]
            told = {"files": self.files, "file": ", ".join(self.files)}
        return {"run_id": self.run_id, "flow": self.flow, "system": self.system, "seconds": round(self.seconds, 3),
                **{name: self.counts[name] for name in names}, **told, "problem": self.problem,
                "tripped": [trip.told() for trip in self.tripped]}


DONE = {"create": "created", "update": "updated", "archive": "archived", "delete": "deleted"}


def push_locked(hub: Hub, flow: Flow, progress: Progress = quiet, trigger: str = "push", kept: Kept | None = None,
                *, approved: bool = False) -> PushResult:
    """Sends everything that is due; the caller holds the flow's lock.

    Far more than usual (the flow's guard) is not sent, and asked for, unless it is `approved`.
    Raises ConfigurationError (the flow does not write), RetryLater (the system is paused or down), LoginRefused.
    """
    if flow.direction == "in":
        raise ConfigurationError("this flow only reads", where=f"flow {flow.flow}",
                                 todo="say direction: two-way, and what is written under `write`")
    began = time.monotonic()
    plan = kept_plan(hub, flow)
    kept, mine = kept or Kept(), kept is None
    # A system that is left alone leaves no run behind.
    with closing(kept) if mine else nullcontext(), session(hub, flow.system, kept) as remote:
        with hub.small.begin() as connection:
            release_interrupted(connection, plan.feed)
            result = PushResult(_start(connection, flow, trigger), flow.flow, flow.system)
        try:
            resource = resource_of(flow)
            can = kept.capabilities_of(remote, resource)
            if flow.write.batch is not None:
                can = replace(can, batch=min(can.batch, flow.write.batch))
            push = _Push(hub, flow, plan, remote, resource, can, result, progress, kept)
            settle_creates(hub, flow, plan, remote, resource)
            result.tripped = [] if approved else beyond(hub, flow, plan)
            if not result.tripped:
                push.all()
        finally:
            result.seconds = time.monotonic() - began
            _end(hub, result)
    return result


def _start(connection: Connection, flow: Flow, trigger: str) -> int:
    run_id: int = connection.execute(insert(tables.run).values(
        flow=flow.flow, system=flow.system, trigger=trigger, mapping="", source="outbox", state="applying",
    ).returning(tables.run.c.id)).scalar_one()
    return run_id


def _end(hub: Hub, result: PushResult) -> None:
    with hub.small.begin() as connection:
        connection.execute(update(tables.run).where(tables.run.c.id == result.run_id).values(
            state="done", ended_at=func.now(), detected={name: str(count) for name, count in result.counts.items()},
        ))


@dataclass
class _Push:
    """One session's work on one flow's outbox."""

    hub: Hub
    flow: Flow
    plan: IntoPlan
    remote: Remote
    resource: Resource
    can: Capabilities
    result: PushResult
    progress: Progress
    kept: Kept
    whole: dict[str, dict[str, str]] = field(default_factory=dict)  # mode replace: the rows as they were read, by key
    left: dict[str, Mapping[str, str]] = field(default_factory=dict)  # rows as our writes left them, by key
    made: int = 0  # how many batches made something there
    caller: Caller = field(default_factory=Caller)
    flight: Flight | None = None  # what is under way, and not noted

    def all(self) -> None:
        """Batch by batch until nothing is due; what hangs on a record that was made just now is due again then."""
        try:
            self._all()
        except BaseException:
            self.caller.close()
            with suppress(NavetteError, DBAPIError):  # what is told is the first fault
                self._note_flight()
            raise
        finally:
            self.caller.close()

    def _all(self) -> None:
        """Rows that came back with the receipts go down the road when nothing else is due, or there are many."""
        while True:
            with self.hub.small.begin() as connection:
                markers = claim(connection, self.plan.feed, self.flow.system, BATCH)
            if not markers and self.flight is not None:
                self._land()
                continue
            if not markers or len(self.left) >= BATCH:
                self._take_in_left()
            if not markers:
                return
            self.batch(markers)
            self.progress("sending", sum(self.result.counts[done] for done in DONE.values()))

    def batch(self, markers: Sequence[Marker]) -> None:
        """Sends one batch; one of creates alone is under way still when this returns, if another may follow it."""
        before = None
        try:
            lost, versions = self._bring_in(markers)
            sends = self._encoded([marker for marker in markers if marker.record_id not in lost], versions)
            batch = Batch(markers, lost, sends, self.made)
            flies = len(markers) == BATCH and is_one_call_of_creates(sends, self.can)
            if flies:
                before = self._note_flight()
                self.flight = self.caller.begin(batch, *create_calls(
                    self.hub, self.plan, self.remote, self.resource, self.can, self.result.run_id, sends))
            else:
                self._land()
                answered = deliver(self.hub, self.plan, self._sessions(), self.resource, self.can, self.result.run_id,
                                   sends)
        except RemoteDown as error:
            self._wait_for_system(markers, error)
            raise
        if flies:
            self._take_in_read(before)
            return
        self._settle(batch, answered)
        unread = self._left_unread(answered)
        if unread:  # at once: what somebody edits before that cannot be told from what the system made of ours
            self._read([remote_key(key) for key in unread], read_back=True)

    def _land(self) -> None:
        """Waits for what is under way, notes it and takes in what was read back; the session is free then."""
        self._take_in_read(self._note_flight())

    def _note_flight(self) -> Flight | None:
        """Waits until the system has answered to what is under way, and notes what it said."""
        flight = self.flight
        if flight is None:
            return None
        try:
            call = flight.called.result()
            self.flight = None
            answered = note_call(self.hub, self.plan, call)
        except RemoteDown as error:
            self._wait_for_system(flight.batch.markers, error)
            raise
        self._settle(flight.batch, answered)
        self._left_unread(answered)
        return flight

    def _take_in_read(self, flight: Flight | None) -> None:
        page = None if flight is None else flight.read.result()
        if page is not None and len(page.frame):
            self._take_in(page, "readback")

    def _wait_for_system(self, markers: Sequence[Marker], error: RemoteDown) -> None:
        with self.hub.small.begin() as connection:
            set_aside(connection, self.plan.feed, markers, "waiting",
                      {"code": "system_down", "message": error.message}, after=1.0)

    def _sessions(self) -> list[Remote]:
        """As many as the system takes writes at once."""
        beside = self.hub.project.systems[self.flow.system].limits.parallel_writes - 1
        return [self.remote, *sessions_beside(self.hub, self.flow.system, self.kept, beside)]

    def _bring_in(self, markers: Sequence[Marker]) -> tuple[set[int], Versions]:
        """Reads the rows of linked records and takes their news in; returns records whose row is gone there, and the
        versions of the others."""
        with self.hub.ask.connect() as connection:
            known = keys_known(connection, self.plan, [marker.record_id for marker in markers])
        keys = [key for every in known.values() for key in every]
        if not keys:
            return set(), {}
        self._land()  # what is under way needs the session
        if not self.left.keys().isdisjoint(keys):
            self._take_in_left()  # older than what is read now
        there = self._read([remote_key(key) for key in keys], read_back=False)
        return {record_id for record_id, every in known.items() if there.keys().isdisjoint(every)}, there

    def _read(self, keys: Sequence[Key], *, read_back: bool) -> Versions:
        """Fetches rows and sends them down the road; returns those that are there."""
        page = self.remote.fetch(self.resource, keys)
        if not len(page.frame):
            return {}
        if self.flow.write.mode == "replace" and not read_back:
            self._keep_whole(page)
        self._take_in(page, "readback" if read_back else "push")
        return self._versions(page)

    def _take_in(self, page: Page, trigger: str) -> None:
        result = execute(self.hub, Order(flow=self.flow, source=FetchedSource(page), name=self.resource.name,
                                         guarded=False, afresh=True, trigger=trigger))
        if result.state == "done":
            self.kept.seen_of(self.flow).note(page, self.plan.into.key)

    def _keep_whole(self, page: Page) -> None:
        """What the system would wipe if it were left out of an update."""
        keys = keys_of(page.frame, self.plan.into.key, {}).tolist()
        left_out = {*map(str, self.plan.into.key), self.resource.version}
        rows = page.frame.drop(columns=[name for name in page.frame.columns if name in left_out]).to_dict("records")
        self.whole = {key: {str(name): cell for name, cell in row.items() if isinstance(cell, str)}
                      for key, row in zip(keys, rows, strict=True) if isinstance(key, str)}

    def _versions(self, page: Page) -> Versions:
        """By key. A row that somebody changes after it was read is then not written over, but read again."""
        there = keys_of(page.frame, self.plan.into.key, {}).dropna()
        name = self.resource.version
        if name is None or not self.can.versions:
            return dict.fromkeys(there)
        return dict(zip(there, (text or None for text in page.frame.loc[there.index, name]), strict=True))

    def _encoded(self, markers: Sequence[Marker], versions: Versions) -> list[Send]:
        records = [marker.record_id for marker in markers]
        with self.hub.ask.connect() as connection:
            sends = updates(connection, self.plan, self.flow.write, records)
            sends += creates(connection, self.plan, self.flow.write, records)
        encode(self.plan, sends, self.hub.project.codes)
        for send in sends:
            send.version = None if send.key is None else versions.get(send.key)
            if send.operation == "update":
                send.cells = self.whole.get(send.key or "", {}) | send.cells
            if send.fault is None and not getattr(self.can, send.operation):
                send.fault = {"code": "not_able", "operation": send.operation}
        return sends

    def _settle(self, batch: Batch, answered: Sequence[Answered]) -> None:
        """Markers and counts."""
        by_record = {marker.record_id: marker for marker in batch.markers}
        why = _reasons(batch.lost, batch.sends, answered)
        good = [one.send for one in answered if one.receipt.state == "delivered"]
        self.made += any(send.operation == "create" for send in good)
        feed = self.plan.feed
        with self.hub.small.begin() as connection:
            delivered(connection, feed, [m for record, m in by_record.items() if record not in why])
            for record_id, (state, reason, after) in why.items():
                set_aside(connection, feed, [by_record[record_id]], state, reason, after=after)
                self.result.counts[state] += 1
            if self.made > batch.made:
                hasten(connection, feed, "link_unknown")
        for send in good:
            self.result.counts[DONE[send.operation]] += 1
        written = {send.record_id for send in batch.sends}
        self.result.counts["unchanged"] += sum(record not in written and record not in why for record in by_record)

    def _left_unread(self, answered: Sequence[Answered]) -> list[str]:
        """Keeps the rows that came with the receipts; returns the keys of those that are to be read."""
        unread: list[str] = []
        for one in answered:
            key = one.as_sent().key
            if one.receipt.state != "delivered" or one.send.operation not in ("create", "update") or key is None:
                continue
            if one.receipt.row is not None:
                self.left[key] = one.receipt.row
            else:
                unread.append(key)
        return unread

    def _take_in_left(self) -> None:
        """What the system made of what was written is its image of it."""
        rows, self.left = list(self.left.values()), {}
        for start in range(0, len(rows), BATCH):
            self._take_in(page_of(rows[start : start + BATCH]), "readback")


Reason = tuple[str, dict[str, Any], float | None]
"""The marker's new state, why, and in how many seconds it is tried again (None: growing delays)."""


def _reasons(lost: set[int], sends: Sequence[Send], answered: Sequence[Answered]) -> dict[int, Reason]:
    """For each record that was not delivered, what becomes of its marker."""
    why: dict[int, Reason] = {record: ("refused", {"code": "gone_there"}, None) for record in lost}
    for send in sends:
        if send.fault is not None:
            waits = send.fault["code"] == "link_unknown"
            why[send.record_id] = ("waiting" if waits else "refused", send.fault, None)
    for one in answered:
        receipt, record = one.receipt, one.send.record_id
        told = {"code": receipt.code or receipt.state, "message": receipt.message, "operation": one.send.operation}
        if receipt.state == "refused":
            why[record] = ("refused", told, None)
        elif receipt.state == "unclear" and one.send.operation == "create":
            why[record] = ("unclear", told, None)
        elif receipt.state == "stale":
            why[record] = ("waiting", told, 0.0)
        elif receipt.state in ("retry", "unclear"):
            why[record] = ("waiting", told, None)
    return why


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
        entries = entries_of(connection, plan)
    outcomes: Counter[Outcome] = Counter({"updated": changed, "created": new if flow.write.create else 0})
    return check_guard(flow.guard, plan.label, 1, outcomes, 0, entries, full=False)


def due(hub: Hub, flow: Flow) -> int:
    """How many markers of the flow are due; those that a killed process was sending are."""
    return flows_due(hub, [flow.flow]).get(flow.flow, 0)


def flows_due(hub: Hub, flows: Sequence[str]) -> dict[str, int]:
    """`due` of several flows, those only that have any."""
    box, feed = tables.outbox, tables.feed
    query = (
        select(feed.c.flow, func.count()).join_from(box, feed, feed.c.id == box.c.feed)
        .where(feed.c.flow == any_(literal(list(flows), ARRAY(Text))), box.c.state.in_(["waiting", "sending"]),
               box.c.due_at <= func.now())
        .group_by(feed.c.flow)
    )
    with hub.ask.connect() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}
