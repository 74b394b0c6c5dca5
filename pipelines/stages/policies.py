"""Policies: who wins a fight over a shared field, as `on_conflict` of its entity says."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Insert,
    Select,
    String,
    Text,
    case,
    cast,
    extract,
    false,
    func,
    insert,
    literal,
    or_,
    select,
)
from sqlalchemy.sql.selectable import FromClause

from crm_store import hub_tables as hub
from pipelines.stages.plan import FieldPlan, IntoPlan


def policy_of(plan: IntoPlan, field: FieldPlan, v: FromClause) -> tuple[ColumnElement[bool], ColumnElement[Any]]:
    """(does the row win?, the winner's name) of a fight over a shared field."""
    if field.policy == "newest":
        ours = _last_change(v, field)
        wins, loses = func.coalesce(v.c.stamp > ours, false()), func.coalesce(v.c.stamp < ours, false())
        return wins, case((wins, "remote"), (loses, "crm"), else_="open")
    if field.policy == "review":
        return false(), literal("open", String)
    if field.policy == plan.system:
        return literal(True), literal("remote", String)
    return false(), literal("crm", String)


def _last_change(v: FromClause, field: FieldPlan) -> ColumnElement[Any]:
    """When the record's field was last set, in microseconds since 1970: as the row says that set it, else (a person
    did, or a row without a stamp) by the journal."""
    column = literal("archived_at" if field.name == "archived" else field.columns[0], Text)
    line, kept = hub.journal, hub.stamp
    said = select(func.max(kept.c.stamp)).where(kept.c.record_id == line.c.record_id, kept.c.at == line.c.at)
    journaled = cast(extract("epoch", line.c.at) * 1_000_000, BigInteger)
    return (
        select(func.coalesce(said.correlate(line).scalar_subquery(), journaled))
        .where(line.c.record_id == v.c.record_id,
               # The line of a create names no columns: it speaks of all of them.
               or_(line.c.op == "create", func.jsonb_exists(line.c.new, column),
                   func.jsonb_exists(line.c.old, column)))
        .order_by(line.c.id.desc()).limit(1).correlate(v).scalar_subquery()
    )


def keep_stamps(changes: Select[Any]) -> Insert:
    """The statement that keeps, for `newest`, what rows say of when they were changed. `changes`: record and stamp
    (null: the row says nothing) of the records that were made or changed by these rows, in the same transaction."""
    told = changes.subquery("told")
    record, stamp = told.c
    # The moment is the transaction's, as that of the journal's lines is: so each is known to be of its line.
    return insert(hub.stamp).from_select(["record_id", "stamp"], select(record, stamp).where(stamp.is_not(None)))
