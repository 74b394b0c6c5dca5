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
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import Literal

from sqlalchemy import BigInteger, Text, bindparam, func, insert, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError

from connectors.page import Page
from connectors.remote import NOT_ABLE, Capabilities, Key, Remote, RemoteDown, Resource
from crm_store import hub_tables as tables
from mappings.errors import ConfigurationError, NavetteError
from mappings.language.flow import Flow
from pipelines.hub import Hub
from pipelines.runs.delivery import Answered, deliver, note_call
from pipelines.runs.exact import settle_exact
from pipelines.runs.executing import execute
from pipelines.runs.flight import Batch, Caller, Flight, create_calls, is_one_call_of_creates
from pipelines.runs.lost_creates import settle_creates
from pipelines.runs.news import Seen
from pipelines.runs.orders import Order, Progress, quiet
from pipelines.runs.planning import kept_plan
from pipelines.runs.push_result import PushResult
from pipelines.runs.read_back import parts_read_back
from pipelines.runs.reasons import reasons
from pipelines.runs.remote import FetchedSource, Kept, page_of, session, sessions_beside
from pipelines.runs.result import RunResult
from pipelines.runs.send_guard import beyond, unseen
from pipelines.runs.standing import Standing
from pipelines.runs.there import Rows, end_gone, expected_of, hold_back, known_unread, known_untaken, rows_of
from pipelines.stages.outbox import Marker, claim, delivered, hasten, release_interrupted, set_aside
from pipelines.stages.plan import IntoPlan
from pipelines.stages.readable import refuse_unreadable
from pipelines.stages.rejected_there import fit_rejected
from pipelines.stages.sending import Send, creates, encode, refuse_unable, remote_key, updates

BATCH = 500
"""Markers claimed at once."""

DONE = {"create": "created", "update": "updated", "archive": "archived", "delete": "deleted"}


def push_locked(hub: Hub, flow: Flow, progress: Progress = quiet, trigger: str = "push", kept: Kept | None = None,
                *, approved: bool = False, filling: bool = False, known: Standing | Literal["ask"] = "ask",
                unanswered: bool = True) -> PushResult:
    """Sends everything that is due; the caller holds the flow's lock.

    What would be made unseen, and far more than usual (the flow's guard), is not sent, and asked for, unless it is
    `approved`. `filling`: much is usual. `known`: see `session`; `unanswered`: False where it is known that the system
    has answered to everything.
    Raises ConfigurationError (the flow does not write), RetryLater (the system is paused or down), LoginRefused.
    """
    if flow.direction == "in":
        raise ConfigurationError("this flow only reads", where=f"flow {flow.flow}",
                                 todo="say direction: two-way, and what is written under `write`")
    began = time.monotonic()
    plan = kept_plan(hub, flow)
    kept, mine = kept or Kept(), kept is None
    # A system that is left alone leaves no run behind.
    with closing(kept) if mine else nullcontext(), session(hub, flow.system, kept, known) as remote:
        result = PushResult(_start(hub, flow, plan, trigger), flow.flow, flow.system)
        try:
            resource, can = kept.resource_of(hub, flow, remote)
            if flow.write.batch is not None:
                can = replace(can, batch=min(can.batch, flow.write.batch))
            push = _Push(hub, flow, plan, remote, resource, can, result, progress, kept)
            if unanswered:
                settle_creates(hub, flow, plan, remote, resource)
            if not approved:
                result.tripped = unseen(hub, flow, plan, kept.read) or beyond(hub, flow, plan, filling=filling)
            if not result.tripped:
                push.all()
        finally:
            result.seconds = time.monotonic() - began
            _end(hub, result)
    return result


def _start(hub: Hub, flow: Flow, plan: IntoPlan, trigger: str) -> int:
    begun = plan.once("push begun", lambda: insert(tables.run).values(
        flow=flow.flow, system=flow.system, trigger=bindparam("by", type_=Text), mapping="", source="outbox",
        state="applying",
    ).add_cte(release_interrupted(plan.feed).cte("released")).returning(tables.run.c.id))
    with hub.ask.connect() as connection:
        run_id: int = connection.execute(begun, {"by": trigger}).scalar_one()
        return run_id


def _end(hub: Hub, result: PushResult) -> None:
    with hub.ask.connect() as connection:
        connection.execute(_ENDED, {"its_run": result.run_id, "waits": result.waits, "came_to": {
            name: str(count) for name, count in result.counts.items()}})


