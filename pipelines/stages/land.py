"""Land: read, decode, expect and stage, page by page; writes nothing but staging.

::

    reader thread      main thread                               writer thread
    source pages ──▶ keys, fingerprints ─▶ which are the same? ─▶ COPY
                     decode ─▶ expect ─▶ faults                  (rows, held, raw pages)

Only rows whose raw content differs from the one last applied (or that have no entry yet) are decoded.
"""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import pandas as pd
import pyarrow as pa
import xxhash
from sqlalchemy import Connection, Engine

from connectors.page import Page, Source
from mappings.codecs.fingerprint import fingerprints
from mappings.codecs.into import Decoded, columns_needed, decode_into, is_there, resolve_column
from mappings.codecs.keys import keys_of
from mappings.codecs.source_value import source_columns
from mappings.errors import ConfigurationError, ExpectationFailed
from mappings.language.flow import Flow, Into
from pipelines.stages.held import damaged_frame, faulty_frame
from pipelines.stages.marks import marks_of
from pipelines.stages.nested import Part, part_of
from pipelines.stages.plan import IntoPlan
from pipelines.stages.same import SameRows
from pipelines.stages.staging import IntoStaging, Staging, copy_frame, everything_landed, pack

if TYPE_CHECKING:
    from mappings.language.project import Entity
    from pipelines.stages.expect import IntoResults, RowExpectations, RunExpectations

PAGE_ROWS = 50_000
Progress = Callable[[str, int], None]


@dataclass
class IntoLanded:
    """What landing found of one into."""

    rows_read: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)  # rejected, skipped, unchanged: decided while landing
    unread_keys: int = 0  # rows whose key could not be read: absence does not count then


@dataclass
class Landed:
    """What landing found; rows are numbered from 1, children of nested lists on their own."""

    intos: list[IntoLanded]
    rows_read: int = 0
    last_row: list[int] = field(default_factory=list)
    expectations: list[IntoResults] = field(default_factory=list)


@dataclass(frozen=True)
class Landing:
    """Everything that landing takes."""

    flow: Flow
    plans: tuple[IntoPlan, ...]
    staging: Staging
    source: Source
    variables: Mapping[str, str]
    codes: Mapping[str, Mapping[str, str]]
    run_id: int
    mark: int | None
    engine: Engine
    row_marks: tuple[int | None, ...] | None = None  # by row number from 1, for rows that are replayed


def active_plans(flow: Flow, plans: tuple[IntoPlan, ...], columns: tuple[str, ...], variables: Mapping[str, str]
                 ) -> tuple[IntoPlan, ...]:
    """The plans narrowed to the fields whose columns the source has.

    Raises ConfigurationError when a column of a key, of a condition or of a required field is missing.
    """
    known = {*columns, *(f"${name}" for name in variables)}
    missing: list[str] = []
    narrowed = []
    for plan in plans:
        if plan.into.each:
            narrowed.append(plan)
            continue
        needed: list[int | str] = [*plan.into.key, *plan.into.when]
        present = []
        for item in plan.fields:
            if is_there(columns, item.map):
                present.append(item.name)
            elif item.map.required:
                needed += source_columns(item.map)
        missing += [f"{plan.label}: {column}" for column in needed if not _known(known, columns, column)]
        narrowed.append(plan.narrowed(present))
    if missing:
        listed = ", ".join(repr(column) for column in dict.fromkeys(missing))
        raise ConfigurationError(
            f"the source lacks columns that the mapping needs: {listed}", where=f"flow {flow.flow}",
            todo=f"The source has: {', '.join(columns)}",
        )
    return tuple(narrowed)


def _known(known: set[str], columns: tuple[str, ...], column: int | str) -> bool:
    return (isinstance(column, str) and column in known) or resolve_column(columns, column) is not None


def land(what: Landing, progress: Progress) -> Landed:
    """Stages every row of the source; raises SourceUnreadable, RunStopped (trailer, run-wide faults)."""
    landed = Landed([IntoLanded() for _ in what.plans], last_row=[0] * len(what.plans))
    workers = [_IntoLanding(what, number) for number in range(len(what.plans))]
    with (
        what.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as lookup,
        what.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as writing,
        _Writer(writing) as writer,
    ):
        same = [SameRows(lookup, plan, staging, what.run_id)
                for plan, staging in zip(what.plans, what.staging.intos, strict=True)]
        for page in _ahead(what.source.pages(PAGE_ROWS)):
            landed.rows_read += len(page.frame) + len(page.damaged)
            kept: set[int] = set()
            for number, worker in enumerate(workers):
                kept |= worker.take(page, landed.intos[number], same[number], writer)
                landed.last_row[number] = worker.last_row
            if kept:
                rows = page.frame.loc[sorted(kept)]
                writer.pages(what.staging, rows)
            progress("landing", landed.rows_read)
    judge_runs(what, workers, landed)
    return landed


