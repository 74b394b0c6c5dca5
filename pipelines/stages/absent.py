"""Absent: what a full read no longer has, or an owner's rows no longer name.

Every row whose key could be read counts as present, also when it was rejected, parked or superseded; a row that `when`
left out does not. One unreadable key and nothing is absent. An absent entry is archived only if its system masters
`archived`, and only when no other key of its record is present; else it is unlinked.

A key that moved to another into or flow of the same id space is there: its old entry goes once the new one stands.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    Select,
    Subquery,
    Table,
    Text,
    and_,
    any_,
    case,
    delete,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.selectable import FromClause

from crm_store import hub_tables as hub
from mappings.language.flow import Absence
from pipelines.stages.conflicts import settle_unlinked
from pipelines.stages.held import hold, json_text
from pipelines.stages.images import higher_rank_says
from pipelines.stages.outbox import drop_gone, queue
from pipelines.stages.plan import IntoPlan
from pipelines.stages.staging import IntoStaging, copy_frame
from pipelines.stages.superseded import names_itself, newest, stands
from pipelines.stages.waiting import Pairs


def action_of(plan: IntoPlan, full: bool) -> Absence:
    """What happens to absent entries: children given `whole` may be absent from any read, others from a full one."""
    return plan.into.absence if full or plan.into.whole else "ignore"


def is_older(plan: IntoPlan, mark: int | None) -> bool:
    """Whether a newer full read was applied already: this one then says nothing about what is gone."""
    return mark is not None and plan.full_mark is not None and mark < plan.full_mark


def absent_entries(plan: IntoPlan, full: bool, pairs: Pairs, mark: int | None) -> Select[Any]:
    """key, record_id, whether the record is to be archived, and whether the key has moved, for each entry of the feed
    that is absent.

    `pairs`: all intos of the run; `mark` is the file's, where entries have the marks of files: what a newer file of
    changes brought is not absent.
    """
    x, record = plan.crosswalk.alias("x"), plan.record
    there, beside = _there(plan, pairs), [other.feed for other, _ in _of_space(plan, pairs) if other is not plan]
    here = exists().where(there.c.key == x.c.key, there.c.feed == plan.feed)
    twin = plan.crosswalk.alias("twin")
    other_here = exists().where(
        twin.c.record_id == x.c.record_id, twin.c.key != x.c.key,
        exists().where(there.c.key == twin.c.key, there.c.feed == twin.c.feed),
    )
    in_run = exists().where(there.c.key == x.c.key, there.c.feed != plan.feed) if beside else false()
    moved = or_(and_(in_run, _lives(plan, x, beside)), _lives(plan, x, plan.witnesses))
    where: list[ColumnElement[bool]] = [x.c.feed == plan.feed, x.c.id_space == plan.id_space,
                                        x.c.absent_since.is_(None), ~here, or_(~in_run, moved)]
    if plan.key_pattern is not None:
        where.append(x.c.key.regexp_match(plan.key_pattern))
    if mark is not None:
        where.append(or_(x.c.mark.is_(None), x.c.mark <= mark))
    if not full:
        where.append(_owner_named(plan, record, pairs))
    archive = and_(masters_archived(plan, record), ~moved, ~other_here)  # the dear question last
    return (
        select(x.c.key, x.c.record_id, archive.label("archive"), moved.label("moved"))
        .join_from(x, record, record.c.id == x.c.record_id).where(*where)
    )


def gone_entries(plan: IntoPlan, pairs: Pairs, gone: Table) -> Select[Any]:
    """`absent_entries` of a read of changes: those whose rows the system itself says were deleted, and that are not
    there again. Other keys of their records are there unless it says so of them too."""
    x, twin, record = plan.crosswalk.alias("x"), plan.crosswalk.alias("twin"), plan.record
    feeds = [other.feed for other, _ in _of_space(plan, pairs)]
    other_there = exists().where(twin.c.record_id == x.c.record_id, twin.c.feed.in_(feeds), twin.c.key != x.c.key,
                                 twin.c.absent_since.is_(None), ~_told_gone(plan, twin.c.key, pairs, gone))
    archive = and_(masters_archived(plan, record), ~other_there)
    return (
        select(x.c.key, x.c.record_id, archive.label("archive"), false().label("moved"))
        .join_from(x, record, record.c.id == x.c.record_id)
        .where(x.c.feed == plan.feed, x.c.id_space == plan.id_space, x.c.absent_since.is_(None),
               _told_gone(plan, x.c.key, pairs, gone))
    )


def _of_space(plan: IntoPlan, pairs: Pairs) -> Pairs:
    """The intos of the run whose keys are of the plan's id space: itself among them."""
    return [pair for pair in pairs if pair[0].id_space == plan.id_space]


