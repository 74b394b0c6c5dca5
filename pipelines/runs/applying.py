"""The second half of a run: what was decided is applied, batch by batch, and the run is closed.

::

    held ──▶ first (each into) ──▶ waiting (passes over every into until nothing moves) ──▶ absent ──▶ done

Every batch moves the cursor in its own transaction, so a killed run goes on behind its last whole batch. A row that the
run applied before its staging was lost is known by its entry's run and row number, and is not counted twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, exists, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import DataError, IntegrityError, InternalError

from crm_store import hub_tables as hub
from mappings.errors import RunStopped
from mappings.words import OUTCOMES, Outcome
from pipelines.hub import Hub
from pipelines.runs.attempt import attempt
from pipelines.runs.cursor import Cursor, Phase
from pipelines.stages.absent import absent_entries, action_of, is_older, settle_absent
from pipelines.stages.apply import IntoApply
from pipelines.stages.decide import hopeless_rows, still_waiting
from pipelines.stages.held import close_gone, close_held, close_replayed
from pipelines.stages.plan import IntoPlan
from pipelines.stages.staging import Staging

BATCH_ROWS = 25_000
"""Rows applied in one transaction: short enough for people who work in the CRM meanwhile."""

_ORDER: tuple[Phase, ...] = ("held", "first", "waiting", "absent")


@dataclass(frozen=True)
class Applying:
    """A landed run that is to be applied."""

    hub: Hub
    run_id: int
    system: str
    source: str
    full: bool
    sequenced: bool  # the order mark is the file's, not the row's
    mark: int | None
    plans: tuple[IntoPlan, ...]
    staging: Staging
    cursor: Cursor
    progress: Callable[[str, int], None]
    held: tuple[int, ...] = ()  # held rows that this run takes up again


def apply_run(what: Applying) -> None:
    """Applies from the cursor on; the run is `done` when this returns."""
    with what.hub.engine.connect() as connection:
        _Apply(what, connection).all()


class _Apply:
    def __init__(self, what: Applying, connection: Connection) -> None:
        self.what, self.connection, self.cursor = what, connection, what.cursor
        self.intos = [
            IntoApply((what.run_id, what.mark), what.source, plan, what.staging, number)
            for number, plan in enumerate(what.plans)
        ]

    def all(self) -> None:
        self._transaction(self._prepare)
        if self._reached("held"):
            self._held()
        if self._reached("first"):
            self._first()
        if self._reached("waiting"):
            self._waiting()
        self._transaction(self._finish)

    def _prepare(self) -> None:
        for into in self.intos:
            into.prepare(self.connection)

    def _reached(self, phase: Phase) -> bool:
        return _ORDER.index(self.cursor.phase) <= _ORDER.index(phase)

    def _transaction(self, work: Callable[[], object]) -> None:
        """One batch: tried again on deadlock with the cursor as it was; the hub's name stands in the journal."""
        before = self.cursor.model_copy(deep=True)

        def inside() -> None:
            # A try that the database undid must not be counted.
            self.cursor.__dict__.update(before.model_copy(deep=True).__dict__)
            for name, value in (("navette.system", self.what.system), ("navette.run", str(self.what.run_id))):
                self.connection.execute(select(func.set_config(name, value, True)))
            work()
            self.cursor.save(self.connection, self.what.run_id)

        attempt(self.connection, inside)
        self.what.progress("applying", sum(sum(into.applied.values()) for into in self.cursor.intos))

    def _move(self, phase: Phase, into: int, row: int) -> None:
        self.cursor.phase, self.cursor.into, self.cursor.row = phase, into, row

    # -- phases ---------------------------------------------------------------------------------------------------

    def _held(self) -> None:
        start = (self.cursor.into, self.cursor.row) if self.cursor.phase == "held" else (0, 0)
        for number, into in enumerate(self.intos):
            if number < start[0]:
                continue
            low = start[1] if number == start[0] else 0
            while low < self.cursor.intos[number].last_row:
                high = low + BATCH_ROWS

                def batch(into: IntoApply = into, low: int = low, high: int = high, number: int = number) -> None:
                    into.hold_decided(self.connection, low, high)
                    self._move("held", number, high)

                self._transaction(batch)
                low = high
        self._transaction(lambda: self._move("first", 0, 0))

    def _first(self) -> None:
        start = (self.cursor.into, self.cursor.row)
        for number, into in enumerate(self.intos):
            if number < start[0]:
                continue
            self._transaction(lambda into=into: self._fill_waiting(into))  # type: ignore[misc]
            low = start[1] if number == start[0] else 0
            while low < self.cursor.intos[number].last_row:
                self._rows(number, low, low + BATCH_ROWS)
                low += BATCH_ROWS
        self._transaction(lambda: self._move("waiting", 0, 0))

    def _fill_waiting(self, into: IntoApply) -> None:
        """What the landing knew to be waiting; filled once, before the first batch can add to it."""
        wait, fate = into.tables.wait, into.tables.fate
        if self.cursor.row == 0:
            self.connection.execute(
                upsert(wait).from_select(["row_no"], select(fate.c.row_no).where(fate.c.waits)).on_conflict_do_nothing()
            )

    def _rows(self, number: int, low: int, high: int, *, waiting: bool = False) -> None:
        """One batch; where the store refuses it, its halves, down to the one row that is refused."""
        into = self.intos[number]

        def batch() -> None:
            self.connection.execute(select(func.set_config("navette.feed", str(into.plan.feed), True)))
            take = into.waiting_pass if waiting else into.first_pass
            self.cursor.intos[number].count(take(self.connection, low, high), into.undecided)
            if not waiting:
                self._move("first", number, high)

        try:
            self._transaction(batch)
        except (IntegrityError, DataError, InternalError) as error:
            if high - low > 1:
                middle = (low + high) // 2
                self._rows(number, low, middle, waiting=waiting)
                self._rows(number, middle, high, waiting=waiting)
                return
            detail = str((getattr(error.orig, "diag", None) and error.orig.diag.message_primary) or "refused")  # type: ignore[union-attr]

            def refuse() -> None:
                self.cursor.intos[number].count(into.refuse(self.connection, high, detail))
                if not waiting:
                    self._move("first", number, high)

            self._transaction(refuse)

    def _waiting(self) -> None:
        """Passes over the waiting rows of every into until one pass moves nothing."""
        moved = True
        while moved:
            moved = False
            for number, into in enumerate(self.intos):
                before = self._count_waiting(into)
                low = 0
                while before and low < self.cursor.intos[number].last_row:
                    self._rows(number, low, low + BATCH_ROWS, waiting=True)
                    low += BATCH_ROWS
                moved = moved or self._count_waiting(into) < before
        if any(self._count_waiting(into) for into in self.intos):
            self._transaction(self._last_rows)
        self._transaction(lambda: self._move("absent", 0, 0))

    def _last_rows(self) -> None:
        """Rows that hang on each other come in together; what hangs on something that did not come is parked."""
        connection = self.connection
        pairs = [(plan, into.tables) for plan, into in zip(self.what.plans, self.intos, strict=True)]
        hopeless: list[list[int]] = [[] for _ in self.intos]
        moved = True
        while moved:
            moved = False
            for number, (plan, tables) in enumerate(pairs):
                rows, wait = tables.rows, tables.wait
                found = connection.scalars(
                    delete(wait)
                    .where(wait.c.row_no == rows.c.row_no, hopeless_rows(plan, tables, pairs, still_waiting))
                    .returning(wait.c.row_no)
                ).all()
                hopeless[number] += found
                moved = moved or bool(found)
        for into, counts in zip(self.intos, self.cursor.intos, strict=True):
            counts.count(into.last_pass(connection))
        for into, rest, counts in zip(self.intos, hopeless, self.cursor.intos, strict=True):
            into.close_cycles(connection)
            connection.execute(delete(into.tables.wait))
            if rest:
                connection.execute(insert(into.tables.wait), [{"row_no": row_no} for row_no in rest])
                counts.count(into.park_rest(connection))

    def _count_waiting(self, into: IntoApply) -> int:
        with self.connection.begin():
            return int(self.connection.scalar(select(func.count()).select_from(into.tables.wait)) or 0)

    # -- the last transaction -------------------------------------------------------------------------------------

    def _finish(self) -> None:
        """Absent entries, the positions of the source, the counters and the state: together or not at all."""
        what, connection = self.what, self.connection
        for number, (plan, into, counts) in enumerate(zip(what.plans, self.intos, self.cursor.intos, strict=True)):
            self._absent(number, plan, into)
            same = into.tables.same
            if connection.scalar(select(exists().where(hub.held.c.feed == plan.feed, hub.held.c.state == "open"))):
                good = select(same.c.key, same.c.row_no, same.c.mark).subquery()
                close_held(connection, what.run_id, plan, good)
                if what.full and not counts.unread_keys:
                    close_gone(connection, what.run_id, plan, what.mark)
            if what.sequenced and not what.full:
                x = plan.crosswalk
                connection.execute(
                    update(x).where(x.c.id_space == plan.id_space, x.c.feed == plan.feed, x.c.key == same.c.key,
                                    x.c.mark < what.mark).values(mark=what.mark)
                )
            marks: dict[str, ColumnElement[Any]] = {"confirmed_at": func.now()}
            if what.full and what.sequenced:
                marks["full_mark"] = func.greatest(hub.feed.c.full_mark, what.mark)
            connection.execute(update(hub.feed).where(hub.feed.c.id == plan.feed).values(marks))
            outcomes: Counter[Outcome] = Counter(counts.outcomes())
            if counts.rows_read != outcomes.total():
                raise RunStopped(
                    f"{plan.label}: {counts.rows_read} rows were read but {outcomes.total()} outcomes counted",
                    where=f"run {what.run_id}", todo="the run is marked failed; please report this with its files",
                )
            conflicts = select(func.count()).where(
                hub.conflict.c.run_id == what.run_id, hub.conflict.c.feed == plan.feed
            ).scalar_subquery()
            connection.execute(delete(hub.run_into).where(
                hub.run_into.c.run_id == what.run_id, hub.run_into.c.feed == plan.feed
            ))
            connection.execute(insert(hub.run_into).values(
                run_id=what.run_id, feed=plan.feed, rows_read=counts.rows_read, archived=counts.archived,
                unlinked=counts.unlinked, conflicts=conflicts, closed=True,
                **{outcome: outcomes[outcome] for outcome in OUTCOMES},
            ))
        close_replayed(connection, what.run_id, what.held)
        connection.execute(
            update(hub.run).where(hub.run.c.id == what.run_id).values(state="done", ended_at=func.now(), problem=None)
        )

    def _absent(self, number: int, plan: IntoPlan, into: IntoApply) -> None:
        counts = self.cursor.intos[number]
        action = action_of(plan, self.what.full)
        if action == "ignore" or counts.unread_keys or is_older(plan, self.what.mark):
            return
        parent = next(
            ((p, i.tables) for p, i in zip(self.what.plans, self.intos, strict=True)
             if plan.owner and p.id_space in plan.owner.spaces), None,
        )
        into.clear(self.connection)
        entries = absent_entries(plan, into.tables, self.what.full, parent)
        counts.archived, counts.unlinked = settle_absent(
            self.connection, self.what.run_id, plan, entries, action, into.work.h, self.what.source
        )
