"""Twins where several keys may be one record (`aliases`): the first makes it, the later ones wait and find it there.

::

    row 1  C1  73282932000074   new    makes the record in the first pass
    row 7  C2  73282932000074   waits  is matched in a later pass, and is its second key
    row 9  C3  73282932000074   waits  in the pass after that: each sees what the one before it left
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Select, exists, func, insert, null, select, union, update
from sqlalchemy.sql.selectable import FromClause

from mappings.language.flow import MatchRule
from pipelines.stages.plan import IntoPlan
from pipelines.stages.staging import IntoStaging
from pipelines.stages.twins import compared, not_strangers


def let_twins_wait(connection: Connection, plan: IntoPlan, tables: IntoStaging, alike: Sequence[Callable[[], bool]]
                   ) -> None:
    """Of the rows that are new and fit each other all but the first are to be linked, to a record that is not there
    yet. `alike`: for each rule, the answer to `some_alike`. And a row that fits the record of another row of the run
    sees first what that one makes of it: the value that both have in common may be the one that it gives up."""
    fate, wait, known = tables.fate, tables.wait, tables.fate.alias("known")
    rules = [rule for rule, some in zip(plan.into.match, alike, strict=True) if some()]
    fitting = select(fate.c.row_no).where(fate.c["class"] == "link", exists().where(
        known.c.record_id == fate.c.record_id, known.c["class"].in_(["entry", "sibling"])))
    later = union(fitting, *[later_twins(plan, tables, fate, rule) for rule in rules]).cte("later")
    waiting = insert(wait).from_select(["row_no"], select(later.c.row_no).where(
        ~exists().where(wait.c.row_no == later.c.row_no))).cte("waiting")
    connection.execute(
        update(fate).where(fate.c.row_no == later.c.row_no)
        .values({"class": "link", "record_id": null(), "waits": True}).add_cte(waiting)
    )


def later_twins(plan: IntoPlan, tables: IntoStaging, matched: FromClause, rule: MatchRule) -> Select[Any]:
    """row_no of each row of `matched` that is new and fits, by the rule, one before it that is new, or that comes to a
    record which was there. Doubts are left to the match, once that record is."""
    s = tables.rows
    links = {f"l_{reference.column}": matched.c[f"l_{reference.column}"] for reference in plan.references}
    values, others = compared(plan, tables, rule, links)
    keys = (
        select(s.c.row_no, matched.c["class"], *values, *others).join(matched, matched.c.row_no == s.c.row_no)
        .where(matched.c["class"].in_(["new", "link"])).subquery()
    )
    parts = [keys.c[value.name] for value in values]
    n = func.count().over(partition_by=parts, order_by=keys.c.row_no).label("n")
    members = select(*keys.c, n).where(*[part.is_not(None) for part in parts]).subquery()
    if others:
        members = not_strangers(members, len(values), len(others), "row_no")
    return select(members.c.row_no).where(members.c["class"] == "new", members.c.n > 1)
