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
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, delete, func, insert, select, update
from sqlalchemy.exc import DBAPIError

from connectors.page import Source
from crm_store import hub_tables as tables
from mappings.errors import ExpectationFailed, NavetteError, RunStopped
from mappings.language.flow import Flow
from mappings.words import OUTCOMES, Outcome, RunState
from pipelines.hub import Hub
from pipelines.runs.applying import Applying, apply_run
from pipelines.runs.attempt import is_lost, store_error
from pipelines.runs.calls import claim
from pipelines.runs.cursor import Cursor, IntoCursor
from pipelines.runs.position import reached, stage_gone
from pipelines.runs.result import RunResult, empty_counts
from pipelines.stages.absent import absent_entries, action_of, entries_of, gone_entries, is_older
from pipelines.stages.decide import Decided, Moment, decide, match_all
from pipelines.stages.guard import Tripped, check_guard
from pipelines.stages.land import Landed, Landing, active_plans, land, must_be_met
from pipelines.stages.plan import IntoPlan, compile_flow, mapping_digest, with_base_set
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
    matching: bool = True  # False: a person said that the rows are records of their own
    row_marks: tuple[int | None, ...] | None = None  # replayed rows keep the marks they had
    afresh: bool = False  # rows that are as they were when last applied are looked at all the same
    adopting: bool = False  # rows are linked, and nothing is written on either side
    rebasing: bool = False  # everything is read under a mapping that changed
    comparing: bool = False  # every row is decoded and decided on; only to be looked at
    dagster_run: str | None = None
    calls: tuple[int, ...] = ()  # what is taken from the inbox


@dataclass
class LandedRun:
    """A run that has landed: everything the second half needs."""

    plans: tuple[IntoPlan, ...]
    staging: Staging
    cursor: Cursor
    tripped: list[Tripped]


Look = Callable[[Connection, LandedRun], None]


def execute(hub: Hub, order: Order, progress: Progress = quiet, *, preview: Look | None = None) -> RunResult:
    """Runs `order` to its end and returns what became of it; the caller holds the flow's lock.

    A fault of the source or the mapping gives a result in state `failed`, never an exception; with `preview` (called
    on the landed run) the result is what would become of it, and nothing but the run's own line was written.
    """
    began = time.monotonic()
    run_id = _start(hub, order)
    staging: Staging | None = None
    try:
        plans = _plans(hub, order)
        staging = staging_for(run_id, plans)
        with hub.engine.begin() as connection:
            staging.create(connection)
        landed = _land(hub, order, run_id, plans, staging, progress)
        if preview is not None or landed.tripped:
            return _set_aside(hub, run_id, landed, began, preview)
        _apply(hub, order, run_id, landed, progress)
    except NavetteError as error:
        fail(hub, run_id, staging, error)
    except DBAPIError as error:
        problem = store_error(error, f"run {run_id}")
        if is_lost(error):
            raise problem from error  # the server is gone: the run is carried on by the next one
        fail(hub, run_id, staging, problem)
    with hub.engine.begin() as connection:
        if staging is not None:
            staging.drop(connection)
        return result_of(connection, run_id, time.monotonic() - began)


def _start(hub: Hub, order: Order) -> int:
    with hub.engine.begin() as connection:
        run_id: int = connection.execute(
            insert(tables.run).values(
                flow=order.flow.flow, system=order.flow.system, trigger=order.trigger, full=order.full, mark=order.mark,
                source=order.name, digest=order.digest, mapping=str(mapping_digest(order.flow, hub.project)),
                detected=dict(order.source.detected), dagster_run=order.dagster_run,
            ).returning(tables.run.c.id)
        ).scalar_one()
        claim(connection, run_id, order.calls)
        return run_id


def start_failed(hub: Hub, flow: Flow, source: str, trigger: str, full: bool) -> int:
    """The line of a run whose source could not even be opened."""
    with hub.engine.begin() as connection:
        run_id: int = connection.execute(
            insert(tables.run).values(
                flow=flow.flow, system=flow.system, trigger=trigger, full=full, source=source,
                mapping=str(mapping_digest(flow, hub.project)),
            ).returning(tables.run.c.id)
        ).scalar_one()
        return run_id


def _plans(hub: Hub, order: Order) -> tuple[IntoPlan, ...]:
    with hub.engine.begin() as connection:
        plans = compile_flow(connection, order.flow, hub.project, hub.tables)
        plans = active_plans(order.flow, plans, tuple(order.source.columns), order.variables)
        if not order.matching:
            plans = tuple(plan.without_matching() for plan in plans)
        if order.comparing:
            plans = tuple(plan.every_row() for plan in plans)
        plans = _of_kind(plans, order)
        return _of_file(connection, order.flow, plans, order.variables)


def _of_kind(plans: tuple[IntoPlan, ...], of: Order | Cursor) -> tuple[IntoPlan, ...]:
    """The plans of a run that decides otherwise than usual; a resumed one decides as it began."""
    if of.rebasing:
        return tuple(plan.rebase() for plan in plans)
    return tuple(plan.adopt() for plan in plans) if of.adopting else plans


