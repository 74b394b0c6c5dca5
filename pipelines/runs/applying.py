"""The second half of a run: what was decided is applied, batch by batch, and the run is closed.

::

    held ──▶ first (each into) ──▶ waiting (passes over every into until nothing moves) ──▶ absent ──▶ done

Every batch moves the cursor in its own transaction, so a killed run goes on behind its last whole batch. Only the last
transaction waits for the disk: a power cut undoes batches from the end, and with each its cursor. A row that the run
applied before its staging was lost is known by its entry's run and row number, and is not counted twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    CompoundSelect,
    Connection,
    Select,
    Update,
    bindparam,
    delete,
    exists,
    func,
    insert,
    null,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InternalError

from crm_store import hub_tables as hub
from crm_store.store_faults import sqlstate
from pipelines.runs.attempt import attempt, durable, say
from pipelines.runs.closing import Into, close_intos
from pipelines.runs.cursor import Phase
from pipelines.runs.landed import Applying
from pipelines.runs.lanes import LANES, ROUND, Lanes
from pipelines.runs.position import position_kept
from pipelines.stages.answers import close_answered
from pipelines.stages.apply import IntoApply
from pipelines.stages.decide import APPLIED
from pipelines.stages.first_load import index_fates, write_fates
from pipelines.stages.moment import Moment
from pipelines.stages.plan import IntoPlan
from pipelines.stages.staging import in_transaction
from pipelines.stages.waiting import hopeless_rows, still_waiting

BATCH_ROWS = 25_000
"""Rows applied in one transaction: short enough for people who work in the CRM meanwhile."""

_ORDER: tuple[Phase, ...] = ("held", "first", "waiting", "absent")


class _Undone(Exception):
    """Ends a transaction that was only a trial."""


def _is_refusal(error: DBAPIError) -> bool:
    """Whether the store refused the content of a row: a constraint, a type, or a trigger of the company's own."""
    return isinstance(error, IntegrityError | DataError | InternalError) or sqlstate(error).startswith("P0")


def apply_run(what: Applying) -> None:
    """Applies from the cursor on; the run is `done` when this returns."""
    with what.hub.engine.connect() as connection:
        Apply(what, connection).all()


