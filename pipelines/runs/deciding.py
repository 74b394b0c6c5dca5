"""Between landing and applying: the whole run is decided, counted, and held against the guard.

A run that landed is here before anything of the store was changed for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, Table, delete, func, select

from mappings.language.flow import Absence, Flow
from mappings.words import Outcome
from pipelines.hub import Hub
from pipelines.runs.cursor import Cursor, IntoCursor
from pipelines.runs.orders import LandedRun, Order
from pipelines.runs.position import reached, stage_gone
from pipelines.stages.absent import absent_entries, action_of, entries_of, gone_entries, is_older
from pipelines.stages.active import columns_unread
from pipelines.stages.decide import Decided, decide, expected, match_all, tell_changes
from pipelines.stages.first_load import none_meet, write_fates
from pipelines.stages.guard import MOST_ENTRIES, Tripped, check_guard, enough_entries
from pipelines.stages.land import Landed, Landing
from pipelines.stages.leaving import let_follow
from pipelines.stages.moment import Moment
from pipelines.stages.plan import IntoPlan
from pipelines.stages.staging import Staging

TABLES = ("csv", "excel", "fec")
"""Formats whose header tells every column: a row of JSON may leave out what it has nothing to say on."""


def decide_landed(connection: Connection, order: Order, what: Landing, landed: Landed, moment: Moment,
                  before: Cursor | None = None, *, told: bool = False) -> LandedRun:
    """The decision on what landed. `before`: where the run stood when its staging was lost. `told`: a person is told
    how many rows would change, whatever the guard asks."""
    plans, staging = what.plans, what.staging
    gone = stage_gone(connection, order.source, staging)
    going = [_going(order, plans, staging, place, into.unread_keys, gone) for place, into in enumerate(landed.intos)]
    for plan, into in zip(plans, staging.intos, strict=True):
        leaving = [entries for other, each in zip(plans, going, strict=True) if other.id_space == plan.id_space
                   for action, entries in each if action in ("archive", "unlink")]
        if leaving and plan.into.match:
            let_follow(connection, plan, into, leaving, what.run)
    alone = staging.small and max(landed.last_row, default=0) <= 1
    # To find out what would change costs half of what changing it does: only for who asks.
    changes = told or (order.guarded and order.flow.guard.updates is not None)
    unwritten = not told and all(into.all_new and none_meet(plan, into.unlike)
                                 for plan, into in zip(plans, landed.intos, strict=True))
    if unwritten:
        decided = [Decided(Counter(), Counter[Outcome]({"created": into.staged}), 0, 0) for into in landed.intos]
    else:
        _write_out(connection, staging, landed)
        decided = decide(connection, plans, staging, what.run, alone=alone, changes=changes,
                         unlike=[into.unlike for into in landed.intos])
    # What an adoption has seen is still to be decided: to the next run it is as if nobody had read it.
    position = None if order.adopting else reached(order.source)
    cursor = Cursor(
        intos=[_counted(connection if not staging.small else None, *each) for each in
               zip(plans, staging.intos, landed.intos, landed.last_row, decided, strict=True)],
        variables=dict(order.variables), journal=moment.journal, quiet=moment.quiet, gone=gone,
        position=position, adopting=order.adopting, rebasing=order.rebasing, read_now=order.read_now,
    )
    tripped = _guard(connection, order, plans, cursor, decided, going) if order.guarded else []
    if unwritten and tripped:  # a person is to look at it
        _write_out(connection, staging, landed)
    for now in cursor.intos:
        now.unwritten = unwritten and not tripped
    for now, then in zip(cursor.intos, before.intos if before else (), strict=before is not None):
        now.applied, now.undecided = then.recounted(), then.undecided
    if tripped and not changes:
        tell_changes(connection, plans, staging)
        for counts, would in zip(cursor.intos, expected(connection, staging), strict=True):
            counts.expected = dict(would)
    return LandedRun(plans, staging, cursor, tripped, _notices(order, plans, landed, cursor))


def _write_out(connection: Connection, staging: Staging, landed: Landed) -> None:
    """The fates that landing left unwritten."""
    for into, tables in zip(landed.intos, staging.intos, strict=True):
        if into.all_new:
            write_fates(connection, tables)


def _notices(order: Order, plans: tuple[IntoPlan, ...], landed: Landed, cursor: Cursor) -> list[dict[str, Any]]:
    """What people would not see by the counters: what the source tells of itself, columns that it lacks, marks that say
    nothing, and absence that does not count."""
    marks = landed.marks.notice(order.flow.read)
    told = [*order.source.notices.items(), *([("marks", marks)] if marks else []), *[
        ("unread_key" if counts.unread_keys == 1 else "unread_keys", {"into": plan.label, "count": counts.unread_keys})
        for plan, counts in zip(plans, cursor.intos, strict=True)
        if counts.unread_keys and action_of(plan, order.full) != "ignore"
    ], *[
        ("lacks", {"into": plan.label, "columns": ", ".join(lacking)})
        for plan in plans if _has_header(order) and not plan.into.each
        if (lacking := columns_unread(plan, order.source.columns))
    ]]
    return [{"code": code, "params": params} for code, params in told]


def _has_header(order: Order) -> bool:
    """Whether what was read is a table, by what the mapping says of its format or what was found."""
    pinned = order.flow.read.format
    named = [name for name in TABLES if pinned is not None and getattr(pinned, name) is not None]
    return bool(named) or order.source.detected.get("format") in TABLES


def decide_again(hub: Hub, flow: Flow, run_id: int, mark: int | None, plans: tuple[IntoPlan, ...], staging: Staging,
                 cursor: Cursor) -> Cursor:
    """A run that waited decides on the store as it is now; what landing itself had settled stays."""
    with hub.engine.begin() as connection:
        for into in staging.intos:
            into.fate.drop(connection)
            into.fate.create(connection)
            connection.execute(delete(into.wait))
        run = (run_id, None if marks_rows(flow) else mark)
        match_all(connection, plans, staging, run)
        decided = decide(connection, plans, staging, run)
        for counts, now in zip(cursor.intos, decided, strict=True):
            counts.landed = dict(+_settled(Counter(counts.read), now))
            counts.expected = dict(now.expected)
        cursor.save(connection, run_id)
    return cursor


def _counted(connection: Connection | None, plan: IntoPlan, staged: Any, landed: Any, last_row: int, decided: Decided
             ) -> IntoCursor:
    """What is settled at landing; what apply will settle is counted there. How much was staged is counted where that
    may have to be told from a staging that was lost: `connection` is None for a small run, which is never resumed."""
    return IntoCursor(
        label=plan.label, fields=[item.name for item in plan.fields], rows_read=landed.rows_read, last_row=last_row,
        staged=landed.staged if connection is not None else 0, held=_count(connection, staged.held),
        same=_count(connection, staged.same),
        unread_keys=landed.unread_keys, read=dict(landed.outcomes),
        landed=dict(+_settled(Counter(landed.outcomes), decided)), expected=dict(decided.expected),
    )


def _count(connection: Connection | None, table: Table) -> int:
    if connection is None:
        return 0
    count: int = connection.execute(select(func.count()).select_from(table)).scalar_one()
    return count


def _settled(read: Counter[Outcome], decided: Decided) -> Counter[Outcome]:
    """What landing settled, and the decision: a row may be repeated by a later one, or go with its row."""
    settled = Counter(read)
    settled["unchanged"] -= decided.repeated_same
    settled["rejected"] -= decided.refused
    settled["superseded"] += decided.repeated_same + decided.refused
    return settled + decided.settled


def _going(order: Order, plans: tuple[IntoPlan, ...], staging: Staging, place: int, unread_keys: int, gone: int
           ) -> list[tuple[Absence, Select[Any]]]:
    """What becomes of entries whose rows are gone, and which these are: those that the source itself told of, and those
    that are absent."""
    plan, found = plans[place], list[tuple[Absence, Select[Any]]]()
    pairs = list(zip(plans, staging.intos, strict=True))
    if gone and place == 0 and plan.into.absent != "ignore":
        found.append((plan.into.absent, gone_entries(plan, pairs, staging.gone)))
    action = action_of(plan, order.full)
    if action != "ignore" and not unread_keys and not is_older(plan, order.mark):
        mark = None if marks_rows(order.flow) else order.mark
        found.append((action, absent_entries(plan, order.full, pairs, mark)))
    return found


def _guard(connection: Connection, order: Order, plans: tuple[IntoPlan, ...], cursor: Cursor, decided: list[Decided],
           going: Sequence[Sequence[tuple[Absence, Select[Any]]]]) -> list[Tripped]:
    found: list[Tripped] = []
    for plan, counts, fate, each in zip(plans, cursor.intos, decided, going, strict=True):
        for action, entries in each:
            of_them = entries.subquery()
            counts.absent, to_archive = connection.execute(
                select(func.count(), func.count().filter(of_them.c.archive)).select_from(of_them)
            ).one()
            counts.to_archive = to_archive if action == "archive" else 0
        told = Counter(counts.landed) + fate.expected
        guard = order.flow.guard
        enough = enough_entries(guard, told, counts.absent) if counts.rows_read else MOST_ENTRIES
        found += check_guard(guard, plan.label, counts.rows_read, told, counts.absent,
                             entries_of(connection, plan, enough), full=order.full)
    return found


def marks_rows(flow: Flow) -> bool:
    """Whether each row has an order mark of its own."""
    return bool(flow.read.mark_columns)
