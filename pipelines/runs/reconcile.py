"""Reconcile: both sides compared whole, by key and field; what differs, why, and, if asked, queued to be put right."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Table, func, select, update

from crm_store.named_ddl import ddl_on
from mappings.errors import ConfigurationError
from mappings.language.flow import Flow
from mappings.messages import noticed, render
from pipelines.hub import Hub
from pipelines.runs.lock import flow_lock
from pipelines.runs.orders import LandedRun, Progress, quiet
from pipelines.runs.position import forget_position
from pipelines.runs.remote import read_remote
from pipelines.runs.result import RunResult
from pipelines.runs.unfinished import finish_unfinished
from pipelines.stages.compare import SETTLED, compare, make_differences, sendable, takeable
from pipelines.stages.outbox import queue_anew
from pipelines.stages.plan import IntoPlan


@dataclass
class Reconciled:
    """`totals`: differences by cause, all of them; `differences`: the first of them. `queued`: records that the next
    push looks at; `taken`: rows that the next run takes in."""

    result: RunResult
    totals: dict[str, int] = field(default_factory=dict)
    differences: list[dict[str, Any]] = field(default_factory=list)
    repaired: bool = False
    queued: int = 0
    taken: int = 0
    notices: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 where both sides agree, but for differences that are known and stay."""
        return self.result.exit_code or (4 if set(self.totals) - set(SETTLED) else 0)

    def as_json(self) -> dict[str, Any]:
        return {
            "flow": self.result.flow, "run_id": self.result.run_id, "rows_read": self.result.rows_read,
            "problem": self.result.problem, "notices": [*self.result.notices, *self.notices], "totals": self.totals,
            "differences": self.differences,
            "repair": {"queued": self.queued, "taken": self.taken} if self.repaired else None,
        }


def reconcile_flow(hub: Hub, name: str, *, repair: bool = False, limit: int = 100, progress: Progress = quiet
                   ) -> Reconciled:
    """Reads everything that the flow's system has and compares it with the CRM; `repair` queues what the masters allow.

    Raises ConfigurationError (a flow on files), RetryLater, LoginRefused.
    """
    flow = hub.flow(name)
    if hub.project.systems[flow.system].connector == "file":
        raise ConfigurationError("only a system that answers can be compared", where=f"flow {name}",
                                 todo=f"navette preview {name} --file … shows what a file would change")
    found = Reconciled(RunResult(0, name, "done", 0.0, {}), repaired=repair)

    def look(connection: Connection, landed: LandedRun) -> None:
        table = make_differences(connection)
        for plan, staging, counts in zip(landed.plans, landed.staging.intos, landed.cursor.intos, strict=True):
            compare(connection, plan, staging, flow.write, table, whole=not counts.unread_keys)
            if counts.unread_keys:
                code = "uncompared_key" if counts.unread_keys == 1 else "uncompared_keys"
                found.notices += noticed([{"code": code, "params": {"into": plan.label, "count": counts.unread_keys}}])
        connection.execute(ddl_on("ANALYZE %(fullname)s", table))
        count = select(table.c.cause, func.count().label("n")).group_by(table.c.cause).order_by(table.c.cause)
        found.totals = {row.cause: row.n for row in connection.execute(count)}
        found.differences = _first(connection, table, limit)
        if repair:
            _repair(connection, flow, landed.plans, table, found)

    with flow_lock(hub, name):
        finish_unfinished(hub, flow, progress)
        found.result = read_remote(hub, flow, full=True, trigger="reconcile", progress=progress, preview=look,
                                   comparing=True)
    return found


def _first(connection: Connection, table: Table, limit: int) -> list[dict[str, Any]]:
    names = ("into", "cause", "key", "record_id", "field", "here", "there", "base", "why")
    query = select(*[table.c[name] for name in names]).order_by(
        table.c.cause, table.c.into, table.c.key, table.c.record_id, table.c.field).limit(limit or None)
    return [{**row, "why": _sentence(row["why"])} for row in connection.execute(query).mappings()]


def _sentence(why: dict[str, Any] | None) -> str | None:
    if not why:
        return None
    return str(why["message"]) if why.get("message") else render(why["code"], {**why, "field": why.get("field") or ""})


def _repair(connection: Connection, flow: Flow, plans: tuple[IntoPlan, ...], table: Table, found: Reconciled) -> None:
    """Markers for what may be sent; for what may be taken the next run, or a live that finds the position gone, reads
    everything, these rows without a fingerprint."""
    for plan in plans:
        if plan.writes:
            found.queued += queue_anew(connection, plan.feed, sendable(table, plan.feed))
        keys, x = takeable(table, plan.feed), plan.crosswalk
        count = connection.scalar(select(func.count()).select_from(keys.distinct().subquery())) or 0
        found.taken += count
        if count:
            connection.execute(update(x).where(x.c.feed == plan.feed, x.c.id_space == plan.id_space, x.c.key.in_(keys))
                               .values(fingerprint=None))
    if found.taken:
        forget_position(connection, flow.flow)
