"""Which rows of a run wait for others of it: those whose links lead to rows that may still come in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Index,
    String,
    Subquery,
    Table,
    Update,
    and_,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.sql.selectable import FromClause

from crm_store.match_indexes import has_value, match_expression
from pipelines.stages.plan import IntoPlan, Reference
from pipelines.stages.staging import IntoStaging

Pairs = Sequence[tuple[IntoPlan, IntoStaging]]
Alive = Callable[[IntoStaging, FromClause], ColumnElement[bool]]
"""Whether a row of this run may still come in."""
TO_COME = 0
"""Stands for the id of a record that the run has yet to make."""


def still_waiting(tables: IntoStaging, row: FromClause) -> ColumnElement[bool]:
    """The row is on the waiting list of apply."""
    wait = tables.wait.alias()
    return exists().where(wait.c.row_no == row.c.row_no)


def hopeless_rows(plan: IntoPlan, tables: IntoStaging, pairs: Pairs, alive: Alive) -> ColumnElement[bool]:
    """A link's key is neither in the crosswalk nor on a row of this run that `alive` says may still come in."""
    return or_(false(), *[hopeless for _, hopeless in hopeless_links(plan, tables, pairs, alive)])


def hopeless_links(plan: IntoPlan, tables: IntoStaging, pairs: Pairs, alive: Alive
                   ) -> list[tuple[Reference, ColumnElement[bool]]]:
    """The links that rows wait for, and for each whether that is in vain, as in `hopeless_rows`."""
    return [
        (reference, _hopeless(reference, tables, plan, pairs, alive))
        for reference in plan.references
        if reference.otherwise != "blank"
    ]


def refuse_for_links(plan: IntoPlan, matched: Table) -> Update | None:
    """Of the rows that match left waiting, refuses those that may not be without their link; None if all may."""
    columns = [reference.column for reference in plan.references if reference.otherwise == "reject"]
    if not columns:
        return None
    return (
        update(matched)
        .where(matched.c["class"] == "parked", matched.c.code == "waits_for", matched.c.field.in_(columns))
        .values({"class": "rejected", "code": "not_there"})
    )


def _hopeless(reference: Reference, tables: IntoStaging, plan: IntoPlan, pairs: Pairs, alive: Alive
              ) -> ColumnElement[bool]:
    staged = tables.rows.c[f"k_{reference.column}"]

    def nowhere(key: ColumnElement[Any]) -> ColumnElement[bool]:
        return ~or_(_known(reference, key, plan), _on_a_row(reference, key, pairs, alive))

    if not reference.many:
        return and_(staged.is_not(None), nowhere(staged))
    keys = func.unnest(staged).table_valued("key").render_derived()
    return exists(select(1).select_from(keys).where(nowhere(cast(keys.c.key, String))))


def _known(reference: Reference, key: ColumnElement[Any], plan: IntoPlan) -> ColumnElement[bool]:
    """The crosswalk has this key, or one record, and no other, this value of the field `by`."""
    if reference.by is None:
        x = plan.crosswalks[reference.entity].alias()
        return exists().where(x.c.id_space.in_(reference.spaces or (-1,)), x.c.key == key)
    record, spec = plan.records[reference.entity].alias(), plan.specs(reference.entity, reference.by)
    same = has_value(record.c[reference.by], spec, key)
    return select(func.count() == 1).select_from(record).where(same).scalar_subquery()


def comes_in(reference: Reference, s: FromClause, pairs: Pairs, alive: Alive) -> ColumnElement[bool]:
    """What the link of a row of `s` names (of a set: one of it) is on a row of this run that may still come in."""
    staged = s.c[f"k_{reference.column}"]
    if not reference.many:
        return _on_a_row(reference, staged, pairs, alive)
    keys = func.unnest(staged).table_valued("key").render_derived()
    return exists(select(1).select_from(keys).where(_on_a_row(reference, cast(keys.c.key, String), pairs, alive)))


def brought(reference: Reference, plan: IntoPlan, s: FromClause, pairs: Pairs, alive: Alive) -> ColumnElement[Any]:
    """What the link of a row of `s` names (of a set: an array of it) that is not there yet and that a row of this run
    brings; null if nothing is."""
    staged = s.c[f"k_{reference.column}"]

    def comes(key: ColumnElement[Any]) -> ColumnElement[bool]:
        return and_(~_known(reference, key, plan), _on_a_row(reference, key, pairs, alive))

    if not reference.many:
        return case((and_(staged.is_not(None), comes(staged)), staged))
    keys = func.unnest(staged).table_valued("key").render_derived()
    return select(func.array_agg(keys.c.key)).where(comes(cast(keys.c.key, String))).scalar_subquery()


def as_linked(plan: IntoPlan, tables: IntoStaging, pairs: Pairs, alive: Alive) -> Subquery:
    """`fate`, its links as if the records that rows of this run bring were there: each is TO_COME."""
    s, fate = tables.rows, tables.fate
    links: dict[str, ColumnElement[Any]] = {}
    for reference in plan.references:
        found, made = fate.c[f"l_{reference.column}"], brought(reference, plan, s, pairs, alive)
        to_come = func.array_prepend(TO_COME, found) if reference.many else literal(TO_COME, BigInteger)
        links[found.name] = case((and_(fate.c.waits, made.is_not(None)), to_come), else_=found).label(found.name)
    return (
        select(*[links.get(column.name, column) for column in fate.c])
        .join_from(fate, s, s.c.row_no == fate.c.row_no).subquery("as_linked")
    )


def _on_a_row(reference: Reference, key: ColumnElement[Any], pairs: Pairs, alive: Alive) -> ColumnElement[bool]:
    """A row of this run that may come in has this key, or this value of the field `by`."""
    places: list[ColumnElement[bool]] = []
    for plan, tables in pairs:
        row = tables.rows.alias()
        if reference.by is None and plan.id_space in reference.spaces:
            places.append(exists().where(row.c.key == key, alive(tables, row)))
        elif reference.by is not None and _brings(plan, reference):
            spec = plan.specs(reference.entity, reference.by)
            same = has_value(row.c[f"v_{reference.by}"], spec, key)
            places.append(exists().where(same, alive(tables, row)))
    return or_(false(), *places)


def value_indexes(plan: IntoPlan, tables: IntoStaging, plans: Sequence[IntoPlan]) -> Iterator[Index]:
    """For links by a field: rows that bring the field are looked up one by one."""
    fields = {r.by: r for each in plans for r in each.references if r.by is not None}
    for number, (by, reference) in enumerate(fields.items()):
        if _brings(plan, reference):
            value = match_expression(tables.rows.c[f"v_{by}"], plan.specs(reference.entity, by))
            yield Index(f"{tables.rows.name}_by{number}", value)


def by_field_of_run(plan: IntoPlan, pairs: Pairs) -> list[Reference]:
    """The links by a field that rows of this run bring."""
    return [r for r in plan.references if r.by is not None and any(_brings(other, r) for other, _ in pairs)]


def _brings(plan: IntoPlan, reference: Reference) -> bool:
    return plan.into.entity == reference.entity and any(
        field.name == reference.by and field.reference is None for field in plan.fields
    )
