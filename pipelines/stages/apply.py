"""Apply: one batch is one transaction of records, crosswalk with base, journal, held rows, conflicts and cursor.

::

    lock the records that the landing chose (id order), and creates of the entity if there are any
      └▶ a new statement matches again ▶ creates ▶ resolve ▶ updates ▶ crosswalk ▶ held ▶ counters

Two runs that would create one record meet at the entity's advisory lock; the second then finds the first one's record.
Two runs that change one record meet at its row; the second decides on what the first one left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    case,
    delete,
    exists,
    func,
    insert,
    literal_column,
    select,
    union,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.sql.selectable import FromClause

from crm_store import hub_tables as hub
from mappings.words import Outcome
from pipelines.stages.conflicts import disputed_fields
from pipelines.stages.creates import create_as_decided, create_matched
from pipelines.stages.decide import APPLIED
from pipelines.stages.held import close_held, hold
from pipelines.stages.later_twins import later_twins
from pipelines.stages.leaving import hand_on, has_heirs
from pipelines.stages.match import HIGH, LATEST, LOW, match_rows, of_run, values_of_rules
from pipelines.stages.plan import IntoPlan, Reference
from pipelines.stages.resolve import LINKED
from pipelines.stages.staging import IntoStaging, Staging, copy_frame, index_lookups
from pipelines.stages.superseded import stands
from pipelines.stages.turn import take_turn
from pipelines.stages.updates import IntoUpdates
from pipelines.stages.waiting import Pairs, comes_in, refuse_for_links, still_waiting
from pipelines.stages.work import Work, held_from, work_tables


class IntoApply:
    """Applies the rows of one into, a range at a time, in the caller's transaction."""

    def __init__(self, run: tuple[int, int | None], source: str, plans: tuple[IntoPlan, ...], staging: Staging,
                 number: int, work: Work | None = None) -> None:
        self.run, self.source, self.plan, self.staging = run, source, plans[number], staging
        self.answers: Table | None = None  # of an export or a replay: which held rows its rows answer
        self.pairs: Pairs = list(zip(plans, staging.intos, strict=True))
        self.tables: IntoStaging = staging.intos[number]
        self.kept = work  # of a connection that keeps them
        self.work = work or work_tables(self.plan, number)
        self.updates = IntoUpdates(self.plan, self.tables, self.work, run[0])
        self.took_over = False  # whether the last batch applied the landing's decision without matching again
        self.empty = False
        self.refusals: bool | None = None  # whether the feed has open held rows; None: to be asked
        self.may_create = True  # False where the landing is known to have found nothing new
        self.disputed: set[str] = set()  # fields of which this feed had an open conflict when the run came to apply
        self.later: Sequence[int] = ()  # rows of the last pass that have to see what it took in
        self.undecided = 0  # rows of the last batch that were linked but for a conflict nobody has decided
        # A run that is carried on may have left rows on the waiting list; a small one knows whether it did.
        self.may_wait = work is None or bool(self.plan.references) or self.plan.into.aliases

    def prepare(self, connection: Connection) -> None:
        """Makes the temporary tables of this connection, and asks what all batches want to know."""
        if self.kept is None:
            self.work.create(connection)
        self.empty = self.kept is not None  # each run empties what is kept
        answers = self.staging.answers
        known = self.tables.once("known", lambda: select(
            disputed_fields(self.plan), exists(select(answers)), self._open_refusals(), has_heirs(self.tables)))
        disputed, answered, self.refusals, heirs = connection.execute(known).one()
        if heirs:
            hand_on(connection, self.plan, self.tables)
        self.disputed = set(disputed)
        if answered:
            self.answers = answers

    def first_pass(self, connection: Connection, low: int, high: int, *, stands: Callable[[], bool] | None = None
                   ) -> Counter[Outcome]:
        """Applies the rows in (low, high] that wait for nothing; returns their outcomes.

        `stands`: nothing has changed in the store since the landing decided, so its decision is taken over.
        """
        return self._batch(connection, low, high, stands=None if self.plan.shared_space else stands)

    def waiting_pass(self, connection: Connection, low: int, high: int) -> Counter[Outcome]:
        """Applies the waiting rows in (low, high] whose links exist by now; the others go on waiting."""
        return self._batch(connection, low, high, waiting=True)

    def last_pass(self, connection: Connection, low: int = -1, high: int = 1 << 62) -> Counter[Outcome]:
        """Applies what still waits: rows that hang on each other come in without those links, then get them."""
        return self._batch(connection, low, high, waiting=True, lenient=True)

    def close_cycles(self, connection: Connection) -> None:
        """Sets the links of the rows that the last pass took in; in the same transaction."""
        self.clear(connection)
        self._match(connection, {"low": -1, "high": 1 << 62}, waiting=True, lenient=False,
                    run=(LATEST, self.run[1]))
        self.undecided = self.updates.apply(connection, self.disputed)["review"]

    def park_rest(self, connection: Connection) -> Counter[Outcome]:
        """Parks what still waits."""
        return self._batch(connection, -1, 1 << 62, waiting=True, final=True)

    def _batch(self, connection: Connection, low: int, high: int, *, waiting: bool = False, lenient: bool = False,
               final: bool = False, stands: Callable[[], bool] | None = None) -> Counter[Outcome]:
        bounds = {"low": low, "high": high}
        self.undecided = 0
        self.clear(connection)
        locked = self._lock(connection, bounds, waiting)
        # Asked with the locks in hand: while we waited for them, another run made the records that we meant to make.
        self.took_over = stands is not None and stands()
        if self.took_over and not locked:
            return self.create_decided(connection, low, high)
        kinds: dict[str, int] | None = None
        if self.took_over:
            self._take_over(connection, bounds)
        else:
            patient = waiting and not lenient and not final
            kinds = self._match(connection, bounds, waiting, lenient, self.run, patient=patient)
        several = kinds is None or _linked(kinds) > 1 or self.plan.into.aliases
        if several and self._one_row_per_record(connection, lenient):
            kinds = None
        m = self.work.m
        refusing = refuse_for_links(self.plan, m)
        if refusing is not None and (final or not waiting):  # until then, their records may still come
            connection.execute(refusing)
            kinds = None
        if kinds is None:
            kinds = _counted(connection.execute(self.tables.once("kinds", lambda: _by_class(m))))
        outcomes: Counter[Outcome] = Counter()
        if kinds.get("new"):
            create_matched(connection, self.plan, self.tables, self.run[0], m)
            outcomes["created"] += kinds["new"]
        if _linked(kinds):
            linked = self.updates.apply(connection, self.disputed)
            self.undecided = linked["review"]
            outcomes += linked
        held = {kind for kind in ("review", "rejected", "parked") if kinds.get(kind)}
        if waiting and not final:
            held.discard("parked")
        if held:
            outcomes += self._hold(connection, m, held)
        outcomes["superseded"] += kinds.get("superseded", 0)
        self._settle(connection, waiting, lenient, final)
        return +outcomes

    def create_decided(self, connection: Connection, low: int, high: int, *, every: bool = False) -> Counter[Outcome]:
        """Makes what the landing found new in (low, high], without a second look; nothing there is linked. `every`:
        each staged row is new."""
        fate, rows = self.tables.fate, self.tables.rows
        created = create_as_decided(connection, self.plan, self.tables, self.run[0], low, high, every=every)
        if every:
            self._close_refusals(connection, None, rows.c.row_no > low, rows.c.row_no <= high)
        else:
            self._close_refusals(connection, fate, fate.c.row_no > low, fate.c.row_no <= high, ~fate.c.waits)
        return +Counter[Outcome]({"created": created})

    def refuse(self, connection: Connection, row_no: int, detail: str) -> Counter[Outcome]:
        """Rejects the one row that the store does not take, and says why."""
        fate, wait = self.tables.fate, self.tables.wait
        connection.execute(
            update(fate).where(fate.c.row_no == row_no)
            .values({"class": "rejected", "code": "store", "params": {"detail": detail}})
        )
        connection.execute(delete(wait).where(wait.c.row_no == row_no))
        self.clear(connection)
        return self._hold(connection, fate, {"rejected"}, fate.c.row_no == row_no)

    def clear(self, connection: Connection) -> None:
        """Empties the temporary tables within a transaction."""
        if self.empty:
            self.empty = False
            return
        for table in self.work.tables:
            connection.execute(delete(table))

    # -- locking and matching -------------------------------------------------------------------------------------

    def _lock(self, connection: Connection, bounds: dict[str, int], waiting: bool) -> int:
        """Takes the turn to create, and the linked records; returns how many those are."""
        fate = self.tables.fate
        waits = fate.c.row_no.in_(select(self.tables.wait.c.row_no)) if waiting else ~fate.c.waits
        mine = [fate.c.row_no > LOW, fate.c.row_no <= HIGH, waits]

        def any_new() -> bool:
            asked = self.tables.once("any new", lambda: select(exists().where(*mine, fate.c["class"] == "new")))
            return bool(connection.scalar(asked, bounds))

        if waiting or (self.may_create and any_new()):
            take_turn(connection, self.plan.record)

        def build() -> Select[Any]:
            record = self.plan.record
            linked = select(fate.c.record_id).where(*mine, fate.c["class"].in_(LINKED))
            locked = select(record.c.id).where(record.c.id.in_(linked)).order_by(record.c.id).with_for_update()
            return select(func.count()).select_from(locked.subquery())

        with index_lookups(connection):
            return int(connection.scalar(self.tables.once(("lock", waiting), build), bounds) or 0)

    def _take_over(self, connection: Connection, bounds: dict[str, int]) -> None:
        """The landing's own decision, where nobody has changed anything since."""
        m, fate = self.work.m, self.tables.fate
        number = func.nextval("crm.record_id")
        columns = [
            case((fate.c["class"] == "new", number), else_=fate.c.record_id) if column.name == "record_id"
            else fate.c[column.name]
            for column in m.c
        ]
        rows = select(*columns).where(
            fate.c.row_no > bounds["low"], fate.c.row_no <= bounds["high"], fate.c["class"].in_(APPLIED), ~fate.c.waits
        )
        connection.execute(insert(m).from_select([column.name for column in m.c], rows))

    def _match(self, connection: Connection, bounds: dict[str, int], waiting: bool, lenient: bool,
               run: tuple[int, int | None], *, patient: bool = False) -> dict[str, int]:
        """Matches into `m`; returns how many rows each class got."""
        m, fate = self.work.m, self.tables.fate

        def comes(reference: Reference) -> ColumnElement[bool]:
            return comes_in(reference, self.tables.rows, self.pairs, still_waiting)

        if waiting:
            chosen = select(self.tables.wait.c.row_no)
        else:
            chosen = select(fate.c.row_no).where(fate.c["class"].in_(APPLIED), ~fate.c.waits)

        def build() -> Select[Any]:
            matched = match_rows(
                self.plan, self.tables, lambda s: s.c.row_no.in_(chosen), lenient=lenient,
                comes=comes if patient else None,
            ).subquery("matched")
            number = func.nextval("crm.record_id")
            columns = [
                case((matched.c["class"] == "new", number), else_=column) if column.name == "record_id" else column
                for column in matched.c
            ]
            made = insert(m).from_select([c.name for c in matched.c], select(*columns)).returning(m.c["class"])
            return _by_class(made.cte("made"))

        matches = self.tables.once(("apply", waiting, lenient, patient), build)
        with index_lookups(connection):
            return _counted(connection.execute(matches, bounds | of_run(self.plan, run)))

    def _one_row_per_record(self, connection: Connection, last: bool) -> bool:
        """Two keys of one record in one batch: the second waits for the next pass, so that it sees the first; whether
        there are any. Of two that were decided at once, the news of only one would come in. After the `last` pass those
        that it put off are `later`."""
        m, wait = self.work.m, self.tables.wait

        def put_off() -> Any:
            nth = func.row_number().over(partition_by=m.c.record_id, order_by=m.c.row_no).label("nth")
            ranked = select(m.c.row_no, nth).where(m.c["class"].in_(LINKED)).subquery()
            later = union(select(ranked.c.row_no).where(ranked.c.nth > 1), *[
                later_twins(self.plan, self.tables, m, rule) for rule in self.plan.into.match
                if self.plan.into.aliases])
            return delete(m).where(m.c.row_no.in_(later)).returning(m.c.row_no)

        def build() -> Select[Any]:
            gone = put_off().cte("gone")
            waiting = upsert(wait).from_select(["row_no"], select(gone.c.row_no)).on_conflict_do_nothing()
            return select(exists(select(gone.c.row_no))).add_cte(waiting.cte("waiting"))

        if last:
            self.later = connection.scalars(self.tables.once("put off", put_off)).all()
            connection.execute(delete(wait).where(wait.c.row_no.in_(self.later)))
            return bool(self.later)
        some = bool(connection.scalar(self.tables.once("one row", build)))
        self.may_wait = self.may_wait or some
        return some

    # -- rows that are not applied --------------------------------------------------------------------------------

    def hold_decided(self, connection: Connection, low: int, high: int) -> None:
        """Writes what the landing held in (low, high]: refused rows, and rows that its decision set aside."""
        self.clear(connection)
        staged, h = self.tables.held, self.work.h
        names = [column.name for column in h.c]
        connection.execute(insert(h).from_select(
            names, select(*[staged.c[name] for name in names]).where(
                staged.c.row_no > low, staged.c.row_no <= high, stands(staged))
        ))
        hold(connection, self.run[0], self.plan, h, self.source, self.answers)
        self.refusals = None
        self.clear(connection)
        fate = self.tables.fate
        self._hold(connection, fate, {"review", "rejected", "parked"}, fate.c.row_no > low, fate.c.row_no <= high)

    def _hold(self, connection: Connection, m: Table, classes: set[str], *where: ColumnElement[bool]
              ) -> Counter[Outcome]:
        s, h = self.tables.rows, self.work.h
        source_no = s.c.source_no if self.plan.into.each else s.c.row_no
        waits = [s.c[f"k_{r.column}"].label(f"k_{r.column}") for r in self.plan.references]
        links = {f"l_{r.column}": m.c[f"l_{r.column}"] for r in self.plan.references}
        if self.plan.into.match and not self.plan.into.create:
            waits.append(values_of_rules(self.plan, s, links).label("values"))
        told = connection.execute(
            select(s.c.row_no, source_no.label("source_no"), s.c.line, s.c.key, s.c.mark, m.c["class"].label("outcome"),
                   m.c.code, m.c.field, m.c.params, m.c.candidates, *waits,
                   *[link.label(name) for name, link in links.items()])
            .join_from(m, s, s.c.row_no == m.c.row_no).where(m.c["class"].in_(classes), *where)
        ).mappings().all()
        if not told:
            return Counter()
        copy_frame(connection, h, held_from(connection, self.staging, self.plan, list(told)))
        hold(connection, self.run[0], self.plan, h, self.source, self.answers)
        self.refusals = None
        return Counter(row["outcome"] for row in told)

    def _settle(self, connection: Connection, waiting: bool, lenient: bool, final: bool) -> None:
        """Closes older refusals of the keys that came through; takes what is settled off the waiting list."""
        m, wait = self.work.m, self.tables.wait
        self._close_refusals(connection, m)
        if waiting and not lenient:
            settled = select(m.c.row_no) if final else select(m.c.row_no).where(m.c["class"] != "parked")
            connection.execute(delete(wait).where(wait.c.row_no.in_(settled)))

    def any_refusals(self, connection: Connection) -> bool:
        """Whether the feed has open held rows. Asked once by a small run, until it holds some itself."""
        if self.refusals is None or self.kept is None:
            self.refusals = bool(connection.scalar(self.tables.once("refusals", lambda: select(self._open_refusals()))))
        return self.refusals

    def _open_refusals(self) -> ColumnElement[bool]:
        held = hub.held
        # Written out: a parameter is served by no index on what is open.
        return exists().where(held.c.feed == self.plan.feed, held.c.state == literal_column("'open'"))

    def _close_refusals(self, connection: Connection, m: Table | None, *where: ColumnElement[bool]) -> None:
        """Of the rows that `m` says are applied, or of every staged one."""
        s = self.tables.rows
        if self.any_refusals(connection):
            good = select(s.c.key, s.c.row_no, s.c.mark).where(*where)
            if m is not None:
                good = good.join_from(s, m, s.c.row_no == m.c.row_no).where(m.c["class"].in_(APPLIED))
            close_held(connection, self.run[0], self.plan, good.subquery())


def _by_class(rows: FromClause) -> Select[Any]:
    return select(rows.c["class"], func.count()).group_by(rows.c["class"])


def _linked(kinds: dict[str, int]) -> int:
    return sum(kinds.get(kind, 0) for kind in LINKED)


def _counted(rows: Iterable[Any]) -> dict[str, int]:
    return dict(map(tuple, rows))
