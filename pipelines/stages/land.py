"""Land: read, decode, expect and stage, page by page; writes nothing but staging.

::

    reader thread        two lanes               a thread   main thread         two writers
    source pages       ─▶ which are the same? ─▶ decode ──▶ expect ─▶ faults ─▶ COPY (rows, held), match them
    keys, fingerprints                                                       └▶ raw pages

Only rows whose raw content differs from the one last applied (or that have no entry yet) are decoded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
from sqlalchemy import Connection, Engine

from connectors.page import Page, Source
from mappings.check.expectations import KNOWN, judges_rows
from mappings.codecs.into import Decoded, decode_into
from mappings.codecs.keys import keys_of
from mappings.errors import ExpectationFailed
from mappings.faults import Faults
from mappings.language.flow import Flow
from pipelines.stages.answers import marks_of_held, split_answers, staged_answers
from pipelines.stages.decide import Matching
from pipelines.stages.expectations.library import load_ahead
from pipelines.stages.held import damaged_frame, faulty_frame, json_text
from pipelines.stages.marks import MarksSeen, marks_of
from pipelines.stages.nested import OwnerKey, Part, part_of
from pipelines.stages.plan import IntoPlan
from pipelines.stages.prints import Prints, read_by
from pipelines.stages.read_part import Looked, ReadPart, gathered
from pipelines.stages.same import SameRows, same_rows
from pipelines.stages.staging import Staging, everything_landed
from pipelines.stages.threads import Scribe, Writer, in_lanes, read_ahead
from pipelines.stages.unlike import Meeting, Unlike

if TYPE_CHECKING:
    from pipelines.stages.expect import IntoResults, RowExpectations, RunExpectations

PAGE_ROWS = 15_000
GATHERED_ROWS = PAGE_ROWS // 5
"""Changed rows of several pages that are decoded at once."""
LOOK_UPS = 2
"""Connections on which pages are looked up, each a page ahead: one server process cannot keep up with the reader."""
Progress = Callable[[str, int], None]


@dataclass
class IntoLanded:
    """What landing found of one into."""

    rows_read: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)  # rejected, skipped, unchanged: decided while landing
    unread_keys: int = 0  # rows whose key could not be read: absence does not count then
    unlike: Unlike = field(default_factory=Unlike)
    staged: int = 0
    all_new: bool = False  # a first load, of whose staged rows no `fate` was written


@dataclass
class Landed:
    """What landing found; rows are numbered from 1, children of nested lists on their own."""

    intos: list[IntoLanded]
    rows_read: int = 0
    last_row: list[int] = field(default_factory=list)
    expectations: list[IntoResults] = field(default_factory=list)
    marks: MarksSeen = field(default_factory=MarksSeen)
    failures: list[dict[str, Any]] = field(default_factory=list)  # whole-run expectations that are not met


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
    afresh: bool = False  # rows that are as they were when last applied are looked at all the same
    row_marks: tuple[int | None, ...] | None = None  # by row number from 1, for rows that are replayed
    held_marks: dict[int, int] = field(default_factory=dict)  # by row number, of the held rows that rows answer
    connection: Connection | None = None  # of a small run, whose one transaction does everything

    def marks(self, frame: pd.DataFrame, sources: pd.Index[int] | pd.Series) -> tuple[pd.Series, pd.Series]:
        """(order marks, stamps) of the rows of `frame`; `sources`: their numbers in the source."""
        marks, stamps = marks_of(frame, self.flow.read, self.mark)
        if self.row_marks is not None:
            kept = [self.row_marks[row - 1] for row in sources]
            marks = pd.Series(kept, index=frame.index, dtype="int64[pyarrow]")
        elif self.held_marks:  # a corrected row is news of the file it was in, unless its own tells another day
            held = [self.held_marks.get(row) for row in sources]
            marks = marks.fillna(pd.Series(held, index=frame.index, dtype="int64[pyarrow]"))
        return marks, stamps

    @property
    def run(self) -> tuple[int, int | None]:
        """The run's id, and its mark where rows have none of their own."""
        of_rows = bool(self.flow.read.mark_columns) or self.row_marks is not None
        return self.run_id, None if of_rows else self.mark


