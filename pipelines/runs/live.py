"""Live: small changes at once, in both directions, beside the scheduled runs; one loop a system.

::

    ┌▶ outbox or inbox spoke, or a poll is due ─▶ take calls in, read what changed ─▶ send what is due ─┐
    └─────────────────── wait: LISTEN, at most until the next poll ◀───────────────────────────────────┘

Whatever stops it (the system, the store's server, the process), nothing is lost: positions and outbox are in the store,
and the scheduled runs go on from them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from threading import Event
from types import MappingProxyType

from sqlalchemy.exc import DBAPIError, OperationalError

from connectors.remote import LoginRefused, Position, RemoteDown
from mappings.errors import ConfigurationError, NavetteError, RetryLater, StoreError
from mappings.language.flow import Flow
from pipelines.hub import Hub
from pipelines.runs.due import flows_due
from pipelines.runs.executing import execute
from pipelines.runs.glance import Before, after_turn, before_turn
from pipelines.runs.hearing import Ears
from pipelines.runs.inbox import calls_wait, hints, is_hint, note_hints, take_in
from pipelines.runs.intake import HeldBack, held_back
from pipelines.runs.leader import Leader, leading
from pipelines.runs.lock import FlowBusy, flow_lock
from pipelines.runs.lost_creates import settle_before_reading
from pipelines.runs.news import NewsSource
from pipelines.runs.order import order_of_flows
from pipelines.runs.orders import Order, quiet
from pipelines.runs.position import move_position
from pipelines.runs.problems import BEGAN, Problems
from pipelines.runs.push import push_locked
from pipelines.runs.remote import Kept, session
from pipelines.runs.replay import retry_parked
from pipelines.runs.result import RunResult
from pipelines.runs.sources import seconds
from pipelines.runs.standing import LeftAlone, trouble
from pipelines.runs.unfinished import finish_unfinished

TICK = 1.0
"""Seconds between two looks at the outbox when nobody spoke: a notice may be missed."""
ECHO = 1.0
"""Seconds after which a flow is read whose system told of our own writes."""
NOTED = 30.0
"""Seconds after which the store is told how far was read, where that brought no news."""
ASKED = 30.0
"""Seconds until what a guard stopped is looked at again: a person has to say something first."""
PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before the store's server is looked for again."""

Said = Callable[[str, Counter[str]], None]


@dataclass
class _FlowState:
    flow: Flow
    poll: float | None
    next_poll: float = 0.0
    since: Position | None = None  # how far was read; the store knows it by the last read that brought news
    noted: float = 0.0  # when the store was last told
    next_push: float = 0.0  # none before this
    busy: bool = False  # whether somebody else was at it when its turn came
    listens: bool = False  # whether its system tells of changes; known once it was read


def keep_live(hub: Hub, system: str, stop: Event, said: Said, *, stand_by: bool = False) -> None:
    """Runs until `stop` is set. `said` is told of every turn that moved something: flow, and counters.

    Raises ConfigurationError (no live flow), RetryLater (another process leads, unless `stand_by`). A store that goes
    away is waited for; a system that does is left alone for growing times; one that refuses the login is paused, and
    waits for somebody to resume it.
    """
    if system not in hub.project.live_systems:
        raise ConfigurationError("no flow of this system is live", where=f"system {system}",
                                 todo="say schedule: {live: true} in a flow of it")
    failures = 0
    while not stop.is_set():
        try:
            with leading(hub, system) as leader:
                failures = 0
                _Live(hub, system, leader, stop, said).run()
        except (RetryLater, StoreError, OperationalError) as error:
            if isinstance(error, RetryLater) and "another process" in error.message and not stand_by:
                raise
            failures += 1
            hub.store.let_go()  # its connections are as dead as this one
            stop.wait(PAUSES[min(failures, len(PAUSES)) - 1])


