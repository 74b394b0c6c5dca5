"""Creating: what a new record and its crosswalk entry hold, and the statement that makes both as landing decided.

::

    matched (row_no, record_id, l_<link>…) ─┬▶ INSERT crm.<entity>            values, defaults, links
    staged rows (key, v_<column>…)         ─┼▶ INSERT sync.crosswalk_<entity>  key, fingerprint, base
                                            └▶ INSERT sync.stamp               where `newest` asks for it

`matched` and the staged rows may be one relation.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    Insert,
    Table,
    and_,
    case,
    cast,
    func,
    insert,
    literal,
    null,
    or_,
    select,
)
from sqlalchemy.sql.selectable import FromClause

from mappings.codecs.into import spec_of
from mappings.codecs.literals import literals
from pipelines.stages.match import HIGH, LOW, RUN
from pipelines.stages.outbox import queue
from pipelines.stages.plan import IntoPlan
from pipelines.stages.policies import keep_stamps
from pipelines.stages.staging import IntoStaging

Values = dict[str, ColumnElement[Any]]


def record_values(plan: IntoPlan, m: FromClause, s: FromClause) -> Values:
    """The columns of a record that is made from a matched row `m` and its staged row `s`."""
    values: Values = {"id": m.c.record_id}
    for name, said in plan.into.defaults.items():
        values[name] = _plain(plan, name, said)
    if plan.into.owner and plan.into.owner.role:
        values["role"] = literal(plan.into.owner.role)
    for field in plan.fields:
        for column in field.columns:
            value: ColumnElement[Any] = m.c[f"l_{column}"] if field.reference is not None else s.c[f"v_{column}"]
            fallback = values.get(column)
            if field.map.default is not None and column == field.name:
                fallback = _plain(plan, column, field.map.default)
            elif field.map.default is not None:  # the amount's currency, or unit
                part = field.map.currency or field.map.unit
                fallback = literal(part.blank) if part is not None and part.blank else fallback
            if column == "type" and fallback is None and plan.entity.types:
                fallback = literal(plan.entity.types[0])
            values[column] = value if fallback is None else func.coalesce(value, fallback)
    if "archived" in values:
        values["archived_at"] = case((values.pop("archived"), func.now()))
    return values


def _plain(plan: IntoPlan, name: str, said: Any) -> ColumnElement[Any]:
    """A value that the mapping writes down, as the record's column holds it."""
    kind = Boolean() if name == "archived" else plan.record.c[name].type
    value = literals([said], spec_of(plan.entity, name), name)[0].as_py()
    return cast(literal(value, kind), kind)


def new_entry_values(plan: IntoPlan, m: FromClause, s: FromClause) -> Values:
    """The columns of the entry of a record that was made: the row is what both sides agree on."""
    values = entry_values(plan, m, s) | {
        "is_primary": literal(True), "fingerprint": fingerprint_of(plan, m, s), "base_set": literal(plan.base_set),
    }
    for field in plan.fields:
        for column in field.columns:
            values[f"b_{column}"] = m.c[f"l_{column}"] if field.reference is not None else s.c[f"v_{column}"]
    return values


def entry_values(plan: IntoPlan, m: FromClause, s: FromClause) -> Values:
    """The columns that every entry has from its row; the run is a parameter."""
    return {
        "id_space": literal(plan.id_space), "key": s.c.key, "feed": literal(plan.feed), "record_id": m.c.record_id,
        "mark": s.c.mark, "run_id": RUN, "row_no": s.c.row_no,
    }


def fingerprint_of(plan: IntoPlan, m: FromClause, s: FromClause) -> ColumnElement[Any]:
    """The row's own; none where a link was left blank for want of its record: the row may find it next time."""
    blank = [
        func.coalesce(func.cardinality(m.c[f"l_{r.column}"]), 0) < func.cardinality(s.c[f"k_{r.column}"]) if r.many
        else and_(s.c[f"k_{r.column}"].is_not(None), m.c[f"l_{r.column}"].is_(None))
        for r in plan.references if r.otherwise == "blank"
    ]
    return case((or_(*blank), null()), else_=s.c.fingerprint) if blank else s.c.fingerprint


def create_matched(connection: Connection, plan: IntoPlan, tables: IntoStaging, run_id: int, m: FromClause) -> None:
    """Makes record and entry of each row of `m` that is new."""
    s = tables.rows

    def build(table: Table, values: Values) -> Insert:
        rows = select(*values.values()).select_from(m.join(s, s.c.row_no == m.c.row_no)).where(m.c["class"] == "new")
        return insert(table).from_select(list(values), rows)

    connection.execute(tables.once("new records", lambda: build(plan.record, record_values(plan, m, s))))
    connection.execute(tables.once("new entries", lambda: build(plan.crosswalk, new_entry_values(plan, m, s))),
                       {"run": run_id})
    if plan.keeps_stamps:
        connection.execute(tables.once("new stamps", lambda: keep_stamps(
            select(m.c.record_id, s.c.stamp).join_from(m, s, s.c.row_no == m.c.row_no).where(m.c["class"] == "new"))))
    if gives_defaults(plan):
        queue(connection, plan.feed, select(m.c.record_id).where(m.c["class"] == "new"))


def gives_defaults(plan: IntoPlan) -> bool:
    """Whether the mapping gives new records values that the system does not have yet, and that it is to receive."""
    return plan.writes and any(field.map.default is not None for field in plan.fields)


def create_as_decided(connection: Connection, plan: IntoPlan, tables: IntoStaging, run_id: int, low: int, high: int,
                      *, every: bool) -> int:
    """Makes record and entry of each row in (low, high] that landing found new and that waits for nothing; how many.
    `every`: that is each staged row, and none need be asked.

    One statement, so that a row is looked up and given its id once. Both sides name the range: a planner derives
    equalities from one another, but not ranges.
    """
    count = connection.execute(
        tables.once(("creates", every), lambda: _creates(plan, tables, every=every)),
        {"low": low, "high": high, "run": run_id},
    ).rowcount
    if gives_defaults(plan):
        x = plan.crosswalk
        queue(connection, plan.feed, select(x.c.record_id).where(
            x.c.feed == plan.feed, x.c.run_id == run_id, x.c.row_no > low, x.c.row_no <= high))
    return count


def _creates(plan: IntoPlan, tables: IntoStaging, *, every: bool) -> Insert:
    s, fate = tables.rows, tables.fate
    needed = [s.c.row_no, s.c.key, s.c.mark, s.c.fingerprint, *([s.c.stamp] if plan.keeps_stamps else []),
              *[column for column in s.c if column.name.startswith(("v_", "k_"))]]
    links = [fate.c[f"l_{reference.column}"] for reference in plan.references]
    rows = select(func.nextval("crm.record_id").label("record_id"), *needed, *links).where(
        s.c.row_no > LOW, s.c.row_no <= HIGH)
    if not every:
        rows = rows.join_from(fate, s, s.c.row_no == fate.c.row_no).where(
            fate.c.row_no > LOW, fate.c.row_no <= HIGH, fate.c["class"] == "new", ~fate.c.waits)
    chosen = rows.cte("chosen")
    values = record_values(plan, chosen, chosen)
    made = insert(plan.record).from_select(list(values), select(*values.values())).cte("made")
    entry = new_entry_values(plan, chosen, chosen)
    entries = insert(plan.crosswalk).from_select(list(entry), select(*entry.values())).add_cte(made)
    if plan.keeps_stamps:
        entries = entries.add_cte(keep_stamps(select(chosen.c.record_id, chosen.c.stamp)).cte("stamps"))
    return entries.execution_options(preserve_rowcount=True)