def land(what: Landing, progress: Progress) -> Landed:
    """Stages every row of the source; raises SourceUnreadable, RunStopped (trailer, run-wide faults)."""
    if "jemalloc" in pa.supported_memory_backends():
        # The default keeps a quarter more memory where several threads pass pages on, the system's half as much again.
        pa.set_memory_pool(pa.jemalloc_memory_pool())
    landed = Landed([IntoLanded() for _ in what.plans], last_row=[0] * len(what.plans))
    workers = [_IntoLanding(what, number) for number in range(len(what.plans))]
    with ExitStack() as stack:
        writer, keeper, connections = _hands(what, stack)
        lanes = _lanes(what, connections)
        if all(same.empty for same in lanes[0]):  # a first load: nothing to look up, and no pages to hold for it
            lanes = lanes[:1]

        def look_up(read: tuple[Page, pd.Series, list[ReadPart]], lane: int) -> list[pd.Index[int]]:
            return [part.changed(same) for part, same in zip(read[2], lanes[lane], strict=True)]

        source = (_answering(what, *split_answers(page)) for page in what.source.pages(PAGE_ROWS))
        read = ((page, answers, [worker.read(page) for worker in workers]) for page, answers in source)

        def looked() -> Iterator[Looked]:
            if what.connection is not None:
                found = ((item, look_up(item, 0)) for item in read)
            else:
                ahead = stack.enter_context(closing(read_ahead(read)))
                found = stack.enter_context(closing(in_lanes(ahead, look_up, len(lanes))))
            for (page, answers, parts), changed in found:
                landed.rows_read += len(page.frame) + len(page.damaged)
                for worker, part, rows, into in zip(workers, parts, changed, landed.intos, strict=True):
                    worker.count(part, rows, into, writer)
                own = next((part for part in parts if part.part.parents is None), None)
                if own is not None and what.row_marks is None:
                    landed.marks.look(page.frame, own.marks, what.flow.read)
                landed.last_row = [worker.last_row for worker in workers]
                if len(answers):
                    marks, _ = what.marks(page.frame, page.frame.index)
                    writer.copy(what.staging.answers, staged_answers(answers, marks))
                progress("landing", landed.rows_read)
                yield Looked(page.frame, parts, changed)

        def decode(page: Looked, _: int = 0) -> list[Decoded | None]:
            return [worker.decode(part, rows)
                    for worker, part, rows in zip(workers, page.parts, page.changed, strict=True)]

        pages = gathered(looked(), GATHERED_ROWS)
        taken: Iterator[tuple[Looked, list[Decoded | None]]] = ((page, decode(page)) for page in pages)
        if what.connection is None:  # one page ahead; two at once would take the interpreter's lock from each other
            taken = stack.enter_context(closing(in_lanes(pages, decode, 1)))
        for page, decoded in taken:
            kept = [worker.take(part, of_part, into, writer) for worker, part, of_part, into in
                    zip(workers, page.parts, decoded, landed.intos, strict=True)]
            keeper.pages(what.staging, _rows_of(page.frame, kept))
        for worker, into, told in zip(workers, landed.intos, zip(*lanes, strict=True), strict=True):
            into.unlike = worker.meeting.told(same=all(same.once for same in told),
                                              none_same=not into.outcomes["unchanged"])
            for same in told:
                same.close()
    for worker, into in zip(workers, landed.intos, strict=True):
        into.all_new = bool(worker.matching.all_new)  # told when the last page was written
    judge_runs(what, workers, landed)
    return landed


def _hands(what: Landing, stack: ExitStack) -> tuple[Scribe, Scribe, list[Connection]]:
    """Who writes what was decoded, who keeps raw rows, and the connections that pages are looked up on."""
    if what.connection is not None:
        scribe = Scribe(what.connection)
        return scribe, scribe, [what.connection]
    # Of rows a page is two pieces of work: COPY, and match.
    writer, keeper = [stack.enter_context(Writer(stack.enter_context(what.engine.connect()), behind))
                      for behind in (3, 1)]
    return writer, keeper, [stack.enter_context(what.engine.connect()) for _ in range(LOOK_UPS)]


def _lanes(what: Landing, connections: list[Connection]) -> list[tuple[SameRows, ...]]:
    """For each connection what tells, for each into, which rows are the same."""
    of_intos = [same_rows(connections, plan, staging, what.run_id, afresh=what.afresh, small=what.staging.small)
                for plan, staging in zip(what.plans, what.staging.intos, strict=True)]
    return list(zip(*of_intos, strict=True))


def _answering(what: Landing, page: Page, answers: pd.Series) -> tuple[Page, pd.Series]:
    if len(answers) and what.row_marks is None:
        what.held_marks.update(marks_of_held(what.engine, answers))
    return page, answers