def _there(plan: IntoPlan, pairs: Pairs) -> Subquery:
    """feed and key of each row that the run has in the plan's id space."""
    rows = [(other.feed, _present(tables, names_itself(tables) if other.into.each is not None else None))
            for other, tables in _of_space(plan, pairs)]
    return union_all(*[select(literal(feed).label("feed"), keys.c.key) for feed, keys in rows]).subquery("there")


def close_told_gone(connection: Connection, run_id: int, plan: IntoPlan, pairs: Pairs, gone: Table) -> None:
    """After a read of changes: what earlier runs held of rows that were deleted is no longer there."""
    held = hub.held
    connection.execute(
        update(held)
        .where(held.c.feed == plan.feed, held.c.state == "open", held.c.run_id < run_id,
               _told_gone(plan, held.c.key, pairs, gone))
        .values(state="closed", closed_at=func.now(), closed_by=run_id)
    )


def _told_gone(plan: IntoPlan, key: ColumnElement[str], pairs: Pairs, gone: Table) -> ColumnElement[bool]:
    """The system itself said that the row of this key was deleted, and it is not there again."""
    there = _there(plan, pairs)
    return and_(key.in_(select(gone.c.key)), ~exists().where(there.c.key == key))


def _lives(plan: IntoPlan, x: FromClause, feeds: Sequence[int]) -> ColumnElement[bool]:
    """Whether the key of the entry `x` has one that is not absent through one of the feeds."""
    other = plan.crosswalk.alias("elsewhere")
    lives = exists().where(other.c.id_space == plan.id_space, other.c.key == x.c.key, other.c.feed.in_(feeds),
                           other.c.absent_since.is_(None))
    return lives if feeds else false()


def _present(tables: IntoStaging, counts: ColumnElement[bool] | None = None,
             refused_count: ColumnElement[bool] | None = None) -> Any:
    return union_all(
        select(tables.rows.c.key).where(true() if counts is None else counts),
        select(tables.same.c.key).where(stands(tables.same)),
        select(tables.held.c.key).where(tables.held.c.key.is_not(None), stands(tables.held),
                                        true() if refused_count is None else refused_count),
    ).subquery("present")


def masters_archived(plan: IntoPlan, record: Table) -> ColumnElement[bool]:
    """This system masters `archived` of the record: alone, or as the first of ranked ones that says something."""
    mine: dict[str, ColumnElement[bool]] = {}
    for kind, mastery in plan.entity.masters["archived"].items():
        mine[kind] = false()
        if mastery.kind == "systems" and plan.system in mastery.systems:
            ranks = mastery.systems[:mastery.systems.index(plan.system)]
            mine[kind] = ~higher_rank_says(plan, ranks, "archived", record.c.id)
    named = [(record.c.type == kind, owns) for kind, owns in mine.items() if kind != "else"]
    return case(*named, else_=mine["else"]) if named else mine["else"]


def _owner_named(plan: IntoPlan, record: Table, pairs: Pairs) -> ColumnElement[bool]:
    """The owner of the record is on a row of this run, and not only on one that came late; so is every key that it has
    in the feed: no entry tells which of its owner's rows named the child."""
    assert plan.owner is not None
    owner_plan, owner_tables = next(pair for pair in pairs if pair[0].id_space in plan.owner.spaces)
    owner = owner_plan.crosswalk.alias("owner_x")
    named = _present(owner_tables, newest(owner_tables), owner_tables.held.c.late.is_not(True)).alias("named")
    its = and_(owner.c.record_id == record.c[plan.owner.column], owner.c.id_space == owner_plan.id_space)
    here = named.c.key == owner.c.key
    lives = and_(owner.c.feed == owner_plan.feed, owner.c.absent_since.is_(None))
    return and_(exists().where(its, here), ~exists().where(its, lives, ~exists().where(here)))


def settle_absent(connection: Connection, run_id: int, plan: IntoPlan, entries: Select[Any], action: Absence,
                  held: Table, source: str) -> tuple[int, int]:
    """Archives, unlinks or sets aside for review; returns (archived, unlinked). One transaction."""
    gone = connection.execute(entries).all()
    if not gone or action == "ignore":
        return 0, 0
    moved = [each.key for each in gone if each.moved]
    unlink_entries(connection, plan, moved, run_id, followers=False)
    gone = [each for each in gone if not each.moved]
    if action == "review":
        _ask(connection, run_id, plan, gone, held, source)
        return 0, len(moved)
    archive = [(each.key, each.record_id) for each in gone if each.archive and action == "archive"]
    unlink = [each.key for each in gone if not (each.archive and action == "archive")]
    archive_entries(connection, plan, archive, run_id)
    unlink_entries(connection, plan, unlink, run_id)
    return len(archive), len(moved) + len(unlink)