def _of_file(connection: Connection, flow: Flow, plans: tuple[IntoPlan, ...], variables: Mapping[str, str]
             ) -> tuple[IntoPlan, ...]:
    scoped = (plan.scoped(connection, variables, full=flow.read.full) for plan in plans)
    return tuple(with_base_set(connection, plan) for plan in scoped)


def plans_for(hub: Hub, flow: Flow, cursor: Cursor) -> tuple[IntoPlan, ...]:
    """The plans of a run that landed earlier, with the fields that its source had."""
    with hub.engine.begin() as connection:
        plans = compile_flow(connection, flow, hub.project, hub.tables)
        narrowed = tuple(plan.narrowed(into.fields) for plan, into in zip(plans, cursor.intos, strict=True))
        narrowed = _of_kind(narrowed, cursor)
        return _of_file(connection, flow, narrowed, cursor.variables)


def _land(hub: Hub, order: Order, run_id: int, plans: tuple[IntoPlan, ...], staging: Staging, progress: Progress,
          before: Cursor | None = None) -> LandedRun:
    what = Landing(order.flow, plans, staging, order.source, order.variables, hub.project.codes, run_id, order.mark,
                   hub.engine, afresh=order.afresh, row_marks=order.row_marks)
    with hub.engine.begin() as connection:
        moment = Moment.now(connection)
    landed = land(what, progress)
    if landed.expectations:
        _document(hub, order, run_id, landed)
    must_be_met(what, landed)  # after its pages were made: they tell what was found instead
    progress("deciding", landed.rows_read)
    with hub.engine.begin() as connection:
        gone = stage_gone(connection, order.source, staging)
        decided = decide(connection, plans, staging, what.run)
        cursor = Cursor(
            intos=[_counted(connection, *each) for each in
                   zip(plans, staging.intos, landed.intos, landed.last_row, decided, strict=True)],
            variables=dict(order.variables), journal=moment.journal, quiet=moment.quiet, gone=gone,
            position=reached(order.source), adopting=order.adopting,
            rebasing=order.rebasing,
        )
        for now, then in zip(cursor.intos, before.intos if before else (), strict=before is not None):
            now.applied, now.undecided = then.recounted(), then.undecided
        tripped = _guard(connection, order, plans, staging, cursor, decided) if order.guarded else []
        connection.execute(
            update(tables.run).where(tables.run.c.id == run_id).values(
                state="applying" if before else "landed", landed_at=func.now(), rows_read=landed.rows_read,
                cursor=cursor.model_dump(mode="json"), detected=dict(order.source.detected),
            )
        )
    return LandedRun(plans, staging, cursor, tripped)


def _document(hub: Hub, order: Order, run_id: int, landed: Landed) -> None:
    """The pages that Great Expectations makes of what it judged."""
    from pipelines.stages.expect import build_docs

    build_docs(landed.expectations, docs_folder(hub, run_id), title=f"{order.flow.flow}, run {run_id}",
               at=datetime.now(UTC))


def docs_folder(hub: Hub, run_id: int) -> Path:
    """Where the validation pages of a run lie."""
    return hub.home / "reports" / f"run_{run_id}_validation"


def _counted(connection: Connection, plan: IntoPlan, staged: Any, landed: Any, last_row: int, decided: Decided
             ) -> IntoCursor:
    """What is settled at landing; what apply will settle is counted there."""
    return IntoCursor(
        label=plan.label, fields=[item.name for item in plan.fields], rows_read=landed.rows_read, last_row=last_row,
        staged=_count(connection, staged.rows), held=_count(connection, staged.held),
        same=_count(connection, staged.same),
        unread_keys=landed.unread_keys, read=dict(landed.outcomes),
        landed=dict(+_settled(Counter(landed.outcomes), decided)), expected=dict(decided.expected),
    )


def _count(connection: Connection, table: Table) -> int:
    count: int = connection.execute(select(func.count()).select_from(table)).scalar_one()
    return count


def land_again(hub: Hub, order: Order, run_id: int, plans: tuple[IntoPlan, ...], staging: Staging, before: Cursor,
               progress: Progress) -> Cursor:
    """Stages a run anew whose staging was lost; what it had applied keeps its counts and is not applied twice."""
    with hub.engine.begin() as connection:
        staging.create(connection)
    return _land(hub, order, run_id, plans, staging, progress, before).cursor


def decide_again(hub: Hub, flow: Flow, run_id: int, mark: int | None, plans: tuple[IntoPlan, ...], staging: Staging,
                 cursor: Cursor) -> Cursor:
    """A run that waited decides on the store as it is now; what landing itself had settled stays."""
    with hub.engine.begin() as connection:
        for into in staging.intos:
            into.fate.drop(connection)
            into.fate.create(connection)
            connection.execute(delete(into.wait))
        run = (run_id, None if _marks_rows(flow) else mark)
        match_all(connection, plans, staging, run)
        decided = decide(connection, plans, staging, run)
        for counts, now in zip(cursor.intos, decided, strict=True):
            counts.landed = dict(+_settled(Counter(counts.read), now))
            counts.expected = dict(now.expected)
        cursor.save(connection, run_id)
    return cursor


