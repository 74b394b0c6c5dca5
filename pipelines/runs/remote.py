"""Reading from a system that answers: everything, or what changed since the last read; and single rows by key."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from connectors.page import PAGE_ROWS, Notices, Page, none_damaged
from connectors.registry import open_remote
from connectors.remote import Capabilities, Remote, Resource
from mappings.errors import ConfigurationError
from mappings.language.flow import Flow
from pipelines.hub import Hub
from pipelines.runs.executing import Look, execute
from pipelines.runs.lost_creates import settle_before_reading
from pipelines.runs.news import Seen
from pipelines.runs.orders import Order, Progress
from pipelines.runs.paced import Pace, Paced
from pipelines.runs.planning import kept_plan
from pipelines.runs.position import forget_position, position_of
from pipelines.runs.result import RunResult
from pipelines.runs.sources import columns_wanted, seconds
from pipelines.runs.standing import Standing, answering
from pipelines.stages.prints import Prints

DESCRIBED_SECONDS = 60.0
"""For so long a description of a resource is believed, in a session that is kept."""


@dataclass
class FetchedSource:
    """One page that was read already."""

    page: Page
    detected: dict[str, str] = field(default_factory=dict)
    notices: Notices = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(map(str, self.page.frame.columns))

    @property
    def size(self) -> int:
        """How many rows there are."""
        return len(self.page)

    def pages(self, rows: int = PAGE_ROWS) -> Iterator[Page]:  # noqa: ARG002 - as every source
        """The page, in one piece: what was fetched by key is a batch already."""
        yield self.page


def page_of(rows: Sequence[Mapping[str, str]]) -> Page:
    """Rows that are whole, as a page."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    index = pd.RangeIndex(1, len(rows) + 1).astype("int64")
    frame = pd.DataFrame({name: pd.array([row.get(name) for row in rows], dtype="string[pyarrow]") for name in names},
                         index=index)
    return Page(frame, index.to_numpy(), none_damaged())


@dataclass
class Kept:
    """A session that is kept from one call to the next: logging in and describing a resource cost more than a write."""

    remote: Remote | None = None
    others: list[Remote] = field(default_factory=list)  # sessions beside it, for writes that go on at once
    able: dict[Resource, tuple[float, Capabilities]] = field(default_factory=dict)  # asked when, and the answer
    seen: dict[str, Seen] = field(default_factory=dict)  # by flow: rows that were read or written
    read: set[str] = field(default_factory=set)  # flows that have read everything that their system has

    def resource_of(self, hub: Hub, flow: Flow, remote: Remote) -> tuple[Resource, Capabilities]:
        """The resource of the flow and what it can do, asked anew after a while: describing it costs more than a write.
        A write that meets something else than it was described with ends the session, and with it what is kept here."""
        resource = resource_of(flow)
        asked, can = self.able.get(resource, (0.0, None))
        if can is None or time.monotonic() - asked > DESCRIBED_SECONDS:
            can = remote.capabilities(resource)
            self.able[resource] = (time.monotonic(), can)
        if flow.direction != "in" and can.versions and not can.compares:
            seen = self.seen_of(flow)
            seen.version, seen.prints = resource.version, Prints.of(flow, kept_plan(hub, flow))
        return resource, can

    def seen_of(self, flow: Flow) -> Seen:
        """What was seen of the rows of a flow."""
        return self.seen.setdefault(flow.flow, Seen())

    def wrote(self, writers: Collection[object]) -> bool:
        """Whether all that these wrote was written here."""
        ours = {remote.writes_as for remote in (self.remote, *self.others) if remote is not None} - {None}
        return ours.issuperset(writers)

    def close(self) -> None:
        """Ends it; the next call opens another."""
        remotes, self.remote, self.others = [self.remote, *self.others], None, []
        self.able.clear()
        for remote in remotes:
            if remote is not None:
                remote.close()


@contextmanager
def session(hub: Hub, system: str, kept: Kept | None = None, known: Standing | Literal["ask"] = "ask"
            ) -> Iterator[Remote]:
    """A session with the system, watched: a system that is paused or down is not called, and what happens is noted.
    `known`: how it stands, where that was just asked.

    Raises RetryLater (paused, down), ConfigurationError, RemoteDown, LoginRefused.
    """
    mine = kept or Kept()
    with answering(hub, system, known):
        try:
            if mine.remote is None:
                rate = hub.project.systems[system].limits.requests_per_second
                remote = opened(hub, system)
                mine.remote = remote if rate is None else Paced(remote, Pace(rate))
            yield mine.remote
        except BaseException:
            mine.close()  # whatever state it is in
            raise
        finally:
            if kept is None:
                mine.close()


def sessions_beside(hub: Hub, system: str, kept: Kept, count: int) -> list[Remote]:
    """`count` more sessions, for threads of their own; they share the limit of requests with the first."""
    while len(kept.others) < count:
        remote = opened(hub, system)
        kept.others.append(Paced(remote, kept.remote.pace) if isinstance(kept.remote, Paced) else remote)
    return kept.others[:count]


def opened(hub: Hub, system: str) -> Remote:
    """A session with the system, inside `calling`. Raises ConfigurationError, RemoteDown, LoginRefused."""
    return open_remote(system, hub.project.systems[system].connector, hub.project.connections[system])


def resource_of(flow: Flow) -> Resource:
    """What the flow wants of its system. Raises ConfigurationError where it names no resource."""
    name = flow.read.resource or flow.write.resource
    if name is None and flow.read.query is None:
        raise ConfigurationError("which resource? the flow names none", where=f"flow {flow.flow}",
                                 todo="write read: {resource: …}: the table, view or model")
    wanted = [str(column) for column in flow.into[0].key] + columns_wanted(flow)
    return Resource(
        name=name or flow.flow, key=tuple(map(str, flow.into[0].key)), columns=tuple(dict.fromkeys(map(str, wanted))),
        changed=None if flow.read.changed_since is None else str(flow.read.changed_since),
        overlap=seconds(flow.read.overlap), version=None if flow.read.version is None else str(flow.read.version),
        query=flow.read.query, reference=None if flow.write.reference is None else str(flow.write.reference),
    )


def read_remote(hub: Hub, flow: Flow, *, full: bool, trigger: str, progress: Progress, dagster_run: str | None = None,
                preview: Look | None = None, adopting: bool = False, comparing: bool = False,
                rebasing: bool = False) -> RunResult:
    """One run on what the system has: all of it (`full`, or the first time), or what changed since.

    Raises what `session` raises; the caller holds the flow's lock.
    """
    with session(hub, flow.system) as remote:
        resource = resource_of(flow)
        remote.capabilities(resource)
        if preview is None and not comparing:
            settle_before_reading(hub, flow, remote, resource)
        with hub.engine.begin() as connection:
            if adopting:
                forget_position(connection, flow.flow)
            since = None if full else position_of(connection, flow.flow)
        source = remote.read(resource, since)
        whole = since is None
        order = Order(flow=flow, source=source, name=resource.name, full=whole, trigger=trigger,
                      dagster_run=dagster_run, adopting=adopting, guarded=not (adopting or comparing),
                      comparing=comparing, rebasing=rebasing, read_now=True)
        return execute(hub, order, progress, preview=preview)