def judge_runs(what: Landing, workers: list[_IntoLanding], landed: Landed) -> None:
    """Whole-run expectations on everything that landed; what is not met goes to `landed.failures`. A replay and an
    export hold but some rows, which say nothing of the whole."""
    some = what.row_marks is not None or "export" in what.source.detected
    for worker in workers:
        if not worker.expects or not (worker.asked or worker.asks_of_run):
            continue
        from pipelines.stages.expect import IntoResults

        if worker.run and not some:
            with everything_landed(what.engine, worker.plan, worker.tables) as relation:
                landed.failures += [
                    {"into": worker.plan.label, "expectation": failure.expectation, "rule": failure.rule,
                     "arguments": orjson.loads(json_text(failure.arguments)), "observed": failure.observed}
                    for failure in worker.run.check(what.engine, "staging", relation)
                ]
        landed.expectations.append(IntoResults(worker.plan.label, worker.rows, worker.run))


def must_be_met(what: Landing, landed: Landed) -> None:
    """Raises ExpectationFailed when the run as a whole does not meet an expectation; nothing was applied."""
    if landed.failures:
        told = [f"{failure['into']}: {failure['expectation']} ({failure['observed']})" for failure in landed.failures]
        raise ExpectationFailed(
            "the run does not meet what the mapping expects of it: " + "; ".join(told),
            where=f"flow {what.flow.flow}", todo="correct the source, or the expectation; nothing was applied",
            failures=tuple(landed.failures),
        )


def _rows_of(frame: pd.DataFrame, kept: list[pd.Index[int]]) -> pd.DataFrame:
    """The rows of the page that some into keeps."""
    if any(len(rows) == len(frame) for rows in kept):
        return frame
    wanted = pd.Index(np.unique(np.concatenate([rows.to_numpy() for rows in kept])))
    rows: pd.DataFrame = frame.loc[wanted]
    return rows


