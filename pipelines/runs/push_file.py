"""Push to a folder: one file of records, numbered, written beside its place and renamed into it.

::

    claim, number ─▶ one snapshot, page by page ─▶ cells ─▶ .NAME.part ─▶ guard ─▶ safe ─▶ ready ─▶ rename ─▶ delivered
                                                     └ refused: outbox            no rows: skip

Killed before `ready` nobody has seen anything, and the next push writes the same number anew. Killed after it, the next
push finishes that very file first: what is still there beside its place is renamed, what is not was renamed already,
though its reader may have taken it. Markers go in the transaction that notes the delivery.

A marker is claimed before the snapshot is taken: run A claims, a user edits, A's snapshot has the edit; the edit moved
the marker's generation, so it stays, and the record is in the next file again. None is ever missed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.exc import DBAPIError

from connectors.file.folder import content_digest
from connectors.file.outbound.open import open_writer
from connectors.file.outbound.placing import discard, part_of, publish, safe, told, usable_folder
from connectors.file.outbound.port import FileWriter
from crm_store import hub_tables as tables
from mappings.errors import NavetteError, RunStopped
from mappings.language.file_pattern import parse_pattern
from mappings.language.flow import Flow, Schedule
from mappings.words import Outcome
from pipelines.hub import Hub
from pipelines.runs.due import due
from pipelines.runs.lines import fail
from pipelines.runs.orders import Progress, quiet
from pipelines.runs.push_result import PushResult
from pipelines.runs.standing import answering
from pipelines.stages.file_rows import FilePage, FilePlan, pages_of
from pipelines.stages.file_totals import Totals
from pipelines.stages.guard import Tripped, check_guard
from pipelines.stages.out_files import (
    SENDING,
    OutFile,
    Refusals,
    begin_file,
    claimed_count,
    close_earlier,
    drop_file,
    give_back,
    last_full,
    note_delivered,
    note_ready,
    settle_markers,
    unfinished,
)
from pipelines.stages.plan import compile_flow


def push_file_locked(hub: Hub, flow: Flow, progress: Progress = quiet, trigger: str = "push", *, full: bool = False,
                     approved: bool = False) -> PushResult:
    """Writes the flow's next file; the caller holds the flow's lock.

    `full`: everything, also where the flow writes changes. The first file holds everything. Raises ConfigurationError
    (the folder cannot be used), RunStopped (the file cannot be written), RetryLater (the system is paused).
    """
    began = time.monotonic()
    folder = outbound_folder(hub, flow)
    with hub.engine.begin() as connection:
        filed = FilePlan(flow, compile_flow(connection, flow, hub.project, hub.tables)[0])
        run_id = _start(connection, flow, trigger)
        close_earlier(connection, flow.flow, run_id)
    result = PushResult(run_id, flow.flow, flow.system, files=[], full=full)
    push = _FilePush(hub, filed, folder, result, progress)
    try:
        with answering(hub, flow.system):
            usable_folder(folder)
            finished = push.finish()
            with hub.engine.connect() as connection:
                whole = full or flow.write.full or last_full(connection, filed.plan.feed) is None
            # What a killed push had begun is this one's file; there may be new changes beside it.
            if finished is None or (whole and not finished.full) or (not whole and due(hub, flow)):
                push.file(full=whole, approved=approved)
    except NavetteError as error:
        fail(hub, run_id, None, error)
        raise
    finally:
        result.seconds = time.monotonic() - began
    _end(hub, result)
    return result


def file_is_left(hub: Hub, flow: Flow) -> bool:
    """Whether a killed push left a file behind that is to be finished."""
    file, feed = tables.outbound_file, tables.feed
    query = select(file.c.id).join(feed, feed.c.id == file.c.feed).where(feed.c.flow == flow.flow,
                                                                        file.c.state != "delivered")
    with hub.engine.connect() as connection:
        return connection.scalar(query.limit(1)) is not None


def outbound_folder(hub: Hub, flow: Flow) -> Path:
    """Where the files of the flow's system are written."""
    system = hub.project.systems[flow.system]
    return (hub.project.root / (system.outbound or system.folder or "")).absolute()


def _start(connection: Connection, flow: Flow, trigger: str) -> int:
    run_id: int = connection.execute(insert(tables.run).values(
        flow=flow.flow, system=flow.system, trigger=trigger, mapping="", source="outbox", state="applying",
    ).returning(tables.run.c.id)).scalar_one()
    return run_id


def _end(hub: Hub, result: PushResult) -> None:
    said = {name: str(count) for name, count in result.counts.items()}
    if result.files:
        said["files"] = ", ".join(result.files)
    with hub.engine.begin() as connection:
        connection.execute(update(tables.run).where(tables.run.c.id == result.run_id).values(
            state="done", ended_at=func.now(), detected=said, problem=result.waits))


@contextmanager
def snapshot(hub: Hub) -> Iterator[Connection]:
    """A transaction that reads, and sees one state of the store however long it lasts."""
    with hub.engine.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True) as found:
        yield found


