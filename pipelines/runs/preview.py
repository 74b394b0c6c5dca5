"""Preview: lands a run, shows what apply would do, and drops it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from mappings.errors import ConfigurationError, RunStopped
from mappings.language.flow import Flow
from pipelines.hub import Hub
from pipelines.ops.held_rows import grouped, landed_rows
from pipelines.ops.samples import Sampled, having, some_of_each
from pipelines.runs.executing import execute
from pipelines.runs.lines import fail, result_of, start_failed
from pipelines.runs.lock import flow_lock
from pipelines.runs.orders import LandedRun, Order, Progress, quiet
from pipelines.runs.remote import read_remote, resource_of
from pipelines.runs.result import RunResult
from pipelines.runs.sources import must_be_there, named, open_named
from pipelines.runs.waiting import waiting
from pipelines.runs.would_change import WouldChange, count_conflicts
from pipelines.runs.would_send import landed_sends, would_push
from pipelines.runs.would_write import would_write
from pipelines.stages.sending import Send


@dataclass
class Preview:
    """The counters of a run that did not happen, and `changes`: into, key, line, outcome, record_id and, by column,
    [before, after], where a link to a record that the run would make is `new:` and its key; `conflicts` of a change: by
    field, `ours` and `theirs` (a value, or [amount, currency]) and the `winner` (crm, remote or open). `causes`: why
    rows would be held, each with some of its rows. For a flow that writes also how many markers are `due`, and
    `sends`: operation, key, record_id, cells (column to [as it is there, as it would be]) and what would keep it from
    being sent, or null."""

    result: RunResult
    changes: list[dict[str, Any]] = field(default_factory=list)
    causes: list[Sampled] = field(default_factory=list)
    due: int = 0
    sends: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {**self.result.as_json(), "preview": True, "changes": self.changes,
                "causes": [cause.as_json() for cause in self.causes], "due": self.due, "sends": self.sends}


@dataclass
class _Look:
    """What is seen of a run that has landed, while its staging is there; `limit`: changed rows, held rows, sends."""

    flow: Flow
    source: str
    limit: int
    changes: list[dict[str, Any]] = field(default_factory=list)
    causes: list[Sampled] = field(default_factory=list)
    sends: list[Send] = field(default_factory=list)

    def __call__(self, connection: Connection, landed: LandedRun) -> None:
        count_conflicts(connection, landed)
        for plan, staging in landed.pairs:
            would = WouldChange(plan, staging, landed.pairs)
            self.changes += would.changes(connection, self.limit - len(self.changes))
        query = landed_rows(self.flow.flow, landed.pairs, self.source)
        groups = grouped(connection, query)
        rows = some_of_each(connection, query, self.limit) if groups else []
        self.causes = [Sampled(cause, having(cause, rows)) for cause in groups]
        self.sends += landed_sends(connection, self.flow, landed, (), self.limit)

    def told(self, result: RunResult) -> Preview:
        return Preview(result, self.changes, self.causes)


def preview_flow(hub: Hub, name: str, *, file: Path | None = None, full: bool | None = None, limit: int = 20,
                 progress: Progress = quiet) -> Preview:
    """What `run` would do with `file`, with the oldest file that waits, or with what a system that answers has now; at
    most `limit` changed rows are shown, and as many sends.

    Raises ConfigurationError and RetryLater as a run does.
    """
    flow = hub.flow(name)
    if file is not None:
        must_be_there(hub, flow, file)
    with flow_lock(hub, name):
        if hub.project.systems[flow.system].connector != "file":
            return _preview_remote(hub, flow, file, full, limit, progress)
        if flow.direction == "out":
            found_rows = would_write(hub, flow, full=bool(full), limit=limit)
            return Preview(RunResult(0, name, "done", 0.0, {}), due=found_rows.due, sends=found_rows.sends)
        if file is None:
            files = waiting(hub, flow)
            if not files:
                raise ConfigurationError("no file waits", where=f"flow {name}", todo="name one with --file")
            found = files[0]
        else:
            found = named(hub, flow, file)
        whole = flow.read.full if full is None else full
        try:
            source = open_named(hub, flow, found.path, found.parts)
        except RunStopped as error:
            run_id = start_failed(hub, flow, str(found.path), "preview", whole)
            fail(hub, run_id, None, error)
            with hub.engine.connect() as connection:
                return Preview(result_of(connection, run_id))
        if source.detected.get("export"):
            whole = False
        look = _Look(flow, str(found.path), limit)
        order = Order(flow=flow, source=source, name=str(found.path), variables=found.parts, mark=found.mark,
                      full=whole, trigger="preview")
        return look.told(execute(hub, order, progress, preview=look))


def _preview_remote(hub: Hub, flow: Flow, file: Path | None, full: bool | None, limit: int, progress: Progress
                    ) -> Preview:
    """Reads what a run would read and tells what would come in; then what would go out."""
    if file is not None:
        raise ConfigurationError(f"{flow.system} is no folder, so it reads no files", where=f"flow {flow.flow}",
                                 todo="leave out --file")
    look = _Look(flow, resource_of(flow).name, limit)
    result = RunResult(0, flow.flow, "done", 0.0, {})
    if flow.direction != "out":
        whole = flow.read.full if full is None else full
        result = read_remote(hub, flow, full=whole, trigger="preview", progress=progress, preview=look)
    seen = look.told(result)
    if flow.direction != "in" and result.state != "failed":
        found = would_push(hub, flow, look.sends, limit)
        seen.due, seen.sends = found.due, found.sends
    return seen
