"""Updating: what becomes of linked records, their entries, conflicts and markers, for the matched rows of one batch.

::

    m (matched) ─▶ resolve ─▶ z ─┬─▶ conflicts: settled, logged
                                 ├─▶ UPDATE crm.<entity>
                                 ├─▶ entries: base, fingerprint, what is pending; the base also of other feeds' ones
                                 ├─▶ stamps of the rows that changed a record, where `newest` asks for them
                                 └─▶ markers of what is to be sent
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    Select,
    Table,
    Update,
    case,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.sql.selectable import FromClause

from crm_store import hub_tables as hub
from mappings.words import Outcome
from pipelines.stages.conflicts import log_conflicts, settle_conflicts
from pipelines.stages.creates import entry_values, fingerprint_of
from pipelines.stages.decide import outcome_of
from pipelines.stages.outbox import queued, unrefused, woken
from pipelines.stages.plan import IntoPlan
from pipelines.stages.policies import keep_stamps
from pipelines.stages.resolve import resolve_rows
from pipelines.stages.sending import brought_back
from pipelines.stages.siblings import share
from pipelines.stages.staging import IntoStaging, by_record, index_lookups
from pipelines.stages.work import Work


@dataclass(frozen=True)
class IntoUpdates:
    """The linked rows of one into, in the caller's transaction."""

    plan: IntoPlan
    tables: IntoStaging
    work: Work
    run_id: int

    def apply(self, connection: Connection, disputed: Collection[str]) -> Counter[Outcome]:
        """Settles every linked row of `m`; returns their outcomes. `disputed`: fields with an open conflict."""
        m, z = self.work.m, self.work.z

        def build() -> Select[Any]:
            resolved = resolve_rows(self.plan, self.tables, m)
            made = insert(z).from_select([column.name for column in resolved.selected_columns], resolved)
            return self._groups(made.returning(*z.c).cte("made"))

        with index_lookups(connection):
            groups = connection.execute(self.tables.once("resolve", build)).mappings().all()
        some = {name: any(group[name] for group in groups) for name in (groups[0] if groups else ())}
        if some.get("#rebased"):
            self._name_base_sets(connection)
        if not self.plan.adopting:  # which decides nothing
            settle_conflicts(connection, self.run_id, self.plan, self.tables, z, disputed)
        fought = {field.name for field in self.plan.fields if some.get(field.name)}
        log_conflicts(connection, self.run_id, self.plan, self.tables, m, fought)
        if some.get("#moved"):
            connection.execute(self.tables.once("update", self._record_update))
        entries = self.tables.once("entries", self._entries_of_linked)
        with index_lookups(connection):
            connection.execute(entries, {"run": self.run_id})
            if some.get("#moved") and self.plan.keeps_stamps:
                connection.execute(self.tables.once("stamps", self._stamps))
            if self.plan.shared_space:
                connection.execute(self.tables.once("share", self._shared))
        if some.get("#pending") and self.plan.writes:
            connection.execute(self.tables.once("pending", lambda: woken(
                self.plan.feed, select(z.c.record_id).where(z.c.pending.is_not(None)))))
        if some.get("#changed") and self.plan.writes:
            with index_lookups(connection):
                connection.execute(self.tables.once("other keys", self._other_keys))
        outcomes: Counter[Outcome] = Counter()
        for group in groups:
            outcomes[outcome_of("entry", group["#moved"], group["#open"])] += group["#rows"]
        return outcomes

    def _groups(self, z: FromClause) -> Select[Any]:
        """How many resolved rows move their record or stay open, and whether there is anything else to be done for
        them: #rebased, #pending, #changed, and by the name of each field whether both sides had changed it."""
        moved = or_(z.c.changed, z.c.back)
        return select(
            moved.label("#moved"), z.c.open.label("#open"), func.count().label("#rows"),
            func.bool_or(z.c.base_fields.is_not(None)).label("#rebased"),
            func.bool_or(z.c.pending.is_not(None)).label("#pending"), func.bool_or(z.c.changed).label("#changed"),
            *[func.bool_or(z.c[f"w_{field.name}"].is_not(None)).label(field.name) for field in self.plan.fields],
        ).group_by(moved, z.c.open)

    def _record_update(self) -> Update:
        z, record = self.work.z, self.plan.record
        values: dict[str, ColumnElement[Any]] = {}
        for field in self.plan.fields:
            for column in field.columns:
                if column == "archived":
                    values["archived_at"] = case((z.c.n_archived, func.coalesce(record.c.archived_at, func.now())))
                else:
                    values[column] = z.c[f"n_{column}"]
        if "archived_at" not in values:
            values["archived_at"] = case((z.c.back, null()), else_=record.c.archived_at)
        return update(record).where(record.c.id == z.c.record_id, or_(z.c.changed, z.c.back)).values(values)

    def _stamps(self) -> Insert:
        z, s = self.work.z, self.tables.rows
        return keep_stamps(select(z.c.record_id, s.c.stamp).join_from(z, s, s.c.row_no == z.c.row_no)
                           .where(or_(z.c.changed, z.c.back)))

    def _shared(self) -> Update:
        """What both sides agree on, for the entries of other feeds."""
        z, s = self.work.z, self.tables.rows
        return share(self.plan, z, s.c.key, z.c.agreed, "b_", z.c.remote).where(s.c.row_no == z.c.row_no)

    def _other_keys(self) -> Insert:
        """Markers for what came from one key of a record: it goes to its other keys in the same system, and the
        triggers leave out a change that this feed made."""
        z, s, x = self.work.z, self.tables.rows, self.plan.crosswalk
        other = (
            select(x.c.record_id).where(
                x.c.record_id == z.c.record_id, by_record(x.c.id_space, self.plan.id_space),
                by_record(x.c.feed, self.plan.feed), x.c.key != s.c.key)
            .limit(1).correlate(z, s).lateral("other_key")
        )
        others = select(other.c.record_id).select_from(
            z.join(s, s.c.row_no == z.c.row_no).join(other, true())).where(z.c.changed)
        return queued(self.plan.feed, others)

    def _name_base_sets(self, connection: Connection) -> None:
        """The numbers of field sets that are not that of all mapped fields; new sets get one."""
        z, known, entity = self.work.z, hub.field_set, self.plan.into.entity
        found = select(literal(entity), z.c.base_fields).where(z.c.base_fields.is_not(None)).distinct()
        connection.execute(upsert(known).from_select(["entity", "fields"], found).on_conflict_do_nothing())
        connection.execute(
            update(z).where(known.c.entity == entity, known.c.fields == z.c.base_fields).values(base_set=known.c.id)
        )

    def _entries_of_linked(self) -> Insert:
        m, z, s, x, plan = self.work.m, self.work.z, self.tables.rows, self.plan.crosswalk, self.plan
        other = x.alias("other")
        first = ~exists().where(
            other.c.record_id == m.c.record_id, other.c.id_space == plan.id_space, other.c.is_primary,
            other.c.key != s.c.key,
        )
        values = entry_values(plan, m, s) | {
            "is_primary": first,
            "fingerprint": case((or_(z.c.open, literal(plan.adopting)), null()), else_=fingerprint_of(plan, m, s)),
            "base_set": z.c.base_set, "remote": z.c.remote, "pending": z.c.pending, "sent": null(),
            "absent_since": self._ended(z, s),
        }
        values |= {f"b_{column}": z.c[f"b_{column}"] for field in plan.fields for column in field.columns}
        rows = select(*values.values()).join_from(z, s, s.c.row_no == z.c.row_no).join(m, m.c.row_no == z.c.row_no)
        new = upsert(x).from_select(list(values), rows)
        kept = {"id_space", "key", "feed", "is_primary"}
        entries = new.on_conflict_do_update(
            index_elements=["id_space", "key", "feed"],
            set_={name: new.excluded[name] for name in values if name not in kept},
        )
        if not plan.writes:
            return entries
        # What there is to send by now, if anything, is found out by who sends.
        return entries.add_cte(unrefused(plan.feed, select(z.c.record_id)).cte("unrefused"))

    def _ended(self, z: Table, s: Table) -> ColumnElement[Any]:
        """Since when the row was ended by us: it may still be read, and is not ended again for as long as its record is
        archived, and until it was brought back there where it was here. Null for every other row that is there."""
        if not self.plan.ends:
            return null()
        old, record = self.plan.crosswalk.alias("ended"), self.plan.record.alias("ended_record")
        return (
            select(old.c.absent_since).join_from(old, record, record.c.id == old.c.record_id)
            .where(old.c.id_space == self.plan.id_space, old.c.key == s.c.key, old.c.feed == self.plan.feed,
                   ~z.c.back, or_(record.c.archived_at.is_not(None), brought_back(self.plan, old, record)))
            .correlate(z, s).scalar_subquery()
        )
