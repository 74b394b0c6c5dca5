"""One run: land, decide, guard, apply; or stop between the halves and ask.

::

    landing ──▶ landed ──▶ applying ──▶ done
       │           └─ guard, empty source ──▶ review ──▶ applying (approved) or refused
       └─ unreadable, trailer, run-wide expectation ──▶ failed        nothing has changed
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, update
from sqlalchemy.exc import DBAPIError

from crm_store import hub_tables as tables
from crm_store.store_faults import is_lost, store_error
from mappings.errors import NavetteError
from mappings.language.flow import Flow
from mappings.words import RunState
from pipelines.hub import Hub
from pipelines.ops.sentences import guard_lines, said
from pipelines.runs.applying import apply_run
from pipelines.runs.cursor import Cursor
from pipelines.runs.deciding import decide_landed
from pipelines.runs.landed import Applying
from pipelines.runs.lines import fail, result_of, start_run
from pipelines.runs.orders import LandedRun, Order, Progress, quiet
from pipelines.runs.planning import plans_of
from pipelines.runs.result import REFUSED_LATE, RunResult, empty_counts
from pipelines.runs.small import execute_small, is_small
from pipelines.runs.would_change import count_conflicts
from pipelines.stages.guard import check_guard
from pipelines.stages.land import Landed, Landing, land, must_be_met
from pipelines.stages.moment import Moment
from pipelines.stages.plan import IntoPlan
from pipelines.stages.staging import Staging, staging_for

Look = Callable[[Connection, LandedRun], None]


def execute(hub: Hub, order: Order, progress: Progress = quiet, *, preview: Look | None = None) -> RunResult:
    """Runs `order` to its end and returns what became of it; the caller holds the flow's lock.

    A fault of the source or the mapping gives a result in state `failed`, never an exception; with `preview` (called
    on the landed run) the result is what would become of it, and nothing but the run's own line was written.
    """
    began = time.monotonic()
    if preview is None and is_small(order):
        try:
            result = execute_small(hub, order)
        except NavetteError as error:
            run_id = start_run(hub, order)
            fail(hub, run_id, None, error)
            with hub.engine.begin() as connection:
                return result_of(connection, run_id, time.monotonic() - began)
        if result is not None:
            return result
    run_id = start_run(hub, order)
    staging: Staging | None = None
    try:
        plans = plans_of(hub, order)
        staging = staging_for(run_id, plans)
        with hub.engine.begin() as connection:
            staging.create(connection)
        landed = _land(hub, order, run_id, plans, staging, progress, told=preview is not None)
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
        return _judged(order, result_of(connection, run_id, time.monotonic() - began))


def _judged(order: Order, result: RunResult) -> RunResult:
    """The guard saw what was decided; what the store refused of it while it was applied is seen only now. Applied is
    applied, and the run is done; but that it is far from usual is said, and is no success."""
    if result.state != "done" or not order.guarded:
        return result
    tripped = [trip.told() for label, counts in result.into.items() for trip in check_guard(
        order.flow.guard, label, counts["rows_read"], Counter({"rejected": counts["rejected"]}), absent=0, entries=0,
        full=False)]
    if not tripped:
        return result
    message = " ".join([*guard_lines(tripped), said("guard_late")])
    return replace(result, problem={"code": REFUSED_LATE, "message": message, "where": f"flow {result.flow}",
                                    "todo": said("do_rejected", flow=result.flow)})


def _land(hub: Hub, order: Order, run_id: int, plans: tuple[IntoPlan, ...], staging: Staging, progress: Progress,
          before: Cursor | None = None, *, told: bool = False) -> LandedRun:
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
        run = decide_landed(connection, order, what, landed, moment, before, told=told)
        connection.execute(
            update(tables.run).where(tables.run.c.id == run_id).values(
                state="applying" if before else "landed", landed_at=func.now(), rows_read=landed.rows_read,
                cursor=run.cursor.model_dump(mode="json"), detected=dict(order.source.detected), notices=run.notices,
            )
        )
    return run


def _document(hub: Hub, order: Order, run_id: int, landed: Landed) -> None:
    """The pages that Great Expectations makes of what it judged."""
    from pipelines.stages.expect import build_docs

    build_docs(landed.expectations, docs_folder(hub, run_id), title=f"{order.flow.flow}, run {run_id}",
               at=datetime.now(UTC))


def docs_folder(hub: Hub, run_id: int) -> Path:
    """Where the validation pages of a run lie."""
    return hub.home / "reports" / f"run_{run_id}_validation"


def land_again(hub: Hub, order: Order, run_id: int, plans: tuple[IntoPlan, ...], staging: Staging, before: Cursor,
               progress: Progress) -> Cursor:
    """Stages a run anew whose staging was lost; what it had applied keeps its counts and is not applied twice."""
    with hub.engine.begin() as connection:
        staging.create(connection)
    return _land(hub, order, run_id, plans, staging, progress, before).cursor


def _set_aside(hub: Hub, run_id: int, landed: LandedRun, began: float, preview: Look | None) -> RunResult:
    """Ends a preview, or leaves a run in review with its staging safe from crashes."""
    with hub.engine.begin() as connection:
        into: dict[str, dict[str, Any]] = {}
        (preview or count_conflicts)(connection, landed)
        for plan, counts in zip(landed.plans, landed.cursor.intos, strict=True):
            would: dict[str, Any] = dict(Counter(counts.landed) + Counter(counts.expected))
            into[plan.label] = empty_counts(plan.into.entity) | {
                "rows_read": counts.rows_read, **would, "archived": counts.to_archive,
                "unlinked": counts.absent - counts.to_archive, "conflicts": counts.conflicts or 0,
            }
        problem = {"code": "guard", "tripped": [trip.told() for trip in landed.tripped]} if landed.tripped else None
        values: dict[str, Any] = {"state": "review" if landed.tripped else "done", "problem": problem}
        seconds = time.monotonic() - began
        if preview is not None:
            landed.staging.drop(connection)
            values |= {"ended_at": func.now(), "state": "refused"}
        else:
            landed.staging.keep_safe(connection)
            values |= {"cursor": landed.cursor.model_dump(mode="json"), "worked": seconds}
        connection.execute(update(tables.run).where(tables.run.c.id == run_id).values(values))
        result = result_of(connection, run_id, seconds)
    state: RunState = "review" if landed.tripped else "done"
    return replace(result, into=into, state=state)


def _apply(hub: Hub, order: Order, run_id: int, landed: LandedRun, progress: Progress) -> None:
    continue_run(hub, order.flow, run_id, order.name, order.full, order.mark, landed.plans, landed.staging,
                 landed.cursor, progress)


def continue_run(hub: Hub, flow: Flow, run_id: int, source: str, full: bool, mark: int | None,
                 plans: tuple[IntoPlan, ...], staging: Staging, cursor: Cursor, progress: Progress) -> None:
    """Applies a landed run from its cursor on."""
    with hub.engine.begin() as connection:
        connection.execute(update(tables.run).where(tables.run.c.id == run_id).values(state="applying"))
    apply_run(Applying.of(hub, flow, run_id, source, mark, plans, staging, cursor, progress, full=full))
