"""Policies: who wins a fight over a shared field, as `on_conflict` of its entity says."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, String, Text, case, cast, extract, false, func, literal, or_, select
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
    """When the record's field was last set, in microseconds since 1970, from the journal."""
    column = literal("archived_at" if field.name == "archived" else field.columns[0], Text)
    journal = hub.journal
    at = (
        select(func.max(journal.c.at))
        .where(journal.c.record_id == v.c.record_id,
               # The line of a create names no columns: it speaks of all of them.
               or_(journal.c.op == "create", func.jsonb_exists(journal.c.new, column),
                   func.jsonb_exists(journal.c.old, column)))
        .scalar_subquery()
    )
    return cast(extract("epoch", at) * 1_000_000, BigInteger)