def judge_runs(what: Landing, workers: list[_IntoLanding], landed: Landed) -> None:
    """Whole-run expectations on everything that landed; raises RunStopped, before anything is applied."""
    failures: list[str] = []
    for worker in workers:
        if worker.rows is None:
            continue
        from pipelines.stages.expect import IntoResults

        if worker.run:
            with everything_landed(what.engine, worker.plan, worker.tables) as relation:
                failures += [
                    f"{worker.plan.label}: {failure.expectation} ({failure.observed})"
                    for failure in worker.run.check(what.engine, "staging", relation)
                ]
        landed.expectations.append(IntoResults(worker.plan.label, worker.rows, worker.run))
    if failures:
        raise ExpectationFailed(
            "the run does not meet what the mapping expects of it: " + "; ".join(failures),
            where=f"flow {what.flow.flow}", todo="correct the source, or the expectation; nothing was applied",
        )


class _IntoLanding:
    """Takes the pages of a run into the staging tables of one into."""

    def __init__(self, what: Landing, number: int) -> None:
        self.what, self.plan, self.tables = what, what.plans[number], what.staging.intos[number]
        self.into = self.plan.into.model_copy(
            update={"fields": {f.name: f.map for f in self.plan.fields
                               if f.reference is None or not f.reference.owner_key}}
        )
        self.columns = [*columns_needed(self.into), *([what.flow.read.version] if what.flow.read.version else []),
                        *([what.flow.read.stamp] if what.flow.read.stamp else [])]
        self.rows, self.run = expectations_of(self.into, self.plan.entity)
        self.last_row = 0

    def take(self, page: Page, landed: IntoLanded, same: SameRows, writer: _Writer) -> set[int]:
        """Stages one page; returns the row numbers of the page whose raw content must be kept."""
        kept: set[int] = set()
        if len(page.damaged):
            landed.unread_keys += len(page.damaged)
        part = part_of(page, self.into, [str(column) for column in self.columns], self.last_row)
        landed.rows_read += len(part.frame) + len(part.damaged)
        landed.outcomes["rejected"] += len(part.damaged)
        if len(part.damaged):
            writer.copy(self.tables.held, damaged_frame(part))
            self.last_row = max(self.last_row, int(part.damaged["row"].max()))
        if len(part.frame):
            self.last_row = max(self.last_row, int(part.frame.index[-1]))
            kept = self._rows(part, landed, same, writer)
        return kept

    def _rows(self, page: Part, landed: IntoLanded, same: SameRows, writer: _Writer) -> set[int]:
        variables = self.what.variables
        keys = keys_of(page.frame, self.into.key, variables)
        marks, stamps = marks_of(page.frame, self.what.flow.read, self.what.mark)
        if self.what.row_marks is not None:
            sources = page.frame.index if page.parents is None else page.parents
            kept_marks = [self.what.row_marks[row - 1] for row in sources]
            marks = pd.Series(kept_marks, index=page.frame.index, dtype="int64[pyarrow]")
        hashes = pd.Series(
            fingerprints(page.frame, self._present(page.frame), salt=self._salt(variables)), index=page.frame.index
        )
        changed = same.changed(page.frame.index, keys, hashes, marks)
        landed.outcomes["unchanged"] += len(page.frame) - len(changed)
        if not len(changed):
            return set()
        frame = page.frame if len(changed) == len(page.frame) else page.frame.loc[changed]
        decoded = decode_into(
            frame, self.into, self.plan.entity, variables=variables, codes=self.what.codes,
            decimal=self._decimal(), key_shapes=self.plan.key_shapes,
        )
        faults = decoded.faults
        taken = frame.index[~decoded.skipped.to_numpy(dtype=bool)]
        landed.outcomes["skipped"] += len(frame) - len(taken)
        good = taken.difference(faults.rows, sort=False)
        if self.rows is not None and len(good):
            faults.extend(self.rows.check(decoded.values.loc[good]))
            good = good.difference(faults.rows, sort=False)
        lines = pd.Series(page.lines, index=page.frame.index)
        if faults:
            landed.outcomes["rejected"] += len(faults.rows)
            landed.unread_keys += int(keys.loc[faults.rows].isna().sum())
            writer.copy(self.tables.held, faulty_frame(page, faults, keys, marks))
        if len(good):
            writer.copy(self.tables.rows, self._staged(page, decoded, good, keys, marks, stamps, hashes, lines))
        return set(page.parents.loc[good]) if page.parents is not None else set(good)

    def _staged(self, page: Part, decoded: Decoded, good: pd.Index[int], keys: pd.Series, marks: pd.Series,
                stamps: pd.Series, hashes: pd.Series, lines: pd.Series) -> pa.Table:
        columns: dict[str, pd.Series] = {
            "row_no": pd.Series(good, index=good), "line": lines, "key": keys, "mark": marks, "stamp": stamps,
            "fingerprint": hashes,
        }
        for item in self.plan.fields:
            if item.reference is not None and item.reference.owner_key is not None:
                columns[f"k_{item.reference.column}"] = _owner_keys(page, item.reference.owner_key, self.what.variables)
            elif item.reference is not None:
                columns[f"k_{item.reference.column}"] = decoded.values[item.name]
            else:
                columns |= {f"v_{column}": decoded.values[column] for column in item.columns}
            if item.name in decoded.kept:
                columns[f"keep_{item.name}"] = decoded.kept[item.name]
        if page.parents is not None:
            columns["source_no"] = page.parents
        # Equal lengths make the common case (nothing refused) free of copies.
        return pa.table({
            name: pa.array(values if len(values) == len(good) else values.loc[good]) for name, values in columns.items()
        })

    def _present(self, frame: pd.DataFrame) -> list[str]:
        names = tuple(frame.columns)
        found = [resolve_column(names, column) for column in self.columns]
        return list(dict.fromkeys(name for name in found if name is not None))

    def _salt(self, variables: Mapping[str, str]) -> int:
        used = sorted(f"{column}={variables[str(column)[1:]]}" for column in self.columns
                      if str(column).startswith("$") and str(column)[1:] in variables)
        return hash_text("\x1f".join([str(self.plan.salt), self.plan.label, *used]))

    def _decimal(self) -> Literal[".", ","] | None:
        found = _pinned_decimal(self.what.flow) or self.what.source.detected.get("decimal")
        return "," if found == "," else "." if found == "." else None


