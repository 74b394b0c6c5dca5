"""Twins: two rows of one run that are one record, as far as the match rules can tell.

A person decides what they are; where several keys may be one record they are one (pipelines.stages.later_twins).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Label,
    Select,
    Subquery,
    Text,
    and_,
    case,
    cast,
    delete,
    exists,
    false,
    func,
    null,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.sql.selectable import FromClause

from crm_store import hub_tables as hub
from mappings.language.flow import MatchRule
from pipelines.stages.match import sides
from pipelines.stages.plan import IntoPlan
from pipelines.stages.staging import IntoStaging


def set_twins_aside(connection: Connection, plan: IntoPlan, tables: IntoStaging, alike: Sequence[Callable[[], bool]],
                    *, waiting: bool = False) -> None:
    """Two rows for one record that is new to both: neither is taken, whatever their order; a person decides. `alike`:
    for each rule, the answer to `some_alike`, which is asked for only where it matters.

    Once more with `waiting`, when it is known what the rows that wait for others of the run are about: they go off the
    waiting list. They stay twins for as long as both are in the source and nobody has decided: a record that another
    system brings meanwhile may fit one of them, and the next run of the same file would take that one in.
    """
    s, fate = tables.rows, tables.fate
    linked = (
        select(fate.c.record_id, func.count().label("n"), func.min(s.c.key).label("low_key"),
               func.max(s.c.key).label("high_key"))
        .join(s, s.c.row_no == fate.c.row_no)
        .where(fate.c["class"] == "link").group_by(fate.c.record_id).having(func.count() > 1).subquery()
    )
    connection.execute(
        update(fate).where(fate.c["class"] == "link", fate.c.record_id == linked.c.record_id)
        .values(_twin_of({"record": fate.c.record_id}, linked)
                | {"candidates": array([fate.c.record_id]), "record_id": null()})
    )
    links = _links(plan, tables, to_come=waiting)
    since = _twins_before(connection, plan, tables)
    news = select(fate.c.row_no).join(s, s.c.row_no == fate.c.row_no).where(or_(fate.c["class"] == "new", since))
    if connection.scalar(news.limit(1)) is None:
        return
    for rule in [rule for rule, some in zip(plan.into.match, alike, strict=True) if some()]:
        values, others = compared(plan, tables, rule, links)
        # Two expressions of the same text must be one in GROUP BY: a subquery names them.
        new = (
            select(s.c.row_no, s.c.key, since.label("since"), *values, *others)
            .join(fate, fate.c.row_no == s.c.row_no)
            # Twins of an earlier rule are still somebody's twins, or the order of the rules would tell who is new. And
            # a row that is known by its key may bring its record the very value that would have told the other's.
            .where(or_(fate.c["class"].in_(["new", "entry", "sibling"]), fate.c.code == "twins", since)).subquery()
        )
        parts = [new.c[value.name] for value in values]
        groups = (
            select(*parts, func.count().label("n"), func.min(new.c.key).label("low_key"),
                   func.max(new.c.key).label("high_key"))
            .where(*[part.is_not(None) for part in parts]).group_by(*parts)
            .having(func.count() > 1).subquery()
        )
        members = (
            select(*new.c, groups.c.n, groups.c.low_key, groups.c.high_key)
            .join(groups, and_(*[new.c[part.name] == groups.c[part.name] for part in parts])).subquery()
        )
        if others:
            members = not_strangers(members, len(parts), len(others))
        connection.execute(
            update(fate).where(fate.c.row_no == members.c.row_no, or_(fate.c["class"] == "new", members.c.since))
            .values(_twin_of({"rule": " + ".join(rule.on)}, members) | {"record_id": null()})
        )
    if waiting:
        apart = fate.c["class"] == "review"
        connection.execute(delete(tables.wait).where(tables.wait.c.row_no.in_(select(fate.c.row_no).where(apart))))
        connection.execute(update(fate).where(apart, fate.c.waits).values(waits=False))


def _links(plan: IntoPlan, tables: IntoStaging, *, to_come: bool) -> dict[str, ColumnElement[Any]]:
    """The link columns of `fate`, as something that is equal where the links are: what is yet `to_come` by its key."""
    fate, links = tables.fate, dict[str, ColumnElement[Any]]()
    for reference in plan.references:
        found = fate.c[f"l_{reference.column}"]
        links[found.name] = found
        if to_come and not reference.many:
            key = func.concat("key ", tables.rows.c[f"k_{reference.column}"])
            waits = and_(found.is_(None), fate.c.waits, tables.rows.c[f"k_{reference.column}"].is_not(None))
            links[found.name] = case((waits, key), else_="id " + cast(found, Text))
    return links


def compared(plan: IntoPlan, tables: IntoStaging, rule: MatchRule, links: Mapping[str, ColumnElement[Any]]
             ) -> tuple[list[Label[Any]], list[Label[Any]]]:
    """What two rows must have in common to fit each other by the rule, as side0, side1 …; and what must not differ, as
    other0, other1 …"""
    names = [*rule.on, *([plan.owner.column] if plan.owner and plan.owner.column not in rule.on else [])]

    def labelled(label: str, each: Sequence[str]) -> list[Label[Any]]:
        return [sides(plan, plan.record, tables.rows, name, links)[1].label(f"{label}{number}")
                for number, name in enumerate(each)]

    return labelled("side", names), labelled("other", rule.unless)


def some_alike(plan: IntoPlan, tables: IntoStaging) -> list[Select[Any]]:
    """For each rule, whether any two staged rows have its values in common; links, which are not staged, left out."""
    links = {reference.column for reference in plan.references}
    questions: list[Select[Any]] = []
    for rule in plan.into.match:
        values = [sides(plan, plan.record, tables.rows, name, {})[1] for name in rule.on if name not in links]
        staged = select(*[value.label(f"side{place}") for place, value in enumerate(values)]).select_from(tables.rows)
        side = staged.subquery().c
        groups = select(*side).where(*[value.is_not(None) for value in side]).group_by(*side)
        questions.append(select(exists(groups.having(func.count() > 1))) if values else select(true()))
    return questions


def _twins_before(connection: Connection, plan: IntoPlan, tables: IntoStaging) -> ColumnElement[bool]:
    """Whether a row that is not taken in yet is still held as a twin by an earlier run: also one that by now waits
    for a record, which says nothing of what it is itself."""
    twins = select(hub.held.c.key).where(
        hub.held.c.feed == plan.feed, hub.held.c.state == "open", hub.held.c.code == "twins"
    )
    if connection.scalar(twins.limit(1)) is None:
        return false()
    return and_(tables.fate.c["class"].in_(["link", "review", "parked"]), tables.rows.c.key.in_(twins))


def not_strangers(members: Subquery, sides: int, others: int, order: str | None = None) -> Subquery:
    """Of the members of each group, those that `unless` leaves a twin: each of its fields has, on some other member,
    the same value or none. `order`: the column by which that other one has to come before; `n` counts up to there."""
    group, by = [members.c[f"side{number}"] for number in range(sides)], members.c[order] if order else None
    alike: list[ColumnElement[Any]] = []
    for number in range(others):
        other = members.c[f"other{number}"]
        unknown = func.count().filter(other.is_(None)).over(partition_by=group, order_by=by)
        same = func.count().over(partition_by=[*group, other], order_by=by)
        alike.append(case((other.is_(None), members.c.n), else_=same + unknown).label(f"alike{number}"))
    counted = select(*members.c, *alike).subquery()
    return select(counted).where(*[counted.c[column.name] > 1 for column in alike]).subquery()


def _twin_of(alike: dict[str, Any], group: FromClause) -> dict[str, Any]:
    """`alike`: what the rows of the group have in common, the rule or the record that they fit."""
    told = {"count": group.c.n, "keys": group.c.low_key + " … " + group.c.high_key} | alike
    pairs = [part for name, value in told.items() for part in (name, value)]
    return {"class": "review", "code": "twins", "field": null(), "params": func.jsonb_build_object(*pairs)}
