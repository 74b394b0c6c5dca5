"""Status: where every flow stands, and what is late, missing, waiting or open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, Text, cast, column, desc, func, literal, select, table

from connectors.file.folder import DropFile
from connectors.file.gaps import Gap, gaps, late
from crm_store import hub_tables as tables
from mappings.errors import NavetteError
from mappings.language.flow import Flow, Schedule
from mappings.messages import noticed
from mappings.words import Direction, RunState
from pipelines.hub import Hub
from pipelines.ops.due import last_due, next_due
from pipelines.ops.inbox import open_calls
from pipelines.ops.outgoing import counts, held
from pipelines.ops.sentences import said
from pipelines.runs.leadership import FLOW_LOCK
from pipelines.runs.waiting import folder_of, unnamed, waiting

GRACE = timedelta(minutes=10)
"""A run that was due this short a time ago is not missed yet."""
GAPS_SHOWN = FILES_SHOWN = 5
ASIDE = ("preview", "replay", "retry", "settle", "push", "readback", "adopt", "reconcile")
"""Triggers of runs that read no source: they do not make a flow fresh. A flow that only writes has no others than
pushes."""

Activity = Literal["idle", "running", "interrupted"]


@dataclass(frozen=True)
class RunSeen:
    """One run, in short; `notices` are sentences."""

    run_id: int
    state: RunState
    trigger: str
    source: str | None
    started_at: datetime
    ended_at: datetime | None
    problem: str | None
    notices: tuple[str, ...]


@dataclass(frozen=True)
class Missing:
    """Files of one series that are not there: their `part` that makes the series, its values, the oldest first, and the
    other parts of their names."""

    part: str
    missing: tuple[str, ...]
    series: dict[str, str]

    @property
    def sentence(self) -> str:
        """For people: the latest are named."""
        more = len(self.missing) - GAPS_SHOWN
        name = ("gap_series" if self.series else "gap") + ("_many" if more > 0 else "")
        return said(name, series=_series(self.series), missing=", ".join(self.missing[-GAPS_SHOWN:]), more=more)


@dataclass(frozen=True)
class Written:
    """A file that was written for a system: its name, and how many records are in it and were refused."""

    name: str
    full: bool
    rows: int
    refused: int
    delivered_at: datetime


@dataclass(frozen=True)
class FlowStatus:
    """Where a flow stands. `late` holds a sentence for each thing that should be there and is not; `file` is the last
    one of a flow that writes files."""

    flow: str
    system: str
    direction: Direction
    activity: Activity
    last_good: RunSeen | None
    last_run: RunSeen | None
    file: Written | None
    next_due: datetime | None
    due: dict[str, datetime]  # the next run of each kind: changes, full
    late: tuple[str, ...]
    gaps: tuple[Missing, ...]
    rejected: int
    parked: int
    review: int
    conflicts: int
    outgoing: dict[str, int]  # records that the system still has to receive, by state
    waiting: tuple[str, ...]  # files in the drop folder
    in_review: tuple[int, ...]  # runs
    held: tuple[str, ...] = ()  # why its last push waits for a person, and behind that what to do
    unnamed: tuple[str, ...] = ()  # files beside its own that no flow names
    calls: dict[str, int] = field(default_factory=dict)  # in the inbox and not taken in, by state

    @property
    def is_late(self) -> bool:
        return bool(self.late)

    @property
    def overdue(self) -> list[str]:
        """What should be there and is not, in sentences."""
        return [*self.late, *(gap.sentence for gap in self.gaps)]

    @property
    def stuck(self) -> int:
        """How many records its system did not take."""
        return self.outgoing.get("refused", 0) + self.outgoing.get("unclear", 0)

    @property
    def needs_someone(self) -> bool:
        """Whether something is there that does not settle itself."""
        return bool(self.late or self.gaps or self.rejected or self.review or self.conflicts or self.in_review
                    or self.stuck or self.held or self.calls.get("failed"))

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def status(hub: Hub, now: datetime | None = None) -> list[FlowStatus]:
    """The status of every flow, in the order of their names; asks the store and looks into folders."""
    moment = now or datetime.now(UTC)
    flows = [flow for _, flow in sorted(hub.project.flows.items())]
    sending, waits = counts(hub), held(hub)
    with hub.engine.connect() as connection:
        rows, conflicts, calls = _held(connection), _conflicts(connection), open_calls(connection)
        locked = _locked(connection, [flow.flow for flow in flows])
        return [
            _one(hub, connection, flow, moment, rows=rows.get(flow.flow, {}), conflicts=conflicts.get(flow.flow, 0),
                 outgoing=sending.get(flow.flow, {}), waits=waits.get(flow.flow, ()), calls=calls.get(flow.flow, {}),
                 locked=flow.flow in locked)
            for flow in flows
        ]


def _one(hub: Hub, connection: Connection, flow: Flow, now: datetime, *, rows: Mapping[str, int], conflicts: int,
         outgoing: dict[str, int], waits: Sequence[str], calls: dict[str, int], locked: bool) -> FlowStatus:
    run, file = tables.run, tables.file
    mine = run.c.flow == flow.flow
    counted = run.c.trigger.not_in([name for name in ASIDE if name != "push" or flow.direction != "out"])
    last = _run(connection, mine, counted)
    good = _run(connection, mine, counted, run.c.state == "done")
    unfinished = _run(connection, mine, run.c.state.in_(["landing", "landed", "applying"]))
    in_review = connection.scalars(select(run.c.id).where(mine, run.c.state == "review").order_by(run.c.id)).all()
    files_seen = select(file.c.name, file.c.size, file.c.state, file.c.parts, file.c.seen_at)
    seen = [dict(row) for row in connection.execute(
        files_seen.where(file.c.flow == flow.flow).order_by(file.c.id)).mappings()]
    read = [row for row in {row["name"]: row for row in seen}.values() if row["state"] != "failed"]
    files = [found for found in _waiting(hub, flow) if not _taken(found, seen)]
    due = next_due(flow.schedule, now)
    came = [*(row["parts"] for row in read), *(found.parts for found in files)]
    arrivals = [*(row["seen_at"] for row in read), *(datetime.fromtimestamp(f.mtime, UTC) for f in files)]
    here = now.astimezone(ZoneInfo((flow.schedule or Schedule()).timezone))
    missing = late(came, flow.read, here, last_arrival=max(arrivals, default=None))
    return FlowStatus(
        flow=flow.flow, system=flow.system, direction=flow.direction,
        activity="running" if locked else "interrupted" if unfinished else "idle", last_good=good, last_run=last,
        file=_written(connection, flow) if flow.direction == "out" else None,
        next_due=min(due.values(), default=None), due=due,
        late=(*_no_folder(hub, flow), *_late(flow, missing), *_missed(flow, files, last, now)),
        gaps=_missing(gaps(came, flow.read)),
        rejected=rows.get("rejected", 0), parked=rows.get("parked", 0), review=rows.get("review", 0),
        conflicts=conflicts, outgoing=outgoing, waiting=tuple(found.name for found in files),
        in_review=tuple(in_review), held=tuple(waits), unnamed=tuple(unnamed(hub, flow)), calls=calls,
    )


def _run(connection: Connection, *where: ColumnElement[bool]) -> RunSeen | None:
    run = tables.run
    columns = (run.c.id, run.c.state, run.c.trigger, run.c.source, run.c.started_at, run.c.ended_at, run.c.problem,
               run.c.notices)
    found = connection.execute(select(*columns).where(*where).order_by(desc(run.c.id)).limit(1)).one_or_none()
    return None if found is None else RunSeen(
        *found[:-2], problem=(found.problem or {}).get("message"), notices=tuple(noticed(found.notices)))


def _written(connection: Connection, flow: Flow) -> Written | None:
    """The file of the flow that was delivered last."""
    file, feed = tables.outbound_file, tables.feed
    found = connection.execute(
        select(file.c.path, file.c.full, file.c.rows, file.c.refused, file.c.delivered_at)
        .join(feed, feed.c.id == file.c.feed).where(feed.c.flow == flow.flow, file.c.state == "delivered")
        .order_by(desc(file.c.number)).limit(1)
    ).one_or_none()
    return None if found is None else Written(Path(found.path).name, *found[1:])


def _held(connection: Connection) -> dict[str, dict[str, int]]:
    """Open held rows by flow and outcome."""
    held, feed = tables.held, tables.feed
    counts: dict[str, dict[str, int]] = {}
    query = (
        select(feed.c.flow, held.c.outcome, func.count()).join_from(held, feed, feed.c.id == held.c.feed)
        .where(held.c.state == "open").group_by(feed.c.flow, held.c.outcome)
    )
    for flow, outcome, count in connection.execute(query):
        counts.setdefault(flow, {})[outcome] = count
    return counts


def _conflicts(connection: Connection) -> dict[str, int]:
    """Fields that nobody has decided yet, by flow."""
    conflict, feed = tables.conflict, tables.feed
    query = (
        select(feed.c.flow, func.count(func.distinct(func.row(conflict.c.feed, conflict.c.key, conflict.c.field))))
        .join_from(conflict, feed, feed.c.id == conflict.c.feed).where(conflict.c.state == "open").group_by(feed.c.flow)
    )
    return dict(connection.execute(query).all())


def _locked(connection: Connection, flows: Sequence[str]) -> set[str]:
    """The flows that a process is running now: it holds the flow's lock (pipelines.runs.lock)."""
    locks = table("pg_locks", column("locktype"), column("classid"), column("objid"), schema="pg_catalog")
    held = {
        int(number) for number in connection.scalars(
            select(cast(locks.c.objid, Text))
            .where(locks.c.locktype == "advisory", cast(locks.c.classid, Text) == str(FLOW_LOCK))
        )
    }
    if not held:
        return set()
    names = connection.execute(select(*[func.hashtext(literal(name)) for name in flows])).one()
    return {name for name, number in zip(flows, names, strict=True) if number % (1 << 32) in held}


