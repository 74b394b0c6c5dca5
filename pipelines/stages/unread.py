"""What is to be sent of rows that nobody has read again, decided as if they were as when they were last applied.

The system refuses such a write where the row has changed since: it compares what is written over, or the version that
the caller knows. Resolve's table has one line less here: r is what the remote had at the last agreement, so nothing
comes in and nobody can have won or lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ARRAY,
    CTE,
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Subquery,
    Text,
    and_,
    any_,
    bindparam,
    cast,
    exists,
    false,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    true,
    update,
)
from sqlalchemy import column as column_of
from sqlalchemy.sql.dml import ReturningUpdate

from crm_store import hub_tables as hub
from mappings.codecs.columns import field_columns
from pipelines.stages.images import image_of
from pipelines.stages.plan import IntoPlan
from pipelines.stages.resolve import decide_field, pending_of
from pipelines.stages.sending import RECORDS
from pipelines.stages.staging import by_record


@dataclass(frozen=True)
class Entry:
    """A row under which the system knows a record. `sure`: its base tells by itself what is to be sent; `pending`: what
    is, by the base; `images`: the columns of the record as the system had them at the last agreement."""

    record_id: int
    key: str
    sure: bool
    pending: tuple[str, ...]
    images: Mapping[str, Any]


def settle_unread(connection: Connection, plan: IntoPlan, records: Sequence[int], beside: frozenset[str]
                  ) -> list[Entry]:
    """Notes what is pending of these records, should their rows be as they were; all entries that they have, the
    primary ones first. `beside`: columns that change without a new version of the row.

    An entry is not sure where its row must be read first: a field without a base, an open conflict, something that was
    pending already (for an edit there, which the base does not know) or that was sent and not read again, something
    that would be taken from the row, a link to be sent, a column of `beside`, a row that is to be ended there, an entry
    of another feed.
    """
    statement = plan.once(("unread", beside), lambda: _settled(plan, beside))
    return [
        Entry(record_id, key, sure, tuple(pending or ()), dict(zip(_columns(plan), images, strict=True)))
        for record_id, key, sure, pending, *images in connection.execute(statement, {"records": list(records)})
    ]


def settle_untaken(connection: Connection, plan: IntoPlan, run_id: int, keys: Sequence[str]) -> dict[str, Entry]:
    """Notes what is pending of the entries (by key) whose rows the run has read and not applied, by their base; a field
    without one counts as blank there. Whether the row is so still in these fields is for the caller to see."""
    x = plan.crosswalk
    mine = and_(x.c.id_space == plan.id_space, x.c.feed == plan.feed,
                x.c.key == any_(bindparam("keys", type_=ARRAY(Text))),
                x.c.run_id.is_distinct_from(bindparam("run", type_=BigInteger)))
    statement = plan.once("untaken", lambda: _untaken(plan, mine))
    return {
        key: Entry(record_id, key, False, tuple(pending or ()), dict(zip(_columns(plan), images, strict=True)))
        for record_id, key, pending, *images in connection.execute(statement, {"keys": list(keys), "run": run_id})
    }


def strangers(connection: Connection, plan: IntoPlan, keys: Sequence[str]) -> set[str]:
    """Those of the keys whose rows are held, and that have no entry of the feed."""
    x, held = plan.crosswalk, hub.held
    known = exists().where(x.c.id_space == plan.id_space, x.c.feed == plan.feed, x.c.key == held.c.key)
    return set(connection.scalars(select(held.c.key).where(
        held.c.feed == plan.feed, held.c.state == literal_column("'open'"), held.c.key.in_(keys), ~known)))


def pending_by_base(plan: IntoPlan, mine: ColumnElement[bool]) -> Select[Any]:
    """record_id, key and pending of these entries of the feed, as `settle_untaken` would have it."""
    v = _verdicts(plan, frozenset(), _sides(plan, mine, whole=False))
    return select(v.c.record_id, v.c.key, pending_of(plan, v).label("pending"))


def _untaken(plan: IntoPlan, mine: ColumnElement[bool]) -> Select[Any]:
    x, v = plan.crosswalk, _verdicts(plan, frozenset(), _sides(plan, mine, whole=False))
    noted = (
        update(x).where(x.c.id_space == plan.id_space, x.c.feed == plan.feed, x.c.key == v.c.key)
        .values(pending=pending_of(plan, v)).returning(x.c.key).cte("noted")
    )
    images = [v.c[f"i_{column}"] for column in _columns(plan)]
    return select(v.c.record_id, v.c.key, pending_of(plan, v), *images).add_cte(noted)


def _columns(plan: IntoPlan) -> list[str]:
    return [column for field in plan.fields for column in field.columns]


def settled_keys(connection: Connection, plan: IntoPlan, prints: Mapping[str, int]) -> set[str]:
    """The keys of those rows (by their fingerprints) that were applied, and left nothing for anybody to decide."""
    x = plan.crosswalk
    # Each key is looked up: joined, many keys make the planner read the whole id space.
    query = plan.once("settled", lambda: select(x.c.key, x.c.fingerprint).where(
        x.c.id_space == plan.id_space, x.c.feed == plan.feed, x.c.key == any_(bindparam("keys", type_=ARRAY(Text)))))
    return {key for key, print in connection.execute(query, {"keys": list(prints)}) if print == prints[key]}


@dataclass(frozen=True)
class ReadBack:
    """A row that was read again after it was written: its record, its fingerprint and its order mark."""

    record_id: int
    print: int
    mark: int | None


def settle_read_back(connection: Connection, plan: IntoPlan, rows: Mapping[str, ReadBack]) -> set[str]:
    """Rows (by key) that were read back, exactly as they had to be, are the ones last applied; returns the keys of
    those that are so by now.

    Not where the record differs from what was agreed on, whoever changed it and when, nor where an open conflict or a
    held row of the key is left: a run has to look at these. The record is locked, so that whoever is changing it is
    waited for, and whoever changes it next finds the fingerprint, and takes it away.
    """
    settled = plan.once("read back", lambda: _read_back(plan))
    every = rows.values()
    return set(connection.scalars(settled, {
        "keys": list(rows), "prints": [row.print for row in every], "marks": [row.mark for row in every],
        "records": [row.record_id for row in every],
    }))


def _read_back(plan: IntoPlan) -> ReturningUpdate[Any]:
    x, c, held = plan.crosswalk, plan.record, hub.held
    ours = select(c).where(c.c.id == any_(RECORDS)).order_by(c.c.id).with_for_update(read=True).cte("ours")
    keys, numbers = bindparam("keys", type_=ARRAY(Text)), ARRAY(BigInteger)
    said = func.unnest(keys, bindparam("prints", type_=numbers), bindparam("marks", type_=numbers)).table_valued(
        "key", column_of("print", BigInteger), column_of("mark", BigInteger)).render_derived(name="said")
    agreed = [(ours.c.archived_at.is_not(None) if column == "archived" else ours.c[column]).is_not_distinct_from(
        x.c[f"b_{column}"]) for column in _columns(plan)]
    # Written out, since the index on what is open serves no parameter; read once, not for each row.
    refused = select(held.c.key).where(held.c.feed == plan.feed, held.c.state == literal_column("'open'"),
                                       held.c.key.is_not(None))
    return (
        update(x).where(x.c.id_space == plan.id_space, x.c.feed == plan.feed, x.c.key == said.c.key,
                        x.c.record_id == ours.c.id, x.c.base_set == plan.base_set, x.c.pending.is_(None),
                        x.c.absent_since.is_(None), ~_disputed(plan), x.c.key.not_in(refused), *agreed)
        .values(fingerprint=said.c.print, mark=said.c.mark, sent=null()).returning(x.c.key)
    )


def _disputed(plan: IntoPlan) -> ColumnElement[bool]:
    """Whether the feed has an open conflict about the record of the entry."""
    x, conflict = plan.crosswalk, hub.conflict
    return exists().where(conflict.c.entity == plan.into.entity, conflict.c.record_id == x.c.record_id,
                          conflict.c.feed == plan.feed, conflict.c.state == "open")


def _settled(plan: IntoPlan, beside: frozenset[str]) -> Select[Any]:
    x = plan.crosswalk
    asked = and_(x.c.record_id == any_(RECORDS), by_record(x.c.id_space, plan.id_space), by_record(x.c.feed, plan.feed))
    v = _verdicts(plan, beside, _sides(plan, asked, whole=True))
    noted = (
        update(x).where(x.c.id_space == plan.id_space, x.c.feed == plan.feed, x.c.key == v.c.key, v.c.sure,
                        x.c.pending.is_distinct_from(pending_of(plan, v)))
        .values(pending=pending_of(plan, v)).returning(x.c.key).cte("noted")
    )
    mine = and_(v.c.key == x.c.key, x.c.feed == plan.feed)
    return (
        select(x.c.record_id, x.c.key, func.coalesce(v.c.sure, false()), pending_of(plan, v),
               *[v.c[f"i_{column}"] for column in _columns(plan)])
        .add_cte(noted).select_from(x.outerjoin(v, mine))
        .where(x.c.record_id == any_(RECORDS), by_record(x.c.id_space, plan.id_space))
        .order_by(x.c.record_id, x.c.is_primary.desc(), x.c.key)
    )


def _verdicts(plan: IntoPlan, beside: frozenset[str], sides: Subquery) -> CTE:
    """Each entry of `sides`: key, record_id, i_<column> (what the remote had), s_<field> (is it to be sent?), sure."""
    doubts: list[ColumnElement[bool]] = []
    decided: list[ColumnElement[Any]] = []
    for field in plan.fields:
        (take, winner, send), _ = decide_field(plan, field, sides)
        send = func.coalesce(send, false())
        doubts += [func.coalesce(take, false()), winner.is_not(None)]
        if field.reference is not None or not beside.isdisjoint(map(str, field_columns(field.map))):
            doubts.append(send)
        decided.append(send.label(f"s_{field.name}"))
    sure = and_(sides.c.settled, ~or_(false(), *doubts))
    images = [sides.c[f"i_{column}"] for column in _columns(plan)]
    return select(sides.c.key, sides.c.record_id, func.coalesce(sure, false()).label("sure"), *images, *decided
                  ).cte("verdicts")


def _sides(plan: IntoPlan, mine: ColumnElement[bool], *, whole: bool) -> Subquery:
    """The entries that are `mine`, as resolve has them (c, r, b and i), r being i. `whole`: only those with a base for
    every field are of interest."""
    x, c, base = plan.crosswalk, plan.record, hub.field_set
    columns: list[ColumnElement[Any]] = []
    for field in plan.fields:
        known = true() if whole else func.coalesce(literal(field.name, Text) == any_(base.c.fields), false())
        columns += [known.label(f"k_{field.name}"), false().label(f"e_{field.name}"), false().label(f"p_{field.name}")]
        for column in field.columns:
            agreed = x.c[f"b_{column}"]
            ours = c.c.archived_at.is_not(None) if column == "archived" else c.c[column]
            there = image_of(x, column, agreed)
            columns += [ours.label(f"c_{column}"), there.label(f"r_{column}"), agreed.label(f"b_{column}"),
                        there.label(f"i_{column}")]
    entries = x.join(c, c.c.id == x.c.record_id)
    ended = c.c.archived_at.is_not(None) if plan.ends else false()
    settled = and_(x.c.base_set == plan.base_set, x.c.pending.is_(None), x.c.sent.is_(None),
                   x.c.absent_since.is_(None), ~_disputed(plan), ~ended)
    return (
        select(x.c.key, x.c.record_id, c.c.type.label("record_type"),
               literal("entry").label("class"), cast(null(), BigInteger).label("stamp"),
               (~x.c.is_primary).label("alias"), settled.label("settled"), *columns)
        .select_from(entries if whole else entries.outerjoin(base, base.c.id == x.c.base_set))
        .where(mine)
        .offset(0).subquery("sides")
    )
