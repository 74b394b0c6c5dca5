"""Apply: one batch is one transaction of records, crosswalk with base, journal, held rows, conflicts and cursor.

::

    lock the records that the landing chose (id order), and creates of the entity if there are any
      └▶ a new statement matches again ▶ creates ▶ resolve ▶ updates ▶ crosswalk ▶ held ▶ counters

Two runs that would create one record meet at the entity's advisory lock; the second then finds the first one's record.
Two runs that change one record meet at its row; the second decides on what the first one left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.schema import CreateTable, DropTable

from crm_store import hub_tables as hub
from crm_store.named_ddl import named
from mappings.words import Outcome
from pipelines.stages.conflicts import disputed_fields, log_conflicts, settle_conflicts
from pipelines.stages.creates import create_as_decided, create_matched, entry_values, fingerprint_of
from pipelines.stages.decide import APPLIED, outcome_of
from pipelines.stages.held import close_held, hold
from pipelines.stages.match import match_rows
from pipelines.stages.outbox import queue
from pipelines.stages.plan import IntoPlan, Reference
from pipelines.stages.resolve import LINKED, resolve_rows
from pipelines.stages.staging import IntoStaging, Staging, copy_frame, index_lookups
from pipelines.stages.turn import take_turn
from pipelines.stages.waiting import Pairs, comes_in, still_waiting
from pipelines.stages.work import held_from, work_tables


class IntoApply:
    """Applies the rows of one into, a range at a time, in the caller's transaction."""

    def __init__(self, run: tuple[int, int | None], source: str, plans: tuple[IntoPlan, ...], staging: Staging,
                 number: int) -> None:
        self.run, self.source, self.plan, self.staging = run, source, plans[number], staging
        self.answers: Table | None = None  # of an export or a replay: which held rows its rows answer
        self.pairs: Pairs = list(zip(plans, staging.intos, strict=True))
        self.tables: IntoStaging = staging.intos[number]
        self.work = work_tables(self.plan, number)
        self.took_over = False  # whether the last batch applied the landing's decision without matching again
        self.disputed: set[str] = set()  # fields of which this feed had an open conflict when the run came to apply
        self.undecided = 0  # rows of the last batch that were linked but for a conflict nobody has decided

    def prepare(self, connection: Connection) -> None:
        """Makes the temporary tables of this connection."""
        for table in (self.work.m, self.work.z, self.work.h):
            connection.execute(DropTable(named("pg_temp", table.name), if_exists=True))
            connection.execute(CreateTable(table))
        self.disputed = disputed_fields(connection, self.plan)
        answers = self.staging.answers
        # Elements of a nested list have numbers of their own.
        if not self.plan.into.each and connection.scalar(select(exists(select(answers)))):
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
        self._match(connection, {"low": -1, "high": 1 << 62}, waiting=True, lenient=False, run=(0, self.run[1]))
        self._update(connection)

    def park_rest(self, connection: Connection) -> Counter[Outcome]:
        """Parks what still waits."""
        return self._batch(connection, -1, 1 << 62, waiting=True, final=True)

    def _batch(self, connection: Connection, low: int, high: int, *, waiting: bool = False, lenient: bool = False,
               final: bool = False, stands: Callable[[], bool] | None = None) -> Counter[Outcome]:
        bounds = {"low": low, "high": high}
        self.undecided = 0
        self.clear(connection)
        linked = self._lock(connection, bounds, waiting)
        # Asked with the locks in hand: while we waited for them, another run made the records that we meant to make.
        self.took_over = stands is not None and stands()
        if self.took_over and not linked:
            return self.create_decided(connection, low, high)
        if self.took_over:
            self._take_over(connection, bounds)
        else:
            self._match(connection, bounds, waiting, lenient, self.run, patient=waiting and not lenient and not final)
        if waiting or self.plan.into.aliases or self.plan.shared_space:
            self._one_row_per_record(connection)
        m = self.work.m
        groups = connection.execute(select(m.c["class"], func.count()).group_by(m.c["class"]))
        kinds: dict[str, int] = {row[0]: row[1] for row in groups}
        outcomes: Counter[Outcome] = Counter()
        if kinds.get("new"):
            create_matched(connection, self.plan, self.run[0], m, self.tables.rows)
            outcomes["created"] += kinds["new"]
        if any(kind in LINKED for kind in kinds):
            outcomes += self._update(connection)
        held = {kind for kind in ("review", "rejected", "parked") if kinds.get(kind)}
        if waiting and not final:
            held.discard("parked")
        if held:
            outcomes += self._hold(connection, m, held)
        outcomes["superseded"] += kinds.get("superseded", 0)
        self._settle(connection, waiting, lenient, final)
        return +outcomes

    def create_decided(self, connection: Connection, low: int, high: int) -> Counter[Outcome]:
        """Makes what the landing found new in (low, high], without a second look; nothing there is linked."""
        fate = self.tables.fate
        created = create_as_decided(connection, self.plan, self.tables, self.run[0], low, high)
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
        for table in (self.work.m, self.work.z, self.work.h):
            connection.execute(delete(table))

    # -- locking and matching -------------------------------------------------------------------------------------

    def _lock(self, connection: Connection, bounds: dict[str, int], waiting: bool) -> int:
        """Takes the turn to create, and the linked records; returns how many those are."""
        fate = self.tables.fate
        mine = [fate.c.row_no > bounds["low"], fate.c.row_no <= bounds["high"], fate.c.waits == waiting]
        if waiting or connection.scalar(select(exists().where(*mine, fate.c["class"] == "new"))):
            take_turn(connection, self.plan.record)
        record = self.plan.record
        linked = select(fate.c.record_id).where(*mine, fate.c["class"].in_(LINKED))
        locked = select(record.c.id).where(record.c.id.in_(linked)).order_by(record.c.id).with_for_update().subquery()
        with index_lookups(connection):
            return int(connection.scalar(select(func.count()).select_from(locked)) or 0)

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
               run: tuple[int, int | None], *, patient: bool = False) -> None:
        m, fate = self.work.m, self.tables.fate

        def comes(reference: Reference) -> ColumnElement[bool]:
            return comes_in(reference, self.tables.rows, self.pairs, still_waiting)

        if waiting:
            chosen = select(self.tables.wait.c.row_no)
        else:
            chosen = select(fate.c.row_no).where(fate.c["class"].in_(APPLIED), ~fate.c.waits)
        matched = match_rows(
            self.plan, self.tables, lambda s: s.c.row_no.in_(chosen), run, lenient=lenient,
            comes=comes if patient else None,
        ).subquery("matched")
        number = func.nextval("crm.record_id")
        columns = [
            case((matched.c["class"] == "new", number), else_=column) if column.name == "record_id" else column
            for column in matched.c
        ]
        with index_lookups(connection):
            connection.execute(insert(m).from_select([c.name for c in matched.c], select(*columns)), bounds)

    def _one_row_per_record(self, connection: Connection) -> None:
        """Two keys of one record in one batch: the second waits for the next pass, so that it sees the first."""
        m, wait = self.work.m, self.tables.wait
        nth = func.row_number().over(partition_by=m.c.record_id, order_by=m.c.row_no).label("nth")
        ranked = select(m.c.row_no, nth).where(m.c["class"].in_(LINKED)).subquery()
        later = select(ranked.c.row_no).where(ranked.c.nth > 1)
        gone = delete(m).where(m.c.row_no.in_(later)).returning(m.c.row_no).cte("gone")
        connection.execute(upsert(wait).from_select(["row_no"], select(gone.c.row_no)).on_conflict_do_nothing())

    # -- creating and updating ------------------------------------------------------------------------------------

    def _update(self, connection: Connection) -> Counter[Outcome]:
        m, z, record = self.work.m, self.work.z, self.plan.record
        resolved = resolve_rows(self.plan, self.tables, m)
        names = [column.name for column in resolved.selected_columns]
        with index_lookups(connection):
            connection.execute(insert(z).from_select(names, resolved))
        self._name_base_sets(connection)
        if not self.plan.adopting:  # which decides nothing
            settle_conflicts(connection, self.run[0], self.plan, self.tables, z, self.disputed)
        log_conflicts(connection, self.run[0], self.plan, self.tables, m, z)
        values: dict[str, ColumnElement[Any]] = {}
        for field in self.plan.fields:
            for column in field.columns:
                if column == "archived":
                    values["archived_at"] = case((z.c.n_archived, func.coalesce(record.c.archived_at, func.now())))
                else:
                    values[column] = z.c[f"n_{column}"]
        if "archived_at" not in values:
            values["archived_at"] = case((z.c.back, null()), else_=record.c.archived_at)
        connection.execute(
            update(record).where(record.c.id == z.c.record_id, or_(z.c.changed, z.c.back)).values(values)
        )
        self._entries_of_linked(connection)
        if self.plan.writes:
            queue(connection, self.plan.feed, select(z.c.record_id).where(z.c.pending.is_not(None)))
            self._tell_other_keys(connection)
        moved = or_(z.c.changed, z.c.back)
        groups = select(moved, z.c.open, func.count()).group_by(moved, z.c.open)
        outcomes: Counter[Outcome] = Counter()
        for changed, undecided, count in connection.execute(groups):
            outcomes[outcome_of("entry", changed, undecided)] += count
        self.undecided = outcomes["review"]
        return outcomes

    def _tell_other_keys(self, connection: Connection) -> None:
        """What came from one key of a record goes to its other keys in the same system: the triggers leave out a change
        that this feed made."""
        z, s, x = self.work.z, self.tables.rows, self.plan.crosswalk
        others = (
            select(z.c.record_id).join_from(z, s, s.c.row_no == z.c.row_no).join(x, x.c.record_id == z.c.record_id)
            .where(z.c.changed, x.c.id_space == self.plan.id_space, x.c.feed == self.plan.feed, x.c.key != s.c.key)
        )
        with index_lookups(connection):
            queue(connection, self.plan.feed, others)

    def _name_base_sets(self, connection: Connection) -> None:
        """The numbers of field sets that are not that of all mapped fields; new sets get one."""
        z, known, entity = self.work.z, hub.field_set, self.plan.into.entity
        found = select(literal(entity), z.c.base_fields).where(z.c.base_fields.is_not(None)).distinct()
        connection.execute(upsert(known).from_select(["entity", "fields"], found).on_conflict_do_nothing())
        connection.execute(
            update(z).where(known.c.entity == entity, known.c.fields == z.c.base_fields).values(base_set=known.c.id)
        )

    def _entries_of_linked(self, connection: Connection) -> None:
        m, z, s, x, plan = self.work.m, self.work.z, self.tables.rows, self.plan.crosswalk, self.plan
        other = x.alias("other")
        first = ~exists().where(
            other.c.record_id == m.c.record_id, other.c.id_space == plan.id_space, other.c.is_primary,
            other.c.key != s.c.key,
        )
        values = entry_values(plan, self.run[0], m, s) | {
            "is_primary": first,
            "fingerprint": case((or_(z.c.open, literal(plan.adopting)), null()), else_=fingerprint_of(plan, m, s)),
            "base_set": z.c.base_set, "remote": z.c.remote, "pending": z.c.pending, "sent": null(),
            "absent_since": self._ended(s),
        }
        values |= {f"b_{column}": z.c[f"b_{column}"] for field in plan.fields for column in field.columns}
        rows = select(*values.values()).join_from(z, s, s.c.row_no == z.c.row_no).join(m, m.c.row_no == z.c.row_no)
        new = upsert(x).from_select(list(values), rows)
        kept = {"id_space", "key", "feed", "is_primary"}
        with index_lookups(connection):
            connection.execute(
                new.on_conflict_do_update(
                    index_elements=["id_space", "key", "feed"],
                    set_={name: new.excluded[name] for name in values if name not in kept},
                )
            )

    def _ended(self, s: Table) -> ColumnElement[Any]:
        """Since when the row was ended by us: it may still be read, and is not ended again for as long as its record is
        archived. Null for every other row that is there."""
        if not self.plan.ends:
            return null()
        old, record = self.plan.crosswalk.alias("ended"), self.plan.record.alias("ended_record")
        return (
            select(old.c.absent_since).join_from(old, record, record.c.id == old.c.record_id)
            .where(old.c.id_space == self.plan.id_space, old.c.key == s.c.key, old.c.feed == self.plan.feed,
                   record.c.archived_at.is_not(None))
            .correlate(s).scalar_subquery()
        )

    # -- rows that are not applied --------------------------------------------------------------------------------

    def hold_decided(self, connection: Connection, low: int, high: int) -> None:
        """Writes what the landing held in (low, high]: refused rows, and rows that its decision set aside."""
        self.clear(connection)
        staged, h = self.tables.held, self.work.h
        names = [column.name for column in h.c]
        connection.execute(insert(h).from_select(
            names, select(*[staged.c[name] for name in names]).where(staged.c.row_no > low, staged.c.row_no <= high)
        ))
        hold(connection, self.run[0], self.plan.feed, h, self.source, self.answers)
        self.clear(connection)
        fate = self.tables.fate
        self._hold(connection, fate, {"review", "rejected", "parked"}, fate.c.row_no > low, fate.c.row_no <= high)

    def _hold(self, connection: Connection, m: Table, classes: set[str], *where: ColumnElement[bool]
              ) -> Counter[Outcome]:
        s, h = self.tables.rows, self.work.h
        source_no = s.c.source_no if self.plan.into.each else s.c.row_no
        waits = [s.c[f"k_{r.column}"].label(f"k_{r.column}") for r in self.plan.references]
        told = connection.execute(
            select(s.c.row_no, source_no.label("source_no"), s.c.line, s.c.key, s.c.mark, m.c["class"].label("outcome"),
                   m.c.code, m.c.field, m.c.params, m.c.candidates, *waits,
                   *[m.c[f"l_{r.column}"].label(f"l_{r.column}") for r in self.plan.references])
            .join_from(m, s, s.c.row_no == m.c.row_no).where(m.c["class"].in_(classes), *where)
        ).mappings().all()
        if not told:
            return Counter()
        copy_frame(connection, h, held_from(connection, self.staging, self.plan, list(told)))
        hold(connection, self.run[0], self.plan.feed, h, self.source, self.answers)
        return Counter(row["outcome"] for row in told)

    def _settle(self, connection: Connection, waiting: bool, lenient: bool, final: bool) -> None:
        """Closes older refusals of the keys that came through; takes what is settled off the waiting list."""
        m, wait = self.work.m, self.tables.wait
        self._close_refusals(connection, m)
        if waiting and not lenient:
            settled = select(m.c.row_no) if final else select(m.c.row_no).where(m.c["class"] != "parked")
            connection.execute(delete(wait).where(wait.c.row_no.in_(settled)))

    def _close_refusals(self, connection: Connection, m: Table, *where: ColumnElement[bool]) -> None:
        s = self.tables.rows
        if connection.scalar(select(exists().where(hub.held.c.feed == self.plan.feed, hub.held.c.state == "open"))):
            good = (
                select(s.c.key, s.c.row_no, s.c.mark).join_from(m, s, s.c.row_no == m.c.row_no)
                .where(m.c["class"].in_(APPLIED), *where).subquery()
            )
            close_held(connection, self.run[0], self.plan, good)