def _settled(read: Counter[Outcome], decided: Decided) -> Counter[Outcome]:
    """What landing settled, and the decision: a row that was the same may be repeated by a later one."""
    settled = Counter(read)
    settled["unchanged"] -= decided.repeated_same
    settled["superseded"] += decided.repeated_same
    return settled + decided.settled


def _guard(connection: Connection, order: Order, plans: tuple[IntoPlan, ...], staging: Staging, cursor: Cursor,
           decided: list[Decided]) -> list[Tripped]:
    found: list[Tripped] = []
    for plan, into, counts, fate in zip(plans, staging.intos, cursor.intos, decided, strict=True):
        if cursor.gone and plan is plans[0]:
            of_gone = gone_entries(plan, into, staging.gone).subquery()
            counts.absent, counts.to_archive = connection.execute(
                select(func.count(), func.count().filter(of_gone.c.archive)).select_from(of_gone)
            ).one()
        action = action_of(plan, order.full)
        if action != "ignore" and not counts.unread_keys and not is_older(plan, order.mark):
            parent = next(((p, t) for p, t in zip(plans, staging.intos, strict=True)
                           if plan.owner and p.id_space in plan.owner.spaces), None)
            mark = None if _marks_rows(order.flow) else order.mark
            entries = absent_entries(plan, into, order.full, parent, mark).subquery()
            counts.absent, to_archive = connection.execute(
                select(func.count(), func.count().filter(entries.c.archive)).select_from(entries)
            ).one()
            counts.to_archive = to_archive if action == "archive" else 0
        told = Counter(counts.landed) + fate.expected
        guard = order.flow.guard
        # Counting a million entries takes time, and nobody asks where only refusals are limited.
        asked = not counts.rows_read or {guard.creates, guard.updates, guard.archives} != {None}
        found += check_guard(guard, plan.label, counts.rows_read, told, counts.absent,
                             entries_of(connection, plan) if asked else 0, full=order.full)
    return found


def _set_aside(hub: Hub, run_id: int, landed: LandedRun, began: float, preview: Look | None) -> RunResult:
    """Ends a preview, or leaves a run in review with its staging safe from crashes."""
    with hub.engine.begin() as connection:
        into: dict[str, dict[str, Any]] = {}
        for plan, counts in zip(landed.plans, landed.cursor.intos, strict=True):
            would: dict[str, Any] = dict(Counter(counts.landed) + Counter(counts.expected))
            into[plan.label] = empty_counts(plan.into.entity) | {
                "rows_read": counts.rows_read, **would, "archived": counts.to_archive,
                "unlinked": counts.absent - counts.to_archive,
            }
        problem = {"code": "guard", "tripped": [trip.told() for trip in landed.tripped]} if landed.tripped else None
        values: dict[str, Any] = {"state": "review" if landed.tripped else "done", "problem": problem}
        if preview is not None:
            preview(connection, landed)
            landed.staging.drop(connection)
            values |= {"ended_at": func.now(), "state": "refused"}
        else:
            landed.staging.keep_safe(connection)
        connection.execute(update(tables.run).where(tables.run.c.id == run_id).values(values))
        result = result_of(connection, run_id, time.monotonic() - began)
    state: RunState = "review" if landed.tripped else "done"
    return replace(result, into=into, state=state)


def _apply(hub: Hub, order: Order, run_id: int, landed: LandedRun, progress: Progress) -> None:
    continue_run(hub, order.flow, run_id, order.name, order.full, order.mark, landed.plans, landed.staging,
                 landed.cursor, progress)


def continue_run(hub: Hub, flow: Flow, run_id: int, source: str, full: bool, mark: int | None,
                 plans: tuple[IntoPlan, ...], staging: Staging, cursor: Cursor, progress: Progress) -> None:
    """Applies a landed run from its cursor on."""
    row_marks = _marks_rows(flow)
    with hub.engine.begin() as connection:
        connection.execute(update(tables.run).where(tables.run.c.id == run_id).values(state="applying"))
    apply_run(Applying(
        hub=hub, run_id=run_id, system=flow.system, source=source, full=full,
        sequenced=mark is not None and not row_marks, mark=None if row_marks else mark, file_mark=mark, plans=plans,
        staging=staging, cursor=cursor, progress=progress,
    ))


def _marks_rows(flow: Flow) -> bool:
    """Whether each row has an order mark of its own."""
    return flow.read.version is not None or flow.read.stamp is not None


def fail(hub: Hub, run_id: int, staging: Staging | None, error: NavetteError) -> None:
    """Closes a run that cannot go on; the message is kept, what was applied stays applied and recorded."""
    stopped = "stopped" if isinstance(error, RunStopped) else type(error).__name__
    problem: dict[str, Any] = {"code": stopped, "message": error.message, "where": error.where, "todo": error.todo}
    if isinstance(error, ExpectationFailed):
        problem["expectations"] = list(error.failures)
    with hub.engine.begin() as connection:
        if staging is not None:
            staging.drop(connection)
        connection.execute(
            update(tables.run).where(tables.run.c.id == run_id).values(
                state="failed", ended_at=func.now(), problem=problem,
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
