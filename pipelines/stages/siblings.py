"""Siblings: feeds of one id space know the same rows, so what one of them agreed on is the base of all their entries.

::

    a push delivers a field, or a reading finds both sides the same ─┬─▶ own entry
                                                                     └─▶ entries of its key through other feeds (share)

What a feed has seen of the row last stays its image of it: a reading that was under way meanwhile is no news for that.
What is only kept against the system, or waits, is agreed on with nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Text,
    Update,
    and_,
    any_,
    bindparam,
    case,
    cast,
    false,
    func,
    literal,
    or_,
    select,
    true,
    update,
)
from sqlalchemy import column as column_of
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.sql.selectable import LateralFromClause

from pipelines.stages.likeness import some_of
from pipelines.stages.plan import IntoPlan


def share(plan: IntoPlan, t: FromClause, key: ColumnElement[str], fields: ColumnElement[Any], prefix: str,
          stored: ColumnElement[Any]) -> Update:
    """The statement that gives what rows of `t` agreed on to the entries of their keys through other feeds.

    `t`: record_id and the new base as columns with `prefix`; `fields`: those that were agreed on; `stored`: the new
    `remote`, with what the system made of its own way of these. The caller has locked the records, so that two feeds
    that share with each other do not meet half-way.
    """
    x = plan.crosswalk
    nothing = cast(literal("{}", Text), JSONB)
    remote: ColumnElement[Any] = func.coalesce(x.c.remote, nothing)
    values: dict[str, ColumnElement[Any]] = {}
    news: list[ColumnElement[bool]] = []
    for item in plan.fields:
        said = func.coalesce(literal(item.name, Text) == any_(fields), false())
        for column in item.columns:
            name, was, now = literal(column, Text), x.c[f"b_{column}"], t.c[f"{prefix}{column}"]
            other = some_of(was).is_distinct_from(some_of(now))
            image = func.jsonb_extract_path(stored, name)
            seen = func.coalesce(func.jsonb_exists(x.c.remote, name), false())
            values[f"b_{column}"] = case((said, now), else_=was)
            remote = remote.op("||")(case(
                (and_(said, image.is_not(None)), func.jsonb_build_object(name, image)),
                (and_(said, other, ~seen), func.jsonb_build_object(name, func.to_jsonb(was))), else_=nothing))
            told = and_(image.is_not(None), image.is_distinct_from(func.jsonb_extract_path(x.c.remote, name)))
            news.append(and_(said, or_(other, told)))
    values["remote"] = func.nullif(remote, nothing)
    return update(x).where(
        x.c.id_space == plan.id_space, x.c.key == key, x.c.record_id == t.c.record_id, x.c.feed != plan.feed,
        or_(false(), *news)).values(values)


def lock_records(connection: Connection, plan: IntoPlan, records: Sequence[int]) -> None:
    """Locks these records in the order of ids, as every run does before it comes to entries."""
    r = plan.record
    locked = plan.once("locked", lambda: select(func.count()).select_from(
        select(r.c.id).where(r.c.id == any_(bindparam("ids", type_=ARRAY(BigInteger)))).order_by(r.c.id)
        .with_for_update(key_share=True).subquery()))
    connection.execute(locked, {"ids": sorted(set(records))})


def sent_to(plan: IntoPlan, s: FromClause) -> LateralFromClause:
    """For each row of `s` what was `sent` to it by any feed, and not read again by that one."""
    x = plan.crosswalk.alias("sent_entries")
    each = func.unnest(x.c.sent).table_valued(column_of("item", Text), name="each_sent").render_derived()
    return (
        select(func.array_agg(each.c.item, type_=ARRAY(Text)).label("sent")).select_from(x.join(each, true()))
        .where(x.c.id_space == plan.id_space, x.c.key == s.c.key).correlate(s).lateral("sent_there")
    )