class _IntoLanding:
    """Takes the pages of a run into the staging tables of one into."""

    def __init__(self, what: Landing, number: int) -> None:
        self.what, self.plan, self.tables = what, what.plans[number], what.staging.intos[number]
        self.into = read_by(self.plan)
        self.owner_key, self.held_in = OwnerKey.of(self.plan, what.plans), what.flow.list_column(self.into)
        self.prints = Prints.of(what.flow, self.plan, self.owner_key.columns)
        self.expects, self.asked = bool(self.into.expect), False
        self.matching = Matching(self.plan, self.tables, what.run, small=what.staging.small)
        self.meeting = Meeting(self.plan, self.tables)
        self.last_row = 0

    # Great Expectations takes seconds to import: only a run that has rows to judge pays for it.

    @cached_property
    def rows(self) -> RowExpectations:
        """The row-local expectations."""
        from pipelines.stages.expect import RowExpectations

        self.asked = True
        return RowExpectations(self.into, self.plan.entity)

    @cached_property
    def run(self) -> RunExpectations:
        """The whole-run ones."""
        from pipelines.stages.expect import RunExpectations

        return RunExpectations(self.into, self.plan.entity)

    @property
    def asks_of_run(self) -> bool:
        """Whether any expectation is about the run as a whole."""
        every = [asked for item in self.into.expect for asked in item.items()]
        return any(name in KNOWN and not judges_rows(name, arguments) for name, arguments in every)

    def read(self, page: Page) -> ReadPart:
        """What can be told of a page without the store; pages come in order, in the reader's thread."""
        part = part_of(page, self.into, [str(column) for column in self.prints.columns], self.last_row,
                       self.held_in)
        for numbers in (part.damaged["row"], part.frame.index, *(() if part.broken is None else (part.broken["row"],))):
            if len(numbers):
                self.last_row = max(self.last_row, int(numbers.max()))
        keys = keys_of(part.frame, self.into.key, self.what.variables)
        marks, stamps = self._marks(part)
        hashes = self.prints.told(part.frame, self.what.variables)
        return ReadPart(part, keys, marks, stamps, hashes)

    def _marks(self, part: Part) -> tuple[pd.Series, pd.Series]:
        """(order marks, stamps): elements of a nested list have those of the row that holds them."""
        if part.parents is None:
            return self.what.marks(part.frame, part.frame.index)
        marks, stamps = self.what.marks(part.raw, part.raw.index)
        return (marks.loc[part.parents].set_axis(part.frame.index),
                stamps.loc[part.parents].set_axis(part.frame.index))

    def count(self, read: ReadPart, changed: pd.Index[int], landed: IntoLanded, writer: Scribe) -> None:
        """Counts what need not be decoded: rows that are the same, and what could not be read, which is staged."""
        part = read.part
        if self.expects and len(changed):
            load_ahead()
        landed.outcomes["unchanged"] += len(part.frame) - len(changed)
        landed.unread_keys += part.unread
        landed.rows_read += len(part.frame) + part.unread
        landed.outcomes["rejected"] += part.unread
        if len(part.damaged):
            writer.copy(self.tables.held, damaged_frame(part))
        if part.broken is not None:
            writer.copy(self.tables.held, self._broken(part, part.broken))

    def _broken(self, part: Part, broken: pd.DataFrame) -> pd.DataFrame:
        """Staging rows of `held` for lists that are none, each with the whole row that holds it: there it is put right.
        """
        faults, rows = Faults(), broken.set_index("row")
        for detail, alike in rows.groupby("detail"):
            faults.add(alike.index, field=self.into.each or "", code="list", value=alike["value"], detail=detail)
        keys = pd.Series(pd.NA, index=rows.index, dtype="string[pyarrow]")
        return faulty_frame(part.of_broken, faults, keys, self._marks(part.of_broken)[0])

    def decode(self, read: ReadPart, changed: pd.Index[int]) -> Decoded | None:
        """The changed rows, decoded; None without any."""
        page = read.part
        if not len(changed):
            return None
        frame = page.frame if len(changed) == len(page.frame) else page.frame.loc[changed]
        return decode_into(
            frame, self.into, self.plan.entity, variables=self.what.variables, codes=self.what.codes,
            decimal=self._decimal(), key_shapes=self.plan.key_shapes, entities=self.plan.entities,
        )

    def take(self, read: ReadPart, decoded: Decoded | None, landed: IntoLanded, writer: Scribe) -> pd.Index[int]:
        """Judges and stages decoded rows; returns the row numbers of the source whose raw content must be kept."""
        page = read.part
        keys, marks, stamps, hashes = read.keys, read.marks, read.stamps, read.hashes
        if decoded is None:
            return page.frame.index[:0]
        faults = decoded.faults
        rows = decoded.skipped.index
        taken = rows[~decoded.skipped.to_numpy(dtype=bool)]
        landed.outcomes["skipped"] += len(rows) - len(taken)
        self._refuse_orphans(read, taken, faults)
        good = taken.difference(faults.rows, sort=False)
        if self.expects and len(good):
            faults.extend(self.rows.check(decoded.values.loc[good]))
            good = good.difference(faults.rows, sort=False)
        lines = pd.Series(page.lines, index=page.frame.index)
        if faults:
            landed.outcomes["rejected"] += len(faults.rows)
            landed.unread_keys += int(keys.loc[faults.rows].isna().sum())
            writer.copy(self.tables.held, faulty_frame(page, faults, keys, marks))
        if len(good):
            staged = self._staged(page, decoded, good, keys, marks, stamps, hashes, lines)
            self.meeting.meet(staged)
            landed.staged += len(staged)
            writer.copy(self.tables.rows, staged)
            low, high = int(good.min()) - 1, int(good.max())
            writer.do(lambda connection: self.matching(connection, low, high))
        return pd.Index(page.parents.loc[good].unique()) if page.parents is not None else good

    def _refuse_orphans(self, read: ReadPart, taken: pd.Index[int], faults: Faults) -> None:
        """A child whose owner cannot even be named hangs on nothing, whether its owner was refused or left out."""
        owner = self.plan.owner
        if owner is not None:
            keys = self.owner_key.read(read.part, self.what.variables).loc[taken]
            faults.add(taken[keys.isna().to_numpy()], field=owner.column, code="owner_refused", entity=owner.entity,
                       key=", ".join(map(str, self.owner_key.key)))

    def _staged(self, page: Part, decoded: Decoded, good: pd.Index[int], keys: pd.Series, marks: pd.Series,
                stamps: pd.Series, hashes: pd.Series, lines: pd.Series) -> pa.Table:
        columns: dict[str, pd.Series] = {
            "row_no": pd.Series(good, index=good), "line": lines, "key": keys, "mark": marks, "stamp": stamps,
            "fingerprint": hashes,
        }
        for item in self.plan.fields:
            if item.reference is not None and item.reference.owner_key is not None:
                columns[f"k_{item.reference.column}"] = self.owner_key.read(page, self.what.variables)
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

    def _decimal(self) -> Literal[".", ","] | None:
        found = self.what.flow.read.decimal or self.what.source.detected.get("decimal")
        return "," if found == "," else "." if found == "." else None