def _waiting(hub: Hub, flow: Flow) -> list[DropFile]:
    try:
        return waiting(hub, flow)
    except (OSError, NavetteError):
        return []  # a folder that cannot be read is the next run's to tell


def _taken(found: DropFile, seen: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the flow is done with this file, which stays for another flow or for a person's decision."""
    return any(
        (row["name"], row["size"]) == (found.name, found.size) and row["seen_at"].timestamp() >= found.mtime
        and row["state"] in ("done", "repeated", "review", "refused")
        for row in seen
    )


def unnamed_of(flows: Sequence[FlowStatus]) -> list[str]:
    """A sentence for each system in whose drop folder files lie that no flow names."""
    files = {flow.system: flow.unnamed for flow in flows if flow.unnamed}
    return [
        said("unnamed_many" if (more := len(names) - FILES_SHOWN) > 0 else "unnamed", system=system,
             files=", ".join(names[:FILES_SHOWN]), more=more)
        for system, names in files.items()
    ]


def _no_folder(hub: Hub, flow: Flow) -> Iterator[str]:
    """A drop folder that is not there: nothing can come."""
    folder = folder_of(hub, flow)
    if folder is not None and flow.read.files is not None and flow.direction != "out" and not folder.is_dir():
        yield said("no_folder", folder=folder)


def _late(flow: Flow, missing: list[Gap]) -> list[str]:
    time = flow.read.expected_by or ""
    return [
        said("late_series", time=f"{gap.value} {time}", series=_series(gap.others)) if gap.others
        else said("late_file", time=f"{gap.value} {time}")
        for gap in missing
    ]


def _missed(flow: Flow, files: Sequence[DropFile], last: RunSeen | None, now: datetime) -> list[str]:
    """A run that was due while files lay waiting and that nobody started; a last run that failed."""
    told = []
    due = last_due(flow.schedule, now - GRACE)
    tick = max(due.values(), default=None)
    if tick is not None and (last is None or last.started_at < tick):
        old = [found for found in files if found.mtime < tick.timestamp()]
        if old:
            name = "late_missed_one" if len(old) == 1 else "late_missed"
            told.append(said(name, count=len(old), name=old[0].name, when=tick))
    if last is not None and last.state == "failed" and (flow.schedule is not None or flow.read.expected_by):
        told.append(said("late_failed", message=last.problem or ""))
    return told


def _missing(found: list[Gap]) -> tuple[Missing, ...]:
    """The holes of each series together."""
    series: dict[tuple[str, tuple[tuple[str, str], ...]], list[str]] = {}
    for gap in found:
        series.setdefault((gap.part, tuple(sorted(gap.others.items()))), []).append(gap.value)
    return tuple(Missing(part, tuple(values), dict(others)) for (part, others), values in series.items())


def _series(others: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(others.items()))