@dataclass
class _FilePush:
    """One push of one flow."""

    hub: Hub
    filed: FilePlan
    folder: Path
    result: PushResult
    progress: Progress

    @property
    def feed(self) -> int:
        return self.filed.plan.feed

    def finish(self) -> OutFile | None:
        """Delivers a file that was whole when its push was killed; returns it."""
        with self.hub.engine.connect() as connection:
            file = unfinished(connection, self.feed)
        if file is None:
            return None
        part = part_of(file.path)
        if file.state == "open":
            discard(part)  # written anew, under a name of today
            return None
        usable_folder(file.path.parent)  # else a folder that is not mounted would look like a file that was taken
        if part.exists():
            if content_digest(part) != file.digest:
                discard(part)
                return None
            self._place(file)
        self._delivered(file)
        return file

    def file(self, *, full: bool, approved: bool) -> None:
        """Writes and delivers the next file; whatever keeps it, the store is as it was before."""
        moment = datetime.now(UTC)
        with self.hub.engine.begin() as connection:
            file = begin_file(connection, self.feed, self.result.run_id, full=full, path=lambda number: (
                self.folder / name_of(self.filed.flow, number, moment, full=full)))
            claimed = claimed_count(connection, self.feed)
        part = part_of(file.path)
        ready = False
        try:
            self._free(file.path)
            with told(file.path), Refusals() as refusals:
                counts, digest = self._written(file, part, refusals)
                rows, refused = counts["written"], counts["refused"] + counts["waiting"]
                counts["left_out"] = 0 if full else max(0, claimed - rows - refused)
                self.result.counts.update(counts)
                self.result.tripped = [] if approved else self._beyond(file, rows, counts["refused"])
                empty = rows == 0 and (self.filed.flow.write.when_empty or ("write" if full else "skip")) == "skip"
                if self.result.tripped or empty:
                    self._put_back(file, part, refusals, settled=not self.result.tripped)
                    self.result.counts["written"] = 0
                    return
                safe(part)
                with self.hub.engine.begin() as connection:
                    refusals.note(connection, self.feed)
                    note_ready(connection, file, rows, refused, digest)
            ready = True
            self._place(file)
            self._delivered(file)
        except BaseException:
            if not ready:
                with suppress(DBAPIError):  # the store is gone too: the next push finds the open file
                    self._put_back(file, part)
            raise

    def _free(self, path: Path) -> None:
        """A numbered file takes nobody's place."""
        pattern = parse_pattern(self.filed.flow.write.files or "")
        if any(piece.kind == "number" for piece in pattern.parts) and path.exists():
            raise RunStopped("there is a file of this name already, which this flow did not write", where=str(path),
                             todo="move it away and push again")

    def _written(self, file: OutFile, part: Path, refusals: Refusals) -> tuple[Counter[str], str]:
        """The whole file beside its place; how many rows are in it and are not, and its digest."""
        flow, shape, counts = self.filed.flow, self.filed.shape, Counter[str]()
        totals = Totals(flow)
        with TemporaryDirectory() as aside, part.open("wb") as opened, snapshot(self.hub) as connection:
            writer = open_writer(opened, flow.write, shape.columns, folder=Path(aside), where=f"flow {flow.flow}",
                                 plain=self.filed.plain, lists=self.filed.lists)
            for page in pages_of(connection, self.filed, self.hub.project.codes, None if file.full else SENDING):
                faults = faults_of(page, writer)
                if faults:
                    refusals.add({page.ids[row]: why for row, why in faults.items()})
                    waiting = sum(why["code"] == "link_unknown" for why in faults.values())
                    counts += Counter(waiting=waiting, refused=len(faults) - waiting)
                good = page.less(faults)
                if good.ids:
                    writer.write(good.cells)
                    totals.add(good)
                counts["written"] += len(good.ids)
                self.progress("writing", counts["written"])
            writer.finish(totals.trailer(self.filed, counts["written"]))
        return counts, content_digest(part)

    def _beyond(self, file: OutFile, rows: int, refused: int) -> list[Tripped]:
        """What the flow's guard says: rows refused; and of a full file, how many fewer there are than in the last."""
        with self.hub.engine.connect() as connection:
            before = last_full(connection, self.feed)
        entries = 0 if before is None else before.rows
        outcomes: Counter[Outcome] = Counter({"rejected": refused, "updated": 0 if file.full else rows})
        return check_guard(self.filed.flow.guard, self.filed.plan.label, rows + refused, outcomes,
                           max(0, entries - rows) if file.full else 0, entries, full=file.full)

    def _place(self, file: OutFile) -> None:
        self._free(file.path)
        with told(file.path):
            publish(part_of(file.path), file.path)

    def _delivered(self, file: OutFile) -> None:
        with self.hub.engine.begin() as connection:
            note_delivered(connection, self.feed, file)
        self.result.files = [*(self.result.files or ()), file.path.name]
        if file.state == "ready":  # of an earlier push: its counts were told to nobody
            self.result.counts.update(written=file.rows, refused=file.refused)

    def _put_back(self, file: OutFile, part: Path, refusals: Refusals | None = None, *, settled: bool = False) -> None:
        """No file after all, and why `refusals` are in none. `settled`: nothing of what was claimed belongs into one;
        else the guard asks: what a file of changes would leave out is due still, and counts again. A full one looks at
        every record in any case."""
        discard(part)
        with self.hub.engine.begin() as connection:
            if refusals is not None:
                refusals.note(connection, self.feed, asked=not (settled or file.full))
            drop_file(connection, file)
            (settle_markers if settled else give_back)(connection, self.feed)


def faults_of(page: FilePage, writer: FileWriter) -> dict[int, dict[str, Any]]:
    """Row to why it is not in the file: what cannot be encoded, and what this file cannot hold."""
    faults = dict(page.faults)
    for one in writer.judge(page.cells):
        faults.setdefault(one.row, {"code": one.code, "field": one.column, **one.params})
    return faults


def name_of(flow: Flow, number: int, moment: datetime, *, full: bool) -> str:
    """The name of the file with this number, with the date where the flow's people are."""
    zone = ZoneInfo((flow.schedule or Schedule()).timezone)
    return parse_pattern(flow.write.files or "").name(number, moment.astimezone(zone),
                                                      {"kind": "full" if full else "changes"})