class _Live:
    """One leadership."""

    def __init__(self, hub: Hub, system: str, leader: Leader, stop: Event, said: Said) -> None:
        self.hub, self.system, self.leader, self.stop, self.said = hub, system, leader, stop, said
        self.kept, self.ears, self.problems = Kept(), Ears(hub), Problems()
        self.noticed = set[tuple[str, str]]()  # notices that were told: flow and code
        self.states = [_FlowState(flow, _poll(hub, flow)) for name in order_of_flows(hub.project)
                       if (flow := hub.project.flows[name]).system == system
                       and flow.schedule is not None and flow.schedule.live is not None]
        self.flows = [state.flow.flow for state in self.states]

    def run(self) -> None:
        """Until `stop` is set; raises RetryLater when the leadership is lost."""
        try:
            spoke, heard = True, self.ears.heard
            while not self.stop.is_set():
                self.turn(heard.take(), spoke=spoke)
                now = time.monotonic()
                polls = [state.next_poll - now for state in self.states if state.poll is not None]
                spoke = self.leader.wait(max(0.0, min([TICK, *polls])), heard)
        finally:
            self.ears.close()
            self.kept.close()

    def turn(self, heard: Mapping[str, Collection[object]] = MappingProxyType({}), *, spoke: bool = True) -> None:
        """Sends what is due, then reads each flow whose time has come, or of which something was heard or said.

        What is due goes out between two reads as well: one system's many flows must not keep an edit waiting. Unless
        the outbox `spoke`, it is asked for after them.
        """
        if spoke:
            self._send(flows_due(self.hub, self.flows))
        for state in self.states:
            if self.stop.is_set():
                return
            reads = state.poll is not None and self._is_time(state, heard)
            called = state.flow.read.hook and calls_wait(self.hub, state.flow)
            reads = reads or (called and is_hint(self.hub, state.flow))
            if not reads and not called:
                continue
            began = time.monotonic()
            due = self._handle(state, reads=reads, called=called)
            if reads and state.poll is not None:
                poll = min(state.poll, TICK) if state.busy else state.poll
                state.next_poll = next_poll(poll, began, time.monotonic())
            self._send(due)

    def _is_time(self, state: _FlowState, heard: Mapping[str, Collection[object]]) -> bool:
        """Whether the flow's poll is due, or somebody else's change was heard. Our own writes were told in their
        receipts; what else they may have moved is read a moment later."""
        if time.monotonic() >= state.next_poll:
            return True
        writers = heard.get(state.flow.flow)
        if writers is None:
            return False
        if not self.kept.wrote(writers):
            return True
        state.next_poll = min(state.next_poll, time.monotonic() + ECHO)
        return False

    def _send(self, due: Collection[str]) -> None:
        """Every flow that is `due`, those first whose records others link to."""
        for state in self.states:
            stopped = self.stop.is_set() or time.monotonic() < state.next_push
            if state.flow.flow in due and state.flow.direction != "in" and not stopped:
                self._handle(state, reads=False, called=False)

    def _handle(self, state: _FlowState, *, reads: bool, called: bool) -> Collection[str]:
        """One flow, and what came of it is told; what a person has to look at stops no other flow. Returns what is due
        then, by flow."""
        whose, counts = (state.flow.flow, reads, called), Counter[str]()
        due: Collection[str] | None = None
        state.busy = False
        try:
            due = self._turn_of(state, counts, reads=reads, called=called)
            counts = self.problems.fresh(whose, counts)
        except HeldBack:
            pass  # a person is asked already; the inbox, the outbox and the position wait
        except FlowBusy:
            state.busy = True  # a command has it: nothing is wrong
        except (LeftAlone, RemoteDown, LoginRefused):
            pass  # the next turn tells how the system stands
        except (StoreError, DBAPIError):
            raise
        except NavetteError as error:
            counts[f"{BEGAN}{error.message}"] += 1
            counts = self.problems.fresh(whose, counts)
        finally:
            self._say(state.flow, +counts)
        return flows_due(self.hub, self.flows) if due is None else due

    def _say(self, flow: Flow, counts: Counter[str]) -> None:
        if counts:
            self.said(flow.flow, counts)

    def _notices(self, flow: Flow, result: RunResult) -> None:
        """What a run tells beside its counters: once of each kind, since each of the many runs to come tells it too."""
        for code, sentence in zip(result.noticed, result.notices, strict=False):
            if (flow.flow, code) not in self.noticed:
                self.noticed.add((flow.flow, code))
                self._say(flow, Counter([BEGAN + sentence]))

    def _turn_of(self, state: _FlowState, counts: Counter[str], *, reads: bool, called: bool) -> Collection[str]:
        flow = state.flow
        took: list[RunResult] = []
        came: Counter[str] = Counter()
        with flow_lock(self.hub, flow.flow):
            before = before_turn(self.hub, flow)
            self._say(flow, self.problems.news(self.system, trouble(before.system)))
            if before.unfinished:
                finish_unfinished(self.hub, flow, quiet)
                before = before_turn(self.hub, flow)
            if before.review and (called or reads):
                held_back(self.hub, flow, supersede=False)
            if called:
                took = take_in(self.hub, flow, "live", quiet)
                for result in took:
                    counts.update(_moved(result))
                    self._notices(flow, result)
                if any(result.state == "review" for result in took):
                    held_back(self.hub, flow, supersede=False)  # the calls just now: nothing is read over them
            if reads:
                came = self._read(state, before)
                counts.update(came)
                if state.listens and state.poll is not None:
                    self.ears.listen(flow)
            if not (reads or called):
                pushed = push_locked(self.hub, flow, trigger="live", kept=self.kept, known=before.system,
                                     unanswered=before.unanswered)
                counts.update(pushed.counts)
                if pushed.tripped:
                    counts[BEGAN + " ".join(pushed.held)] += 1
                    state.next_push = time.monotonic() + ASKED
                if not before.unanswered and not counts["created"]:
                    return {}  # nobody waits for an answer that would have come with this
        after = after_turn(self.hub, self.flows)
        # Also after a run that changed nothing: a row that was linked may be what others wait for.
        moved = "parked" in came or any(result.changed or result.total("parked") for result in took)
        if not (after.parked and moved) and not (after.creates and flow.direction != "in"):
            return after.due
        retry_parked(self.hub)
        return flows_due(self.hub, self.flows)

    def _read(self, state: _FlowState, before: Before) -> Counter[str]:
        """What changed since the last read: the run's counters; nothing for a read without news, which leaves no run
        behind."""
        hub, flow = self.hub, state.flow
        said = hints(hub, flow)
        with session(hub, self.system, self.kept, before.system) as remote:
            since = None  # where the store's mark is gone, everything is to be read: what is known here counts no more
            if before.mark is not None:
                since = state.since or Position(before.mark)
            resource, can = self.kept.resource_of(hub, flow, remote)
            state.listens = can.listens
            if before.intents:
                settle_before_reading(hub, flow, remote, resource)
            seen = self.kept.seen_of(flow)
            if since is None:
                state.next_push = 0.0  # what might have been there already is known behind this
                seen.forget()  # of everything that is there nothing is left out: it would count as gone
            known = None if said else seen.reading()  # a call may mean what gives its row no other state
            source = NewsSource(remote.read(resource, since, known), flow.into[0].key, seen)
            try:
                if not source.look() and since is not None:
                    self._no_news(state, source)
                    note_hints(hub, said, None)
                    return Counter()
                result = execute(hub, Order(flow=flow, source=source, name=resource.name, full=since is None,
                                            trigger="live", read_now=True))
            except BaseException:
                seen.forget()  # what was read is not taken in
                raise
        state.since = source.position
        source.taken_in()
        if result.state != "done":
            seen.forget()
            state.since = None
        seen.settle(hub, flow)
        note_hints(hub, said, result)
        self._notices(flow, result)
        return _moved(result)

    def _no_news(self, state: _FlowState, source: NewsSource) -> None:
        """Remembers how far was read, and tells the store now and then: whoever comes next need not read so much."""
        state.since = source.position
        if time.monotonic() - state.noted > NOTED:
            state.noted = time.monotonic()
            with self.hub.small.begin() as connection:
                move_position(connection, state.flow.flow, state.since)


def _moved(result: RunResult) -> Counter[str]:
    counts = Counter({name: result.total(name) for name in ("created", "updated", "rejected", "parked", "review")})
    if result.state == "failed":
        counts[f"{BEGAN}{(result.problem or {}).get('message')}"] += 1
    return counts


def next_poll(poll: float, began: float, ended: float) -> float:
    """When to read a flow again after a read: what that took does not put off the next one, but a quarter of `poll` is
    left between two."""
    return max(began + poll, ended + poll / 4)


def _poll(hub: Hub, flow: Flow) -> float | None:
    """Seconds between two reads; None for a flow that only writes, and a system that calls, and cannot be asked."""
    live = flow.schedule.live if flow.schedule is not None else None
    connector = hub.project.systems[flow.system].connector
    if live is None or live.poll is None or flow.direction == "out" or connector == "file":
        return None
    return seconds(live.poll)
