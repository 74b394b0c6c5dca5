"""One run: land, decide, guard, apply; or stop between the halves and ask.

::

    landing ──▶ landed ──▶ applying ──▶ done
       │           └─ guard, empty source ──▶ review ──▶ applying (approved) or refused
       └─ unreadable, trailer, run-wide expectation ──▶ failed        nothing has changed
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from connectors.page import Source
from crm_store import hub_tables as tables
from mappings.errors import NavetteError, RunStopped
from mappings.language.flow import Flow
from mappings.words import OUTCOMES, Outcome, RunState
from pipelines.hub import Hub
from pipelines.runs.applying import Applying, apply_run
from pipelines.runs.cursor import Cursor, IntoCursor
from pipelines.runs.result import RunResult, empty_counts
from pipelines.stages.absent import absent_entries, action_of, entries_of
from pipelines.stages.decide import Decided, decide
from pipelines.stages.guard import Tripped, check_guard
from pipelines.stages.land import Landed, Landing, active_plans, land
from pipelines.stages.plan import IntoPlan, compile_flow, mapping_digest, with_base_sets
from pipelines.stages.staging import Staging, staging_for

Progress = Callable[[str, int], None]


def quiet(phase: str, rows: int) -> None:
    """The progress of a run that nobody watches."""


@dataclass(frozen=True)
class Order:
    """What is to be run: a flow, on a source that is open."""

    flow: Flow
    source: Source
    name: str  # path or resource, for people
    variables: Mapping[str, str] = field(default_factory=dict)
    mark: int | None = None
    digest: str | None = None
    full: bool = False
    trigger: str = "cli"
    guarded: bool = True
    dagster_run: str | None = None


@dataclass
class LandedRun:
    """A run that has landed: everything the second half needs."""

    plans: tuple[IntoPlan, ...]
    staging: Staging
    cursor: Cursor
    tripped: list[Tripped]


def execute(hub: Hub, order: Order, progress: Progress = quiet, *, preview: bool = False) -> RunResult:
    """Runs `order` to its end and returns what became of it; the caller holds the flow's lock.

    A fault of the source or the mapping gives a result in state `failed`, never an exception; with `preview` the
    result is what would become of it, and nothing but the run's own line was written.
    """
    began = time.monotonic()
    run_id = _start(hub, order, "preview" if preview else order.trigger)
    staging: Staging | None = None
    try:
        plans = _plans(hub, order)
        staging = staging_for(run_id, plans)
        with hub.engine.begin() as connection:
            staging.create(connection)
        landed = _land(hub, order, run_id, plans, staging, progress)
        if preview or landed.tripped:
            return _set_aside(hub, order, run_id, landed, began, preview=preview)
        _apply(hub, order, run_id, landed, progress)
    except NavetteError as error:
        fail(hub, run_id, staging, error)
    with hub.engine.begin() as connection:
        if staging is not None:
            staging.drop(connection)
        return result_of(connection, run_id, time.monotonic() - began)


def _start(hub: Hub, order: Order, trigger: str) -> int:
    with hub.engine.begin() as connection:
        return connection.execute(
            insert(tables.run).values(
                flow=order.flow.flow, system=order.flow.system, trigger=trigger, full=order.full, mark=order.mark,
                source=order.name, digest=order.digest, mapping=str(mapping_digest(order.flow, hub.project)),
                detected=dict(order.source.detected), dagster_run=order.dagster_run,
            ).returning(tables.run.c.id)
        ).scalar_one()


def _plans(hub: Hub, order: Order) -> tuple[IntoPlan, ...]:
    with hub.engine.begin() as connection:
        plans = compile_flow(connection, order.flow, hub.project, hub.tables)
        plans = active_plans(order.flow, plans, tuple(order.source.columns), order.variables)
        return tuple(with_base_sets(connection, plan) for plan in plans)


def plans_for(hub: Hub, flow: Flow, active: list[list[str]]) -> tuple[IntoPlan, ...]:
    """The plans of a run that landed earlier, with the fields that its source had."""
    with hub.engine.begin() as connection:
        plans = compile_flow(connection, flow, hub.project, hub.tables)
        return tuple(
            with_base_sets(connection, plan.narrowed(names)) for plan, names in zip(plans, active, strict=True)
        )


def _land(hub: Hub, order: Order, run_id: int, plans: tuple[IntoPlan, ...], staging: Staging, progress: Progress
          ) -> LandedRun:
    row_marks = order.flow.read.version is not None or order.flow.read.stamp is not None
    landed = land(
        Landing(order.flow, plans, staging, order.source, order.variables, hub.project.codes, run_id, order.mark,
                hub.engine),
        progress,
    )
    progress("deciding", landed.rows_read)
    with hub.engine.begin() as connection:
        decided = decide(connection, plans, staging, (run_id, None if row_marks else order.mark))
        cursor = Cursor(
            intos=[_counted(connection, *each) for each in
                   zip(plans, staging.intos, landed.intos, landed.last_row, decided, strict=True)],
            variables=dict(order.variables),
        )
        tripped = _guard(connection, order, plans, staging, cursor, decided) if order.guarded else []
        connection.execute(
            update(tables.run).where(tables.run.c.id == run_id).values(
                state="landed", landed_at=func.now(), rows_read=landed.rows_read, cursor=cursor.model_dump(mode="json"),
                detected=dict(order.source.detected),
            )
        )
    return LandedRun(plans, staging, cursor, tripped)


def _counted(connection: Connection, plan: IntoPlan, staged: Any, landed: Any, last_row: int, decided: Decided
             ) -> IntoCursor:
    """What is settled at landing; what apply will settle is counted there."""
    settled: Counter[Outcome] = Counter(landed.outcomes)
    settled["unchanged"] -= decided.repeated_same
    settled["superseded"] += decided.repeated_same
    settled += decided.settled
    return IntoCursor(
        label=plan.label, fields=[item.name for item in plan.fields], rows_read=landed.rows_read, last_row=last_row,
        staged=connection.execute(select(func.count()).select_from(staged.rows)).scalar_one(),
        unread_keys=landed.unread_keys, landed=dict(+settled), expected=dict(decided.expected),
    )


def _guard(connection: Connection, order: Order, plans: tuple[IntoPlan, ...], staging: Staging, cursor: Cursor,
           decided: list[Decided]) -> list[Tripped]:
    found: list[Tripped] = []
    for plan, into, counts, fate in zip(plans, staging.intos, cursor.intos, decided, strict=True):
        action = action_of(plan, order.full)
        if action != "ignore" and not counts.unread_keys:
            parent = next(((p, t) for p, t in zip(plans, staging.intos, strict=True)
                           if plan.owner and p.id_space in plan.owner.spaces), None)
            entries = absent_entries(plan, into, order.full, parent).subquery()
            counts.absent = connection.execute(select(func.count()).select_from(entries)).scalar_one()
        told = Counter(counts.landed) + fate.expected
        found += check_guard(order.flow.guard, plan.label, counts.rows_read, told, counts.absent,
                             entries_of(connection, plan), full=order.full)
    return found


def _set_aside(hub: Hub, order: Order, run_id: int, landed: LandedRun, began: float, *, preview: bool) -> RunResult:
    """Ends a preview, or leaves a run in review with its staging safe from crashes."""
    with hub.engine.begin() as connection:
        into = {}
        for plan, counts in zip(landed.plans, landed.cursor.intos, strict=True):
            would = Counter(counts.landed) + Counter(counts.expected)
            into[plan.label] = empty_counts(plan.into.entity) | {"rows_read": counts.rows_read, **would,
                                                                 "archived": counts.absent}
        problem = {"code": "guard", "tripped": [trip.told() for trip in landed.tripped]} if landed.tripped else None
        state: RunState = "review" if landed.tripped else "done"
        values: dict[str, Any] = {"state": state, "problem": problem}
        if preview:
            values |= {"ended_at": func.now()}
        else:
            landed.staging.keep_safe(connection)
        connection.execute(update(tables.run).where(tables.run.c.id == run_id).values(values))
        result = result_of(connection, run_id, time.monotonic() - began)
    return replace(result, into=into)


def _apply(hub: Hub, order: Order, run_id: int, landed: LandedRun, progress: Progress) -> None:
    continue_run(hub, order.flow, run_id, order.name, order.full, order.mark, landed.plans, landed.staging,
                 landed.cursor, progress)


def continue_run(hub: Hub, flow: Flow, run_id: int, source: str, full: bool, mark: int | None,
                 plans: tuple[IntoPlan, ...], staging: Staging, cursor: Cursor, progress: Progress) -> None:
    """Applies a landed run from its cursor on."""
    row_marks = flow.read.version is not None or flow.read.stamp is not None
    with hub.engine.begin() as connection:
        connection.execute(update(tables.run).where(tables.run.c.id == run_id).values(state="applying"))
    apply_run(Applying(
        hub=hub, run_id=run_id, system=flow.system, source=source, full=full,
        sequenced=mark is not None and not row_marks, mark=None if row_marks else mark, plans=plans, staging=staging,
        cursor=cursor, progress=progress,
    ))


def fail(hub: Hub, run_id: int, staging: Staging | None, error: NavetteError) -> None:
    """Closes a run that cannot go on; the message is kept, what was applied stays applied and recorded."""
    stopped = "stopped" if isinstance(error, RunStopped) else type(error).__name__
    with hub.engine.begin() as connection:
        if staging is not None:
            staging.drop(connection)
        connection.execute(
            update(tables.run).where(tables.run.c.id == run_id).values(
                state="failed", ended_at=func.now(),
                problem={"code": stopped, "message": error.message, "where": error.where, "todo": error.todo},
            )
        )


def result_of(connection: Connection, run_id: int, seconds: float | None = None) -> RunResult:
    """A run as it stands in the store."""
    run = connection.execute(select(tables.run).where(tables.run.c.id == run_id)).mappings().one()
    lines = connection.execute(
        select(tables.run_into, tables.feed.c.label, tables.feed.c.entity)
        .join_from(tables.run_into, tables.feed, tables.feed.c.id == tables.run_into.c.feed)
        .where(tables.run_into.c.run_id == run_id).order_by(tables.feed.c.id)
    ).mappings().all()
    into = {
        line["label"]: empty_counts(line["entity"])
        | {name: line[name] for name in ("rows_read", *OUTCOMES, "archived", "unlinked", "conflicts")}
        for line in lines
    }
    ended = run["ended_at"] or run["landed_at"] or run["started_at"]
    took = seconds if seconds is not None else (ended - run["started_at"]).total_seconds()
    return RunResult(
        run_id=run_id, flow=run["flow"], state=run["state"], seconds=took, into=into, source=run["source"] or "",
        full=run["full"], rows_read=run["rows_read"], problem=run["problem"], detected=run["detected"] or {},
    )


__all__ = ["Landed", "Order", "Progress", "continue_run", "execute", "fail", "plans_for", "quiet", "result_of"]