class Apply:
    """A landed run on its way through the phases."""

    def __init__(self, what: Applying, connection: Connection) -> None:
        self.what, self.connection, self.cursor = what, connection, what.cursor
        self.settings = {"navette.system": what.system, "navette.run": str(what.run_id), "synchronous_commit": "off"}
        self.intos = [
            IntoApply((what.run_id, what.mark), what.source, what.plans, what.staging, number, work)
            for number, work in enumerate(what.works)
        ]
        self.untouched = [_untouched(plan, what.plans[:number]) for number, plan in enumerate(what.plans)]
        self.told: Into = {}  # what was counted, once the run is done

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
            self.cursor.become(before)
            say(self.connection, self.settings)
            work()
            self.cursor.save(self.connection, self.what.run_id)

        attempt(self.connection, inside)
        self._tell()

    def _tell(self) -> None:
        self.what.progress("applying", sum(sum(into.applied.values()) for into in self.cursor.intos))

    # -- phases ---------------------------------------------------------------------------------------------------

    def _held(self) -> None:
        start = (self.cursor.into, self.cursor.row) if self.cursor.phase == "held" else (0, 0)
        for number, into in enumerate(self.intos):
            if number < start[0]:
                continue
            low = start[1] if number == start[0] else 0
            for high in self._ends(_held_rows(into), low, number):

                def batch(into: IntoApply = into, low: int = low, high: int = high, number: int = number) -> None:
                    into.hold_decided(self.connection, low, high)
                    self.cursor.move("held", number, high)

                self._transaction(batch)
                low = high
        self._transaction(lambda: self.cursor.move("first", 0, 0))

    def _first(self) -> None:
        start = (self.cursor.into, self.cursor.row)
        for number, into in enumerate(self.intos):
            if number < start[0]:
                continue
            if number > self.cursor.into:
                self._transaction(lambda number=number: self.cursor.move("first", number, 0))  # type: ignore[misc]
            self._fill_gap(number)
            fate, every = into.tables.fate, self._all_new(number)
            mine = select(fate.c.row_no).where(fate.c["class"].in_(APPLIED), ~fate.c.waits)
            if every:
                mine = select(into.tables.rows.c.row_no)
            counts, ends = self.cursor.intos[number], None
            if every and counts.staged == counts.last_row:
                ends = [end for end in (*range(BATCH_ROWS, counts.last_row, BATCH_ROWS), counts.last_row)
                        if end > self.cursor.row]
            for high in self._in_lanes(number, self._ends(mine, self.cursor.row, number) if ends is None else ends):
                self._rows(number, self.cursor.row, high)
        self._transaction(lambda: self.cursor.move("waiting", 0, 0))

    def _in_lanes(self, number: int, ends: list[int]) -> list[int]:
        """Creates two batches at a time where there is nothing but creating to do; returns the ends that are left."""
        lanes = Lanes(self.what.hub.engine, self.what.run_id, number, self.intos[number], self.settings,
                      self._all_new(number))
        fit = self.untouched[number] and lanes.fit(self.connection, self.cursor.row)
        least = LANES
        while fit and len(ends) >= least:
            fit = lanes.create(self.connection, [self.cursor.row, *ends[:ROUND]], self.cursor, self._ours_since)
            self._fill_gap(number)
            ends, least = [end for end in ends if end > self.cursor.row], 1
            self._tell()
        return ends

    def _all_new(self, number: int) -> bool:
        """Whether every staged row is to be created, and waits for nothing."""
        counts = self.cursor.intos[number]
        return not self.intos[number].plan.references and counts.expected == {"created": counts.staged}

    def _fill_gap(self, number: int) -> None:
        """Applies the batches that some lanes left out while others went on."""
        while self.cursor.beyond:
            self._rows(number, self.cursor.row, min(self.cursor.beyond[0][0], self.cursor.row + BATCH_ROWS))

    def _ends(self, rows: Select[Any] | CompoundSelect[Any], low: int, number: int) -> list[int]:
        """Row numbers at which batches end, so that each has BATCH_ROWS of `rows` beyond `low`: none when there are
        none."""
        chosen = rows.subquery()
        nth = func.row_number().over(order_by=chosen.c.row_no).label("nth")
        ranked = select(chosen.c.row_no, nth).where(chosen.c.row_no > low).subquery()
        with in_transaction(self.connection):
            if not self.connection.scalar(select(exists().where(chosen.c.row_no > low))):
                return []
            every = select(ranked.c.row_no).where(ranked.c.nth % BATCH_ROWS == 0).order_by(ranked.c.row_no)
            ends = self.connection.scalars(every).all()
        last = self.cursor.intos[number].last_row
        return list(ends) if ends and ends[-1] >= last else [*ends, last]

    def _rows(self, number: int, low: int, high: int, *, waiting: bool = False) -> None:
        """One batch; where the store refuses it, its halves, down to the one row that is refused."""
        into = self.intos[number]
        if self.cursor.intos[number].unwritten:
            self._transaction(lambda: self._write_fates(number))

        def batch() -> None:
            self._as_feed(into)
            if waiting:
                self.cursor.intos[number].count(into.waiting_pass(self.connection, low, high), into.undecided)
                return
            before = self.cursor.journal
            stands = self._stands if self.untouched[number] else None
            self.cursor.intos[number].count(into.first_pass(self.connection, low, high, stands=stands), into.undecided)
            # Our own lines of the journal change nothing that we have not decided ourselves.
            self.cursor.journal = self._ours_since(before) if into.took_over else -1
            self.cursor.move("first", number, high)

        try:
            self._transaction(batch)
        except DBAPIError as error:
            if not self._may_halve(error):
                raise
            if high - low > 1:
                middle = (low + high) // 2
                self._rows(number, low, middle, waiting=waiting)
                self._rows(number, middle, high, waiting=waiting)
                return
            self._refuse(number, high, error, waiting=waiting)

    def _write_fates(self, number: int) -> None:
        """Those of a first load that goes on row by row."""
        tables = self.intos[number].tables
        write_fates(self.connection, tables)
        index_fates(self.connection, tables)
        self.cursor.intos[number].unwritten = False

    def _as_feed(self, into: IntoApply) -> None:
        """What is written from here on came from the into's feed."""
        say(self.connection, {"navette.feed": str(into.plan.feed)})

    def _may_halve(self, error: DBAPIError) -> bool:
        """Whether parts of the batch may be tried that the store has just refused."""
        return _is_refusal(error)

    def _refuse(self, number: int, row_no: int, error: DBAPIError, *, waiting: bool) -> None:
        detail = str((getattr(error.orig, "diag", None) and error.orig.diag.message_primary) or "refused")  # type: ignore[union-attr]

        def refuse() -> None:
            self.cursor.intos[number].count(self.intos[number].refuse(self.connection, row_no, detail))
            if not waiting:
                self.cursor.move("first", number, row_no)

        self._transaction(refuse)

    def _stands(self) -> bool:
        """Whether nobody has changed anything since the decision."""
        return self.cursor.quiet and self._ours_since(self.cursor.journal) >= 0

    def _ours_since(self, since: int) -> int:
        """The journal's place, if every line that it got since is this run's; else -1, for good."""
        last = Moment.now(self.connection).journal
        if since in (-1, last):
            return since
        mine = select(func.count()).where(
            hub.journal.c.id > since, hub.journal.c.id <= last, hub.journal.c.run_id == self.what.run_id
        )
        return last if self.connection.scalar(mine) == last - since else -1

    def _waiting(self) -> None:
        """Passes over the waiting rows of every into until one pass moves nothing."""
        moved = True
        while moved:
            moved = False
            for number, into in enumerate(self.intos):
                before, low = self._count_waiting(into), 0
                for high in self._ends(select(into.tables.wait.c.row_no), low, number) if before else ():
                    self._rows(number, low, high, waiting=True)
                    low = high
                moved = moved or (before > 0 and self._count_waiting(into) < before)
        while any(self._count_waiting(into) for into in self.intos):
            try:
                self._transaction(self._last_rows)
            except DBAPIError as error:
                # Taken out, the refused row leaves those that hang on it without hope: they are parked next time round.
                found = self._may_halve(error) and [
                    self._refuse_waiting(number, 0, counts.last_row) for number, counts in enumerate(self.cursor.intos)
                ]
                if not found or not any(found):
                    raise
        self._transaction(lambda: self.cursor.move("absent", 0, 0))

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
            if into.later:
                connection.execute(insert(into.tables.wait), [{"row_no": row_no} for row_no in into.later])

    def _refuse_waiting(self, number: int, low: int, high: int) -> bool:
        """Refuses the waiting rows in (low, high] that the store does not take: each half is tried, and undone."""

        def trial() -> None:
            self.intos[number].last_pass(self.connection, low, high)
            raise _Undone

        try:
            self._transaction(trial)
        except _Undone:
            return False
        except DBAPIError as error:
            if not self._may_halve(error):
                raise
            if high - low > 1:
                middle = (low + high) // 2
                return self._refuse_waiting(number, low, middle) | self._refuse_waiting(number, middle, high)
            self._refuse(number, high, error, waiting=True)
            return True
        raise AssertionError("not reached")

    def _count_waiting(self, into: IntoApply) -> int:
        if not into.may_wait:
            return 0
        waiting = into.tables.once("waiting", lambda: select(func.count()).select_from(into.tables.wait))
        with in_transaction(self.connection):
            return int(self.connection.scalar(waiting) or 0)

    def _finish(self) -> None:
        """Absent entries, the positions of the source, the counters and the state: together or not at all."""
        what, connection = self.what, self.connection
        if what.durable:
            durable(connection)
        self.told = close_intos(connection, what, self.intos, self.cursor)
        if any(into.answers is not None for into in self.intos):
            close_answered(connection, what.run_id, what.staging)
        self._close({})

    def _close(self, told: dict[str, Any]) -> None:
        """The run is done; `told`: what else its line says from now on."""
        mark = self.cursor.position
        said: dict[str, Any] = {f"to_{name}": value for name, value in told.items()} | {"its_run": self.what.run_id}
        if mark is not None:
            said["reached"] = mark
        self.connection.execute(_ended(tuple(told), moves=mark is not None), said)


