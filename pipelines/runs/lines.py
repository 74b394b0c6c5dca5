"""The line of a run in sync.run: how it begins, how it ends where it cannot go on, and what it says."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from crm_store import hub_tables as tables
from mappings.errors import ExpectationFailed, NavetteError, RunStopped
from mappings.language.flow import Flow
from mappings.messages import noticed
from mappings.words import OUTCOMES
from pipelines.hub import Hub
from pipelines.runs.calls import claim
from pipelines.runs.leadership import may_take_in
from pipelines.runs.orders import Order
from pipelines.runs.result import RunResult, empty_counts
from pipelines.stages.plan import mapping_digest
from pipelines.stages.staging import Staging

_BEGUN = insert(tables.run).returning(tables.run.c.id)


def start_run(hub: Hub, order: Order) -> int:
    """Begins a run; returns its number."""
    with hub.engine.begin() as connection:
        return insert_run(connection, hub, order)


def insert_run(connection: Connection, hub: Hub, order: Order, *, at_once: bool = False) -> int:
    """The line of a run that begins; what it takes from the inbox is its own from here on. `at_once`: it ends in the
    same transaction, or has not been. Raises RetryLater where another process may have taken the flow over."""
    may_take_in(connection)
    run_id: int = connection.execute(_BEGUN, {
        "flow": order.flow.flow, "system": order.flow.system, "trigger": order.trigger, "full": order.full,
        "mark": order.mark, "source": order.name, "digest": order.digest, "mapping": mapping_now(hub, order.flow),
        "detected": dict(order.source.detected), "dagster_run": order.dagster_run,
    }).scalar_one()
    claim(connection, run_id, order.calls, done=at_once)
    return run_id


def mapping_now(hub: Hub, flow: Flow) -> str:
    """The digest of the flow's mapping, as `sync.run.mapping` has that of each run."""
    key = ("digest", flow.flow)
    if key not in hub.kept:
        hub.kept[key] = str(mapping_digest(flow, hub.project))
    found: str = hub.kept[key]
    return found


def start_failed(hub: Hub, flow: Flow, source: str, trigger: str, full: bool) -> int:
    """The line of a run whose source could not even be opened."""
    with hub.engine.begin() as connection:
        run_id: int = connection.execute(
            insert(tables.run).values(
                flow=flow.flow, system=flow.system, trigger=trigger, full=full, source=source,
                mapping=mapping_now(hub, flow),
            ).returning(tables.run.c.id)
        ).scalar_one()
        return run_id


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


def note(connection: Connection, run_id: int, code: str, **params: str) -> list[str]:
    """Notes what people are told of a run that has ended; every notice of it, in sentences."""
    told = tables.run.c.notices
    every = connection.execute(
        update(tables.run).where(tables.run.c.id == run_id)
        .values(notices=told.concat([{"code": code, "params": params}])).returning(told)
    ).scalar_one()
    return noticed(every)


def note_work(connection: Connection, run_id: int, seconds: float) -> None:
    """Counts what a run was worked on after it had waited for a person; of others begin and end tell it."""
    worked = tables.run.c.worked
    connection.execute(update(tables.run).where(tables.run.c.id == run_id).values(worked=worked + seconds))


def result_of(connection: Connection, run_id: int, seconds: float | None = None) -> RunResult:
    """A run as it stands in the store. `seconds`: how long it took, where its line does not tell that yet."""
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
    took = (ended - run["started_at"]).total_seconds() if run["worked"] is None else run["worked"]
    return RunResult(
        run_id=run_id, flow=run["flow"], state=run["state"], seconds=took if seconds is None else seconds, into=into,
        source=run["source"] or "", full=run["full"], rows_read=run["rows_read"], problem=run["problem"],
        notices=noticed(run["notices"]), noticed=tuple(notice["code"] for notice in run["notices"]),
        detected=dict(run["detected"] or {}),
    )
