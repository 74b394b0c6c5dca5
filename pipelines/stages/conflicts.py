"""Conflicts of one applied batch: every loser stays readable, and one that the two sides end themselves is settled.

::

    both sides differ from the base ─┬─ a policy decides ─▶ logged
                                     └─ nobody does ─▶ open ─┬─ a person decides (pipelines.ops.conflicts) ─▶ settled
                                                             └─ a run sees one side or none differ ─────────▶ settled
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    Text,
    and_,
    any_,
    case,
    exists,
    false,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.selectable import FromClause

from crm_store import hub_tables as hub
from pipelines.stages.plan import FieldPlan, IntoPlan
from pipelines.stages.resolve import verdicts
from pipelines.stages.staging import IntoStaging, index_lookups


def disputed_fields(plan: IntoPlan) -> ColumnElement[Any]:
    """The fields of which the feed has an open conflict: only its own runs, one at a time, open others."""
    conflict = hub.conflict
    mine = select(conflict.c.field).where(conflict.c.feed == plan.feed, conflict.c.state == "open").distinct()
    return func.array(mine.scalar_subquery())


def settle_conflicts(connection: Connection, run_id: int, plan: IntoPlan, tables: IntoStaging, z: Table,
                     disputed: Collection[str]) -> None:
    """Settles open conflicts that are none any more: the values are equal, or only one side differs from the base.

    `z`: the resolved rows of the batch. A row that says nothing on the field leaves its conflict open.
    """
    s, conflict = tables.rows, hub.conflict
    for field in plan.fields:
        if field.name not in disputed:
            continue
        value = _told(z, "n", field.columns)
        connection.execute(
            update(conflict)
            .where(conflict.c.entity == plan.into.entity, conflict.c.record_id == z.c.record_id,
                   conflict.c.feed == plan.feed, conflict.c.key == s.c.key, s.c.row_no == z.c.row_no,
                   conflict.c.field == field.name, conflict.c.state == "open",
                   z.c[f"w_{field.name}"].is_distinct_from("open"),
                   ~func.coalesce(s.c[f"keep_{field.name}"], false()))
            .values(state="settled", decision=_decision("agreed", run_id, value),
                    winner=case((value == conflict.c.theirs, "remote"), (value == conflict.c.ours, "crm"),
                                else_=conflict.c.winner))
        )


def settle_unlinked(connection: Connection, feeds: Collection[int], keys: Collection[str], run_id: int) -> None:
    """Settles open conflicts of keys that are linked to their records no more."""
    conflict = hub.conflict
    if not keys:
        return
    connection.execute(
        update(conflict)
        .where(conflict.c.feed.in_(feeds), conflict.c.state == "open",
               conflict.c.key == any_(literal(list(keys), ARRAY(Text))))
        .values(state="settled", winner="crm", decision=_decision("unlinked", run_id, conflict.c.ours))
    )


def _decision(what: str, run_id: int, value: ColumnElement[Any]) -> ColumnElement[Any]:
    """What a run decided, as pipelines.ops.decisions has it of a person: by, at, what, run_id and the value."""
    told = {"by": literal("navette", Text), "at": func.now(), "what": literal(what, Text), "run_id": literal(run_id),
            "value": value}
    return func.jsonb_build_object(*[part for name, each in told.items() for part in (literal(name, Text), each)])


def log_conflicts(connection: Connection, run_id: int, plan: IntoPlan, tables: IntoStaging, m: Table,
                  fought: Collection[str]) -> None:
    """Every loser stays readable; a conflict that is still open is told once, not once a run. `fought`: the fields that
    both sides had changed in some row of `m`."""
    s = tables.rows
    if not fought:
        return
    v = tables.once("verdicts", lambda: verdicts(plan, tables, m))
    for field in plan.fields:
        if field.name not in fought:
            continue
        told = {side: _told(v, side, field.columns) for side in ("b", "c", "r")}
        winner = v.c[f"w_{field.name}"]
        values: dict[str, ColumnElement[Any]] = {
            "run_id": literal(run_id), "feed": literal(plan.feed), "key": s.c.key,
            "entity": literal(plan.into.entity), "record_id": v.c.record_id, "field": literal(field.name),
            "based": v.c[f"k_{field.name}"], "base": told["b"], "ours": told["c"], "theirs": told["r"],
            "winner": winner,
            "state": case((winner == "open", "open"), else_="logged"),
        }
        rows = select(*values.values()).join_from(v, s, s.c.row_no == v.c.row_no).where(is_news(plan, v, s, field))
        connection.execute(insert(hub.conflict).from_select(list(values), rows))


def conflicts_in(connection: Connection, plan: IntoPlan, tables: IntoStaging, matched: FromClause) -> int:
    """How many conflicts `log_conflicts` would tell of the linked rows of `matched`."""
    s, v = tables.rows, verdicts(plan, tables, matched)
    each = [func.count().filter(is_news(plan, v, s, field)) for field in plan.fields]
    count = select(sum(each, literal(0))).select_from(v.join(s, s.c.row_no == v.c.row_no))
    with index_lookups(connection):
        return int(connection.scalar(count) or 0)


def is_news(plan: IntoPlan, v: FromClause, s: FromClause, field: FieldPlan) -> ColumnElement[bool]:
    """Whether a row's verdict `v` has a winner for the field, in a conflict that no run has told before."""
    known, newer = hub.conflict.alias("known"), hub.conflict.alias("newer")
    told = {side: _told(v, side, field.columns) for side in ("b", "c", "r")}
    winner = v.c[f"w_{field.name}"]
    # What the system had said before its last word may be its word again: then that is news.
    overtaken = exists().where(
        newer.c.feed == known.c.feed, newer.c.key == known.c.key, newer.c.field == known.c.field,
        newer.c.state == "open", newer.c.id > known.c.id,
    )
    told_already: ColumnElement[bool] = exists().where(
        known.c.feed == plan.feed, known.c.key == s.c.key, known.c.field == field.name,
        known.c.record_id == v.c.record_id, known.c.state == "open",
        known.c.theirs.is_not_distinct_from(told["r"]), ~overtaken,
    )
    if field.sent:
        # What the CRM won is fought over until the system has taken it: the same fight, told once.
        logged = hub.conflict.alias("logged")
        told_already = or_(told_already, exists().where(
            logged.c.feed == plan.feed, logged.c.key == s.c.key, logged.c.field == field.name,
            logged.c.record_id == v.c.record_id, logged.c.state == "logged", winner == "crm",
            logged.c.ours.is_not_distinct_from(told["c"]), logged.c.theirs.is_not_distinct_from(told["r"]),
            logged.c.base.is_not_distinct_from(told["b"]),
        ))
    return and_(winner.is_not(None), ~told_already)


def _told(v: FromClause, side: str, columns: tuple[str, ...]) -> ColumnElement[Any]:
    """One side of a field as JSON: its value, or [amount, currency]."""
    parts = [func.to_jsonb(v.c[f"{side}_{column}"]) for column in columns]
    return parts[0] if len(parts) == 1 else func.jsonb_build_array(*parts)
