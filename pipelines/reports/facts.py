"""What a run's page tells, read from the store at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Select, func, select

from crm_store import hub_tables as hub
from mappings.words import AGAIN, OUTCOMES
from pipelines.ops.held_rows import HeldRow, grouped, held_rows, staged_rows
from pipelines.ops.samples import Sampled, having, some_of_each
from pipelines.ops.sentences import guard_lines, said
from pipelines.runs.cursor import Cursor
from pipelines.runs.lines import result_of
from pipelines.runs.result import RunResult, empty_counts

MOST_CAUSES = 200
SAMPLES = 5
"""Rows shown of each cause on the page; the CSV holds CSV_ROWS."""
CSV_ROWS = 1_000
MOST_CONFLICTS = 50


@dataclass(frozen=True)
class RunFacts:
    """Everything on one page. `counters`: by into, rows_read, every outcome, archived, unlinked, conflicts."""

    result: RunResult
    started_at: Any
    trigger: str
    counters: dict[str, dict[str, Any]]
    guard: list[str]
    problem: list[str]
    causes: list[Sampled]
    rows: list[HeldRow]
    conflicts: list[Mapping[str, Any]] = field(default_factory=list)
    conflicts_count: int = 0

    @property
    def again(self) -> bool:
        """Whether these are rows that were held before."""
        return self.trigger in AGAIN

    @property
    def outcomes_held(self) -> tuple[str, ...]:
        there = {sampled.cause.outcome for sampled in self.causes}
        return tuple(name for name in ("rejected", "parked", "review") if name in there)


def read_facts(connection: Connection, run_id: int) -> RunFacts:
    """The facts of a run in any state; raises NoResultFound for a run that does not exist."""
    run = connection.execute(select(hub.run).where(hub.run.c.id == run_id)).mappings().one()
    result = result_of(connection, run_id)
    cursor = Cursor.model_validate(run["cursor"]) if run["cursor"] else None
    counters = result.into
    query: Select[Any] | None = held_rows(hub.held.c.run_id == run_id)
    if result.state == "review" and cursor is not None:
        counters = _would_be(connection, cursor, result.flow)
        query = staged_rows(connection, run_id, result.flow, [into.label for into in cursor.intos], result.source)
    causes = grouped(connection, query, most=MOST_CAUSES) if query is not None else []
    rows = some_of_each(connection, query, CSV_ROWS) if query is not None and causes else []
    conflicts, count = _conflicts(connection, run_id)
    return RunFacts(
        result=result, started_at=run["started_at"], trigger=run["trigger"], counters=counters,
        guard=guard_lines((result.problem or {}).get("tripped", [])), problem=_problem(result),
        causes=[Sampled(cause, having(cause, rows)[:SAMPLES]) for cause in causes], rows=rows, conflicts=conflicts,
        conflicts_count=count,
    )


def _would_be(connection: Connection, cursor: Cursor, flow: str) -> dict[str, dict[str, Any]]:
    """The counters that a run in review would come to."""
    feed = hub.feed
    entities: dict[str, str] = dict(
        connection.execute(select(feed.c.label, feed.c.entity).where(feed.c.flow == flow)).all()
    )
    return {
        into.label: empty_counts(entities.get(into.label, ""))
        | {"rows_read": into.rows_read, "archived": into.absent, "conflicts": into.conflicts or 0}
        | {name: into.landed.get(name, 0) + into.expected.get(name, 0) for name in OUTCOMES}
        for into in cursor.intos
    }


def _problem(result: RunResult) -> list[str]:
    problem = result.problem or {}
    if result.state == "refused":
        return [said("run_refused")]
    if result.state != "failed":
        return []
    where = f"{problem['where']}: " if problem.get("where") else ""
    return [said("run_failed", message=f"{where}{problem.get('message', '')}"), *filter(None, [problem.get("todo")])]


def _conflicts(connection: Connection, run_id: int) -> tuple[list[Mapping[str, Any]], int]:
    conflict, feed = hub.conflict, hub.feed
    mine = conflict.c.run_id == run_id
    count = connection.scalar(select(func.count()).select_from(conflict).where(mine)) or 0
    found = connection.execute(
        select(conflict, feed.c.label.label("into")).join_from(conflict, feed, feed.c.id == conflict.c.feed).where(mine)
        .order_by(conflict.c.winner == "open", conflict.c.id).limit(MOST_CONFLICTS)
    ).mappings().all() if count else []
    return [dict(row) for row in found], int(count)


