"""Preview: lands a run, shows what apply would do, and drops it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, or_, select

from mappings.errors import ConfigurationError, RunStopped
from mappings.language.flow import Flow
from pipelines.hub import Hub
from pipelines.runs.executing import execute
from pipelines.runs.lines import fail, result_of, start_failed
from pipelines.runs.lock import flow_lock
from pipelines.runs.orders import LandedRun, Order, Progress, quiet
from pipelines.runs.remote import read_remote
from pipelines.runs.result import RunResult
from pipelines.runs.sources import named, open_named
from pipelines.runs.waiting import waiting
from pipelines.runs.would_send import WouldSend, landed_sends, would_push
from pipelines.runs.would_write import would_write
from pipelines.stages.decide import outcome_of, taken_in
from pipelines.stages.plan import IntoPlan
from pipelines.stages.resolve import LINKED, resolve_rows, verdicts
from pipelines.stages.sending import Send
from pipelines.stages.staging import IntoStaging
from pipelines.stages.waiting import TO_COME, Pairs, as_linked, brought


@dataclass
class Preview:
    """The counters of a run that did not happen, and `changes`: into, key, line, outcome, record_id and, by field,
    [before, after], where a link to a record that the run would make is MADE and its key; for a flow that writes also
    how many markers are `due`, and `sends`: operation, key, record_id, cells (column to [as it is there, as it would
    be]) and what would keep it from being sent, or null."""

    result: RunResult
    changes: list[dict[str, Any]] = field(default_factory=list)
    due: int = 0
    sends: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {**self.result.as_json(), "preview": True, "changes": self.changes, "due": self.due,
                "sends": self.sends}


def preview_flow(hub: Hub, name: str, *, file: Path | None = None, full: bool | None = None, limit: int = 20,
                 progress: Progress = quiet) -> Preview:
    """What `run` would do with `file`, with the oldest file that waits, or with what a system that answers has now; at
    most `limit` changed rows are shown, and as many sends.

    Raises ConfigurationError and RetryLater as a run does.
    """
    flow = hub.flow(name)
    with flow_lock(hub, name):
        if hub.project.systems[flow.system].connector != "file":
            return _preview_remote(hub, flow, file, full, limit, progress)
        if flow.direction == "out":
            found_rows = would_write(hub, flow, full=bool(full), limit=limit)
            return Preview(RunResult(0, name, "done", 0.0, {}), [], found_rows.due, found_rows.sends)
        if file is None:
            files = waiting(hub, flow)
            if not files:
                raise ConfigurationError("no file waits", where=f"flow {name}", todo="name one with --file")
            found = files[0]
        else:
            found = named(flow, file)
        whole = flow.read.full if full is None else full
        try:
            source = open_named(flow, found.path, found.parts)
        except RunStopped as error:
            run_id = start_failed(hub, flow, str(found.path), "preview", whole)
            fail(hub, run_id, None, error)
            with hub.engine.connect() as connection:
                return Preview(result_of(connection, run_id))
        if source.detected.get("export"):
            whole = False
        seen: list[dict[str, Any]] = []

        def look(connection: Connection, landed: LandedRun) -> None:
            for pair in landed.pairs:
                seen.extend(changes(connection, *pair, landed.pairs, limit - len(seen)))

        order = Order(flow=flow, source=source, name=str(found.path), variables=found.parts, mark=found.mark,
                      full=whole, trigger="preview")
        result = execute(hub, order, progress, preview=look)
        return Preview(result, seen)


def _preview_remote(hub: Hub, flow: Flow, file: Path | None, full: bool | None, limit: int, progress: Progress
                    ) -> Preview:
    """Reads what a run would read and tells what would come in; then what would go out."""
    if file is not None:
        raise ConfigurationError(f"{flow.system} is no folder, so it reads no files", where=f"flow {flow.flow}",
                                 todo="leave out --file")
    seen: list[dict[str, Any]] = []
    sends: list[Send] = []

    def look(connection: Connection, landed: LandedRun) -> None:
        for pair in landed.pairs:
            seen.extend(changes(connection, *pair, landed.pairs, limit - len(seen)))
        sends.extend(landed_sends(connection, flow, landed, (), limit))

    result = RunResult(0, flow.flow, "done", 0.0, {})
    if flow.direction != "out":
        whole = flow.read.full if full is None else full
        result = read_remote(hub, flow, full=whole, trigger="preview", progress=progress, preview=look)
    found = WouldSend()
    if flow.direction != "in" and result.state != "failed":
        found = would_push(hub, flow, sends, limit)
    return Preview(result, seen, found.due, found.sends)


MADE = "new: "
"""Before what names a record in a link where the run itself would make that record: it has no id yet."""


def changes(connection: Connection, plan: IntoPlan, staging: IntoStaging, pairs: Pairs, limit: int
            ) -> list[dict[str, Any]]:
    """Rows that would create or update, with before and after of each field that moves; `pairs`: of the whole run."""
    if limit <= 0:
        return []
    s, fate = staging.rows, staging.fate
    told: list[dict[str, Any]] = []
    matched = as_linked(plan, staging, pairs, taken_in) if plan.references else fate
    resolved = resolve_rows(plan, staging, matched).subquery("resolved")
    v = verdicts(plan, staging, matched)
    columns = [column for item in plan.fields for column in item.columns]
    made = [brought(reference, plan, s, pairs, taken_in).label(f"made_{reference.column}")
            for reference in plan.references]
    linked = (
        select(s.c.key, s.c.line, fate.c["class"].label("class"), resolved.c.record_id, resolved.c.changed,
               resolved.c.open, *[v.c[f"c_{c}"].label(f"before_{c}") for c in columns],
               *[resolved.c[f"n_{c}"].label(f"after_{c}") for c in columns], *made)
        .select_from(resolved).join(fate, fate.c.row_no == resolved.c.row_no).join(s, s.c.row_no == resolved.c.row_no)
        .join(v, v.c.row_no == resolved.c.row_no)
        .where(or_(resolved.c.changed, resolved.c.back, resolved.c.open)).order_by(s.c.row_no).limit(limit)
    )
    if connection.scalar(select(fate.c.row_no).where(fate.c["class"].in_(LINKED)).limit(1)) is not None:
        for row in connection.execute(linked).mappings():
            after = {c: _after(row, c) for c in columns}
            moved = {c: [row[f"before_{c}"], after[c]] for c in columns if row[f"before_{c}"] != after[c]}
            told.append({"into": plan.label, "key": row["key"], "line": row["line"], "record_id": row["record_id"],
                         "outcome": outcome_of(row["class"], row["changed"], row["open"]), "fields": moved})
    new = (
        select(s.c.key, s.c.line, *[
            (matched.c[f"l_{c}"] if item.reference else s.c[f"v_{c}"]).label(f"after_{c}")
            for item in plan.fields for c in item.columns
        ], *made)
        .join(matched, and_(matched.c.row_no == s.c.row_no, matched.c["class"] == "new")).order_by(s.c.row_no)
        .limit(max(0, limit - len(told)))
    )
    for row in connection.execute(new).mappings():
        moved = {c: [None, value] for c in columns if (value := _after(row, c)) is not None}
        told.append({"into": plan.label, "key": row["key"], "line": row["line"], "record_id": None,
                     "outcome": "created", "fields": moved})
    return told


def _after(row: RowMapping, column: str) -> Any:
    """The value of a column after the run; of a link, what names a record that the run would make."""
    made, found = row.get(f"made_{column}"), row[f"after_{column}"]
    if isinstance(found, list) and TO_COME in found:
        return [*[each for each in found if each != TO_COME], *[f"{MADE}{key}" for key in made or ()]]
    return f"{MADE}{made}" if made is not None and found == TO_COME else found