_ENDED = update(tables.run).where(tables.run.c.id == bindparam("its_run", type_=BigInteger)).values(
    state="done", ended_at=func.now(), detected=bindparam("came_to", type_=JSONB),
    problem=bindparam("waits", type_=JSONB(none_as_null=True)))


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
    left: dict[str, Mapping[str, str]] = field(default_factory=dict)  # rows as our writes left them, by key
    left_of: set[int] = field(default_factory=set)  # their records
    unread: set[str] = field(default_factory=set)  # rows of this batch that are written without being read again
    changed: set[str] = field(default_factory=set)  # rows that were not as they were known: they are read
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
            with self.hub.ask.connect() as connection:
                markers = claim(connection, self.plan.feed, self.flow.system, BATCH)
            if not markers and self.flight is not None:
                self._land()
                continue
            if not markers or len(self.left) >= BATCH:
                self._take_in_left()
            if not markers:
                return
            before = self.made
            again = self.batch(markers)
            self.progress("sending", sum(self.result.counts[done] for done in DONE.values()))
            if len(markers) < BATCH and not again and self.made == before:
                self._take_in_left()
                return

    def batch(self, markers: Sequence[Marker]) -> bool:
        """Sends one batch; one of creates alone is under way still when this returns, if another may follow it. Returns
        whether anything of it is to be sent again now."""
        before = None
        try:
            lost, there = self._bring_in(markers)
            sends = self._encoded([marker for marker in markers if marker.record_id not in lost], there)
            batch = Batch(markers, lost, sends, self.made)
            flies = len(markers) == BATCH and is_one_call_of_creates(sends, self.can)
            if flies:
                before = self._note_flight()
                self.flight = self.caller.begin(batch, *create_calls(
                    self.hub, self.plan, self.remote, self.resource, self.can, self.result.run_id, sends))
            else:
                self._land()
                answered = deliver(self.hub, self.flow, self.plan, self._sessions(), self.resource, self.can,
                                   self.result.run_id, sends)
        except (RemoteDown, ConfigurationError) as error:
            self._put_back(markers, error)
            raise
        if flies:
            self._take_in_read(before)
            return False
        again = self._settle(batch, answered)
        unread = self._left_unread(answered)
        if unread:  # at once: what somebody edits before that cannot be told from what the system made of ours
            self._read_back(unread)
        return again or any(one.receipt.state in ("stale", "refused") for one in answered)

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
        except (RemoteDown, ConfigurationError) as error:
            self._put_back(flight.batch.markers, error)
            raise
        self._settle(flight.batch, answered)
        self._left_unread(answered)
        return flight

    def _take_in_read(self, flight: Flight | None) -> None:
        for rows, trigger in () if flight is None else flight.read.result():
            self._take_in(rows, trigger)

    def _put_back(self, markers: Sequence[Marker], error: RemoteDown | ConfigurationError) -> None:
        """The markers of a batch that ended with it wait: for a system that is down, or for a right that our login
        lacks, to read the rows say, for growing times."""
        down = isinstance(error, RemoteDown)
        with self.hub.small.begin() as connection:
            set_aside(connection, self.plan.feed, markers, "waiting",
                      {"code": "system_down" if down else NOT_ABLE, "message": error.message},
                      after=1.0 if down else None)

    @property
    def seen(self) -> Seen:
        return self.kept.seen_of(self.flow)

    def _sessions(self) -> list[Remote]:
        """As many as the system takes writes at once."""
        beside = self.hub.project.systems[self.flow.system].limits.parallel_writes - 1
        return [self.remote, *sessions_beside(self.hub, self.flow.system, self.kept, beside)]

    def _bring_in(self, markers: Sequence[Marker]) -> tuple[dict[int, str], Rows]:
        """Reads the rows of linked records, but for those that need not be, and takes their news in; returns the other
        rows, and records that nothing is sent of, with the code of why ('': nothing is left to be sent)."""
        if not self.left_of.isdisjoint(marker.record_id for marker in markers):
            self._take_in_left()  # older than what is read now
        records = [marker.record_id for marker in markers]
        known, there = known_unread(self.hub, self.flow, self.plan, self.can, self.seen, records, self.changed)
        self.unread = set(there)
        asked = {record_id: every for record_id, every in known.items() if not there.keys() >= set(every)}
        keys = [key for every in asked.values() for key in every]
        lacking = set[str]()
        if keys:
            self._land()  # what is under way needs the session
            read, lacking = self._read([remote_key(key) for key in keys])
            there |= read
        gone = {record_id for record_id, every in asked.items() if there.keys().isdisjoint(every)}
        ended = end_gone(self.hub, self.flow, self.plan, self.result.run_id, gone) if gone else set()
        unread = {record_id for record_id, every in asked.items() if not lacking.isdisjoint(every)}
        return {**dict.fromkeys(gone, "gone_there"), **dict.fromkeys(ended, ""),
                **dict.fromkeys(unread, "unread_there")}, there

    def _read(self, keys: Sequence[Key]) -> tuple[Rows, set[str]]:
        """Fetches rows and sends them down the road; returns those that are there, as `known_untaken` has them."""
        page = self.remote.fetch(self.resource, keys)
        if not len(page.frame):
            return {}, set()
        result = self._take_in(page, "push")
        rows = rows_of(page, self.plan.into.key, self.resource.version if self.can.versions else None)
        return known_untaken(self.hub, self.plan, result, rows)

    def _read_back(self, sends: Mapping[str, Send]) -> None:
        """Fetches what was just written, by key; what is not as it had to be goes down the road."""
        page = self.remote.fetch(self.resource, [remote_key(key) for key in sends])
        page = settle_exact(self.hub, self.flow, self.plan, self.seen, page, sends)
        for rows, trigger in parts_read_back(self.remote, self.resource, page, self.plan.into.key):
            self._take_in(rows, trigger)

    def _take_in(self, page: Page, trigger: str) -> RunResult:
        result = execute(self.hub, Order(flow=self.flow, source=FetchedSource(page),
                                         name=self.resource.name, guarded=False, afresh=True, trigger=trigger,
                                         read_now=True))
        if result.state == "done":
            self.seen.note(page, self.plan.into.key)
            self.seen.settle(self.hub, self.flow)
        return result

    def _encoded(self, markers: Sequence[Marker], there: Rows) -> list[Send]:
        records = [marker.record_id for marker in markers]
        with self.hub.ask.connect() as connection:
            sends = updates(connection, self.plan, self.flow.write, records)
            sends += creates(connection, self.plan, self.flow.write, records)
        codes = self.hub.project.codes
        hold_back(self.plan, sends, there, codes)
        encode(self.plan, sends, codes)
        with self.hub.engine.connect() as connection:  # joined whole: by index alone each would be folded for each
            fit_rejected(connection, self.plan, sends)
        refuse_unreadable(self.plan, sends, {key: row.cells for key, row in there.items()}, codes)
        for send in sends:
            if send.fault is not None and (send.operation == "archive" or send.back):  # keeps its fields, not the end
                send.held_back, send.fault, send.fields, send.cells = send.fault, None, (), {}
            row = there.get(send.key or "")
            send.version = None if row is None else row.version
            if row is not None and (send.operation == "update" or (send.operation == "archive" and send.fields)):
                send.images = row.images
                if self.flow.write.mode == "replace":  # what the system would wipe if it were left out
                    send.cells = {**row.cells, **send.cells}
                send.expected = expected_of(send, row, self.can)
        refuse_unable(sends, self.can)
        return sends

    def _settle(self, batch: Batch, answered: Sequence[Answered]) -> bool:
        """Markers and counts; returns whether a record changed while it was being sent."""
        by_record = {marker.record_id: marker for marker in batch.markers}
        why = reasons(batch.lost, batch.sends, answered, self.unread)
        good = [one.send for one in answered if one.receipt.state == "delivered"]
        self.made += any(send.operation == "create" for send in good)
        feed = self.plan.feed
        with self.hub.small.begin() as connection:
            again = delivered(connection, feed, [m for record, m in by_record.items() if record not in why])
            for record_id, (state, reason, after) in why.items():
                set_aside(connection, feed, [by_record[record_id]], state, reason, after=after)
                self.result.counts[state] += after != 0.0  # what is tried again at once does not wait
            if self.made > batch.made:
                hasten(connection, feed, "link_unknown")
        for send in good:
            self.result.counts[DONE[send.operation]] += 1
        self.changed |= {one.send.key for one in answered if one.receipt.state != "delivered" and one.send.key}
        written = {send.record_id for send in batch.sends}
        self.result.counts["unchanged"] += sum(record not in written and record not in why for record in by_record)
        return again

    def _left_unread(self, answered: Sequence[Answered]) -> dict[str, Send]:
        """Keeps the rows that came with the receipts; returns the sends whose rows are to be read, by key."""
        unread: dict[str, Send] = {}
        exact: list[Mapping[str, str]] = []
        for one in answered:
            key = one.as_sent().key
            ended = one.send.operation in ("archive", "delete") and not one.send.fields
            if one.receipt.state != "delivered" or ended or key is None:
                continue
            if one.send.exact and one.receipt.row is not None:
                exact.append(one.receipt.row)
            elif one.receipt.row is not None:
                self.left[key] = one.receipt.row
                self.left_of.add(one.send.record_id)
            else:
                unread[key] = one.send
        if exact:
            self.seen.note(page_of(exact), self.plan.into.key)
        return unread

    def _take_in_left(self) -> None:
        """What the system made of what was written is its image of it."""
        rows, self.left, self.left_of = list(self.left.values()), {}, set()
        for start in range(0, len(rows), BATCH):
            self._take_in(page_of(rows[start : start + BATCH]), "readback")
