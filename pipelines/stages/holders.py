"""Held elements of nested lists close with the row that holds them: a newer version of it that was applied closes those
that it has no more.

::

    {"no": "a", "rev": 1, "lines": [{"n": 1, "what": ""}]}    line a|1 is refused, and its holder is a
    {"no": "a", "rev": 2, "lines": []}                        a is applied: the reject of a|1 closes

Where the list is not `whole`, only a row that has elements in it closes any: one without says nothing of them.
"""

from __future__ import annotations

from sqlalchemy import Connection, select, true, union_all, update
from sqlalchemy.sql.selectable import FromClause

from crm_store import hub_tables as hub
from pipelines.stages.held import all_at_once, close_good
from pipelines.stages.match import entry_of
from pipelines.stages.plan import IntoPlan
from pipelines.stages.staging import IntoStaging
from pipelines.stages.superseded import stands


def close_elements(connection: Connection, run_id: int, element: tuple[IntoPlan, IntoStaging],
                   holder: tuple[IntoPlan, IntoStaging]) -> None:
    """Once a run has applied everything: notes whose the elements are that it held, and closes older ones."""
    held, good = hub.held, _applied(run_id, *element, *holder)
    with all_at_once(connection):
        _note_holders(connection, run_id, *element, holder[1])
    close_good(connection, run_id, element[0], held.c.feed == element[0].feed, held.c.holder == good.c.key,
               held.c.run_id < run_id, good=good)


def _note_holders(connection: Connection, run_id: int, plan: IntoPlan, tables: IntoStaging, above: IntoStaging) -> None:
    held = hub.held
    elements = union_all(*[
        select(table.c.row_no, table.c.source_no) for table in (tables.rows, tables.held)]).subquery("elements")
    rows = union_all(*[
        select(table.c.row_no, table.c.key) for table in (above.rows, above.same, above.held)]).subquery("holders")
    connection.execute(
        update(held)
        .where(held.c.feed == plan.feed, held.c.state == "open", held.c.run_id == run_id,
               elements.c.row_no == held.c.row_no, rows.c.row_no == elements.c.source_no)
        .values(holder=rows.c.key)
    )


def _applied(run_id: int, plan: IntoPlan, tables: IntoStaging, holder: IntoPlan, above: IntoStaging) -> FromClause:
    """The holders of open held elements that this run applied, or found as they were: columns key, mark, row_no."""
    held = hub.held
    # From the held ones to their holders' entries: few, and each is looked up.
    waiting = (
        select(held.c.holder.label("key")).distinct()
        .where(held.c.feed == plan.feed, held.c.state == "open", held.c.holder.is_not(None), held.c.run_id < run_id)
        .subquery("waiting")
    )
    entry, same = entry_of(holder, waiting), above.same
    applied = select(entry.c.key, entry.c.mark, entry.c.row_no).select_from(waiting.join(entry, true())).where(
        entry.c.run_id == run_id)
    good = union_all(applied, select(same.c.key, same.c.mark, same.c.row_no).where(stands(same))).subquery("applied")
    if plan.into.whole:
        return good
    spoken = union_all(*[select(table.c.source_no) for table in (tables.rows, tables.same, tables.held)])
    return select(good).where(good.c.row_no.in_(spoken)).subquery("speaking")
