"""The last transaction of a run: what is absent, what is open no more, and the counters, which must add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, Insert, bindparam, delete, func, insert, select, update

from crm_store import hub_tables as hub
from mappings.errors import RunStopped
from mappings.words import OUTCOMES, Outcome
from pipelines.runs.cursor import Cursor
from pipelines.runs.landed import Applying
from pipelines.stages.absent import absent_entries, action_of, close_told_gone, gone_entries, is_older, settle_absent
from pipelines.stages.apply import IntoApply
from pipelines.stages.held import FileRead, close_gone, close_held
from pipelines.stages.holders import close_elements
from pipelines.stages.plan import IntoPlan
from pipelines.stages.superseded import holder_place, stands

Into = dict[str, dict[str, Any]]
"""`RunResult.into`."""


def close_intos(connection: Connection, what: Applying, intos: Sequence[IntoApply], cursor: Cursor) -> Into:
    """Closes every into of the run; its counters, by label. Raises RunStopped where a row has no outcome, or two."""
    told: Into = {}
    pairs = [(into.plan, into.tables) for into in intos]
    for number, (plan, into, counts) in enumerate(zip(what.plans, intos, cursor.intos, strict=True)):
        _absent(connection, what, intos, cursor, number)
        same = into.tables.same
        if into.any_refusals(connection):
            good = select(same.c.key, same.c.row_no, same.c.mark).where(stands(same)).subquery()
            close_held(connection, what.run_id, plan, good)
            place = holder_place(plan, pairs) if plan.into.each is not None else None
            if place is not None:
                close_elements(connection, what.run_id, pairs[number], pairs[place])
            if cursor.gone and number == 0:
                close_told_gone(connection, what.run_id, plan, pairs, what.staging.gone)
            if what.full and not counts.unread_keys:
                close_gone(connection, what.run_id, plan, what.mark, FileRead(what.file_mark, cursor.variables))
        if what.sequenced and not what.full:
            x = plan.crosswalk
            connection.execute(
                update(x).where(x.c.id_space == plan.id_space, x.c.feed == plan.feed, x.c.key == same.c.key,
                                stands(same), x.c.mark < what.mark).values(mark=what.mark)
            )
        outcomes: Counter[Outcome] = Counter(counts.outcomes())
        if counts.rows_read != outcomes.total():
            raise RunStopped(
                f"{plan.label}: {counts.rows_read} rows were read but {outcomes.total()} outcomes counted",
                where=f"run {what.run_id}", todo="the run is marked failed; please report this with its files",
            )
        if not what.staging.small:  # a run that is resumed may have been here
            connection.execute(delete(hub.run_into).where(
                hub.run_into.c.run_id == what.run_id, hub.run_into.c.feed == plan.feed
            ))
        counted: dict[str, Any] = dict.fromkeys(OUTCOMES, 0) | dict(outcomes) | {
            "rows_read": counts.rows_read, "archived": counts.archived, "unlinked": counts.unlinked}
        whole = what.full and what.file_mark is not None and plan.key_pattern is None
        found = connection.scalar(plan.once(("counted", whole), partial(_counted, plan, tuple(counted), whole)), {
            f"its_{name}": value for name, value in counted.items()} | {"its_run": what.run_id}
            | ({"its_mark": what.file_mark} if whole else {}))
        told[plan.label] = {"entity": plan.entity.name, **counted, "conflicts": found}
    return told


def _counted(plan: IntoPlan, names: Sequence[str], whole: bool) -> Insert:
    """The line of an into with what was counted; its feed is confirmed. `whole`: by a file with all that there is."""
    line, feed, conflict = hub.run_into, hub.feed, hub.conflict
    marks: dict[str, ColumnElement[Any]] = {"confirmed_at": func.now()}
    if whole:
        marks["full_mark"] = func.greatest(feed.c.full_mark, bindparam("its_mark", type_=BigInteger))
    run = bindparam("its_run", type_=BigInteger)
    conflicts = select(func.count()).where(conflict.c.run_id == run, conflict.c.feed == plan.feed).scalar_subquery()
    told = {name: bindparam(f"its_{name}", type_=line.c[name].type) for name in names}
    return (
        insert(line).values({"run_id": run, "feed": plan.feed, "conflicts": conflicts, "closed": True, **told})
        .add_cte(update(feed).where(feed.c.id == plan.feed).values(marks).cte("confirmed"))
        .returning(line.c.conflicts)
    )


def _absent(connection: Connection, what: Applying, intos: Sequence[IntoApply], cursor: Cursor, number: int) -> None:
    plan, into = what.plans[number], intos[number]
    counts = cursor.intos[number]
    if cursor.gone and number == 0 and plan.into.absent != "ignore":
        into.clear(connection)
        counts.archived, counts.unlinked = settle_absent(
            connection, what.run_id, plan, gone_entries(plan, into.pairs, what.staging.gone),
            plan.into.absent, into.work.h, what.source,
        )
    action = action_of(plan, what.full)
    if action == "ignore" or counts.unread_keys or is_older(plan, what.file_mark):
        return
    into.clear(connection)
    entries = absent_entries(plan, what.full, into.pairs, what.mark)
    counts.archived, counts.unlinked = settle_absent(
        connection, what.run_id, plan, entries, action, into.work.h, what.source
    )