def expectations_of(into: Into, entity: Entity) -> tuple[RowExpectations | None, RunExpectations | None]:
    """Row-local and whole-run ones. Great Expectations takes seconds to import: only flows that use it pay."""
    if not into.expect:
        return None, None
    from pipelines.stages.expect import RowExpectations, RunExpectations

    return RowExpectations(into, entity), RunExpectations(into, entity)


def hash_text(value: str) -> int:
    """A signed 64-bit hash that is the same in every process."""
    return xxhash.xxh3_64_intdigest(value.encode()) - (1 << 63)


def _pinned_decimal(flow: Flow) -> str | None:
    form = flow.read.format
    chosen = form and (form.csv or form.fixed or form.excel)
    return chosen.decimal if chosen else None


def _owner_keys(page: Part, key: tuple[int | str, ...], variables: Mapping[str, str]) -> pd.Series:
    """The key of the owner of each row: of the row itself, or of the parent row for children of nested lists."""
    if page.parents is None:
        return keys_of(page.frame, key, variables)
    parents = keys_of(page.raw, key, variables)
    return pd.Series(parents.reindex(page.parents.to_numpy()).to_numpy(), index=page.frame.index,
                     dtype="string[pyarrow]")


def _ahead(pages: Iterator[Page]) -> Iterator[Page]:
    """Reads one page ahead in a thread of its own; an error of the reader is raised where the page would be."""
    line: queue.Queue[Page | BaseException | None] = queue.Queue(maxsize=1)
    stop = threading.Event()

    def put(item: Page | BaseException | None) -> None:
        while not stop.is_set():
            try:
                line.put(item, timeout=0.2)
            except queue.Full:
                continue
            return

    def read() -> None:
        try:
            for page in pages:
                put(page)
                if stop.is_set():
                    return
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=read, name="navette-reader", daemon=True)
    thread.start()
    try:
        while (item := line.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()


class _Writer:
    """COPYs in a thread of its own, two pages behind at most; the first error is raised at the next call."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="navette-copy")
        self.waiting: list[Future[None]] = []

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *error: object) -> None:
        try:
            if error[0] is None:
                self._settle(0)
        finally:
            self.pool.shutdown(wait=True, cancel_futures=True)

    def copy(self, table: IntoStaging | object, frame: pd.DataFrame | pa.Table) -> None:
        self._add(lambda: copy_frame(self.connection, table, frame))  # type: ignore[arg-type]

    def pages(self, staging: Staging, rows: pd.DataFrame) -> None:
        def write() -> None:
            self.connection.execute(
                staging.pages.insert(),
                {"first": int(rows.index[0]), "last": int(rows.index[-1]), "payload": pack(rows, rows.index)},
            )

        self._add(write)

    def _add(self, work: Callable[[], None]) -> None:
        self._settle(3)
        self.waiting.append(self.pool.submit(work))

    def _settle(self, allowed: int) -> None:
        while len(self.waiting) > allowed:
            self.waiting.pop(0).result()