@lru_cache(16)
def _ended(names: tuple[str, ...], *, moves: bool) -> Update:
    """Ends the run, with what its line says from now on; and `moves` its flow's position."""
    run, its = hub.run, bindparam("its_run", type_=BigInteger)
    told = {name: bindparam(f"to_{name}", type_=run.c[name].type) for name in names}
    ended = update(run).where(run.c.id == its).values(
        {"state": "done", "landed_at": func.coalesce(run.c.landed_at, func.now()), "ended_at": func.now(),
         "problem": null()} | told)
    return ended.add_cte(position_kept(its, bindparam("reached", type_=JSONB))) if moves else ended


def _untouched(plan: IntoPlan, before: Sequence[IntoPlan]) -> bool:
    """Whether no into before this one fills what its match rules, or its links by a field, look among."""
    made = {other.into.entity for other in before}
    asked = {reference.entity for reference in plan.references if reference.by is not None}
    return not made & (asked | ({plan.into.entity} if plan.into.match else set()))


def _held_rows(into: IntoApply) -> CompoundSelect[Any]:
    """The numbers of the rows that landing or its decision set aside."""
    held, fate = into.tables.held, into.tables.fate
    return union_all(
        select(held.c.row_no),
        select(fate.c.row_no).where(fate.c["class"].in_(("review", "rejected", "parked"))),
    )
