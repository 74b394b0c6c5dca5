"""Reviews: everything that waits for a person, with what there is to decide between."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from crm_store import hub_tables as tables
from mappings.messages import noticed
from pipelines.hub import Hub
from pipelines.ops.conflicts import OpenConflict, open_conflicts
from pipelines.ops.held_rows import CauseGroup, HeldRow, grouped, held_rows, read_rows, staged_rows
from pipelines.ops.records import shown_records
from pipelines.ops.sentences import guard_lines
from pipelines.runs.cursor import Cursor

MOST_CAUSES = 10


@dataclass(frozen=True)
class WaitingRun:
    """A run that the guard stopped. `tripped`: what, into, count, of, limit; `counts`: rows by into and outcome."""

    run_id: int
    flow: str
    source: str
    full: bool
    since: datetime
    tripped: tuple[dict[str, Any], ...]
    sentences: tuple[str, ...]
    notices: tuple[str, ...]
    counts: dict[str, dict[str, int]]
    causes: tuple[CauseGroup, ...]  # of what it would not take in, the largest first


@dataclass(frozen=True)
class WaitingRow:
    """A row that may be one of `candidates` (id, type, archived and the `show` fields of each)."""

    row: HeldRow
    candidates: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Reviews:
    """All that waits."""

    runs: tuple[WaitingRun, ...]
    rows: tuple[WaitingRow, ...]
    conflicts: tuple[OpenConflict, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "runs": [asdict(run) for run in self.runs],
            "rows": [{**each.row.as_json(), "candidates": list(each.candidates)} for each in self.rows],
            "conflicts": [conflict.as_json() for conflict in self.conflicts],
        }

    def __bool__(self) -> bool:
        return bool(self.runs or self.rows or self.conflicts)


def reviews(hub: Hub) -> Reviews:
    """Runs, rows and conflicts that wait, oldest first."""
    held = tables.held
    with hub.engine.connect() as connection:
        rows = read_rows(
            connection, held_rows(held.c.outcome == "review", held.c.state == "open").order_by(held.c.id)
        )
        return Reviews(
            tuple(_runs(connection)), tuple(_with_candidates(hub, connection, rows)),
            tuple(open_conflicts(hub, connection)),
        )


def _runs(connection: Connection) -> list[WaitingRun]:
    run = tables.run
    found = connection.execute(select(run).where(run.c.state == "review").order_by(run.c.id)).mappings().all()
    waiting = []
    for row in found:
        cursor = Cursor.model_validate(row["cursor"])
        labels = [into.label for into in cursor.intos]
        staged = staged_rows(connection, row["id"], row["flow"], labels, row["source"] or "")
        tripped = (row["problem"] or {}).get("tripped", [])
        waiting.append(WaitingRun(
            run_id=row["id"], flow=row["flow"], source=row["source"] or "", full=row["full"],
            since=row["landed_at"] or row["started_at"], tripped=tuple(tripped), sentences=tuple(guard_lines(tripped)),
            notices=tuple(noticed(row["notices"])),
            counts={into.label: _counts(into) for into in cursor.intos},
            causes=tuple(grouped(connection, staged, most=MOST_CAUSES)) if staged is not None else (),
        ))
    return waiting


def _counts(into: Any) -> dict[str, int]:
    """What the run would come to, by outcome; `archived` is what is absent. Older versions did not count conflicts."""
    told = {name: into.landed.get(name, 0) + into.expected.get(name, 0) for name in {**into.landed, **into.expected}}
    fought = {} if into.conflicts is None else {"conflicts": into.conflicts}
    return {"rows_read": into.rows_read, **told, "archived": into.absent, **fought}


def _with_candidates(hub: Hub, connection: Connection, rows: list[HeldRow]) -> list[WaitingRow]:
    shown: dict[int, dict[str, Any]] = {}
    for entity in {row.entity for row in rows}:
        wanted = {number for row in rows if row.entity == entity for number in row.candidates}
        shown |= shown_records(connection, hub, entity, wanted)
    return [
        WaitingRow(row, tuple(shown.get(number, {"entity": row.entity, "id": number}) for number in row.candidates))
        for row in rows
    ]