def _ask(connection: Connection, run_id: int, plan: IntoPlan, gone: Sequence[Row[Any]], held: Table, source: str
         ) -> None:
    """Sets what is absent aside for a person to decide."""
    if not gone:
        return
    import pandas as pd

    causes = json_text([{"field": "", "code": "gone", "params": {}, "value": None}])
    copy_frame(connection, held, pd.DataFrame({
        "row_no": 0, "key": [each.key for each in gone], "outcome": "review", "code": "gone", "causes": causes,
        "candidates": ["{" + str(each.record_id) + "}" for each in gone],
    }))
    hold(connection, run_id, plan, held, source)


def archive_entries(connection: Connection, plan: IntoPlan, entries: Sequence[tuple[str, int]], run_id: int) -> None:
    """Archives the records of these absent entries (key, record); they stay linked, and come back with their rows."""
    record = plan.record
    ids = sorted({record_id for _, record_id in entries})
    among = record.c.id == any_(literal(ids, ARRAY(BigInteger)))  # one parameter, however many they are
    connection.execute(
        select(func.count()).select_from(
            select(record.c.id).where(among).order_by(record.c.id).with_for_update().subquery()
        )
    )
    connection.execute(update(record).where(among, record.c.archived_at.is_(None)).values(archived_at=func.now()))
    keys = [key for key, _ in entries]
    keep_entries(connection, plan, keys, run_id)
    drop_gone(connection, [plan.feed], select(plan.crosswalk.c.record_id).where(*_these(plan, keys)))


def keep_entries(connection: Connection, plan: IntoPlan, keys: Sequence[str], run_id: int) -> None:
    """The entries stay linked, and count as absent until their rows come back: they are not absent anew."""
    x = plan.crosswalk
    connection.execute(
        update(x).where(*_these(plan, keys)).values(absent_since=func.now(), fingerprint=None, run_id=run_id)
    )


def unlink_entries(connection: Connection, plan: IntoPlan, keys: Sequence[str], run_id: int, *, followers: bool = True
                   ) -> None:
    """Forgets the entries; what was disputed with them is not any more. With them go, of `followers`, those of feeds
    that only add to what this one makes: a record whose row is gone is not known there."""
    feeds = (plan.feed, *(plan.followers if followers else ()))
    x = plan.crosswalk
    these = [x.c.id_space == plan.id_space, x.c.key == any_(literal(list(keys), ARRAY(Text))), x.c.feed.in_(feeds)]
    drop_gone(connection, feeds, select(x.c.record_id).where(*these))
    records = connection.scalars(delete(x).where(*these).returning(x.c.record_id)).all()
    look_again(connection, plan, records)
    settle_unlinked(connection, feeds, keys, run_id)


def look_again(connection: Connection, plan: IntoPlan, records: Collection[int]) -> list[str]:
    """The rows that records have left which lost one are looked at again: what they have may be what the lost one said.
    Where none has the primary key any more another one gets it; returns these."""
    x = plan.crosswalk
    mine = [x.c.record_id == any_(literal(sorted(set(records)), ARRAY(BigInteger))), x.c.id_space == plan.id_space]
    first = (
        select(func.min(x.c.key)).where(*mine).group_by(x.c.record_id).having(~func.bool_or(x.c.is_primary))
    )
    promoted = connection.scalars(update(x).where(*mine, x.c.key.in_(first)).values(is_primary=True)
                                  .returning(x.c.key)).all()
    connection.execute(update(x).where(*mine).values(fingerprint=None))
    if plan.writes:
        queue(connection, plan.feed, select(x.c.record_id).where(*mine, x.c.feed == plan.feed))
    return list(promoted)


def _these(plan: IntoPlan, keys: Sequence[str]) -> list[ColumnElement[bool]]:
    x = plan.crosswalk
    return [x.c.id_space == plan.id_space, x.c.feed == plan.feed, x.c.key == any_(literal(list(keys), ARRAY(Text)))]


def entries_of(connection: Connection, plan: IntoPlan, enough: int) -> int:
    """How many entries the feed has, at most `enough`: what shares of the guard are counted against."""
    if not enough:
        return 0
    x = plan.crosswalk
    query = select(x.c.key).where(x.c.id_space == plan.id_space, x.c.feed == plan.feed, x.c.absent_since.is_(None))
    if plan.key_pattern is not None:
        query = query.where(x.c.key.regexp_match(plan.key_pattern))
    count = connection.scalar(select(func.count()).select_from(query.limit(enough).subquery()))
    return int(count or 0)



