"""Agree: what a system has taken becomes the base of its crosswalk entry; set-based, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    Boolean,
    Connection,
    FromClause,
    Insert,
    Integer,
    TableValuedAlias,
    Text,
    Update,
    all_,
    any_,
    bindparam,
    case,
    cast,
    column,
    delete,
    exists,
    func,
    literal,
    null,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, array
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.types import BigInteger

from pipelines.stages.plan import IntoPlan, field_set
from pipelines.stages.sending import Send, as_json
from pipelines.stages.siblings import lock_records, share
from pipelines.stages.staging import staged_type


def agree_on(connection: Connection, plan: IntoPlan, sends: Sequence[Send], run_id: int | None = None) -> None:
    """Updates and ends that were delivered: the base of the sent fields is what was sent, and nothing of it is pending.

    The remote image of these fields is what we sent until the row was read again, whoever reads it; no fingerprint, so
    that it will be. Of a row that came back exactly as it had to, it is so already. `run_id`: the push that wrote: what
    an older run holds of the row is no news any more.
    """
    if not sends:
        return
    rows = _rows(connection, plan, sends) | {"run": run_id}
    if plan.shared_space:
        lock_records(connection, plan, [send.record_id for send in sends])
        connection.execute(plan.once("share", lambda: _shared(plan)), rows)
    connection.execute(plan.once("agree", lambda: _agreed(plan)), rows)
    if any(send.operation == "delete" for send in sends):
        x, t = plan.crosswalk, _sent(plan)
        gone_there = select(t.c.key).where(t.c.deleted)
        connection.execute(
            delete(x).where(x.c.id_space == plan.id_space, x.c.feed.in_((plan.feed, *plan.followers)),
                            x.c.key.in_(gone_there)), rows
        )


def _agreed(plan: IntoPlan) -> Update:
    x, t = plan.crosswalk, _sent(plan)
    values: dict[str, Any] = {
        "fingerprint": null(), "base_set": t.c.base_set,
        "run_id": func.coalesce(bindparam("run", type_=BigInteger), x.c.run_id),
        "pending": _less(x, t), "sent": case((t.c.exact, x.c.sent), else_=_more(x, t)),
        "absent_since": case((t.c.ended, func.now()), (~t.c.back, x.c.absent_since)),
    }
    names: list[Any] = []
    for item in plan.fields:
        for name in item.columns:
            sent = literal(item.name, Text) == any_(t.c.fields)
            values[f"b_{name}"] = case((sent, t.c[f"v_{name}"]), else_=x.c[f"b_{name}"])
            names.append(case((sent, literal(name, Text))))
    if names:
        gone = func.array_remove(array(names), null())
        values["remote"] = func.nullif(x.c.remote.op("-")(gone), func.jsonb_build_object())
    return update(x).where(x.c.id_space == plan.id_space, x.c.feed == plan.feed, x.c.key == t.c.key).values(values)


def _shared(plan: IntoPlan) -> Update:
    t = _sent(plan)
    return share(plan, t, t.c.key, t.c.fields, "v_", cast(null(), JSONB))


def link_made(connection: Connection, plan: IntoPlan, sends: Sequence[Send]) -> None:
    """Records that the system has made: an entry under the key it gave, with what was sent as the base."""
    if not sends:
        return
    connection.execute(plan.once("link made", lambda: _made(plan)), _rows(connection, plan, sends))


def _made(plan: IntoPlan) -> Insert:
    x, t = plan.crosswalk, _sent(plan)
    other = x.alias("other")
    values: dict[str, Any] = {
        "id_space": literal(plan.id_space), "key": t.c.key, "feed": literal(plan.feed), "record_id": t.c.record_id,
        "is_primary": ~exists().where(other.c.record_id == t.c.record_id, other.c.id_space == plan.id_space,
                                      other.c.is_primary),
        "base_set": t.c.base_set, "sent": t.c.fields,
    }
    for item in plan.fields:
        for name in item.columns:
            values[f"b_{name}"] = t.c[f"v_{name}"]
    rows = select(*values.values())
    return upsert(x).from_select(list(values), rows).on_conflict_do_nothing()


def link_found(connection: Connection, plan: IntoPlan, record_id: int, key: str) -> None:
    """A row that was found to be one we had made: an entry without a base, which its next reading decides on."""
    nothing = field_set(connection, plan.into.entity, [])
    other = plan.crosswalk.alias("other")
    first = ~exists().where(other.c.record_id == record_id, other.c.id_space == plan.id_space, other.c.is_primary)
    connection.execute(
        upsert(plan.crosswalk).values(id_space=plan.id_space, key=key, feed=plan.feed, record_id=record_id,
                                      is_primary=first, base_set=nothing).on_conflict_do_nothing()
    )


def _less(x: FromClause, t: FromClause) -> Any:
    """What is pending still; null for nothing."""
    each = func.unnest(x.c.pending).table_valued("item", name="each").render_derived()
    rest = select(func.array_agg(each.c.item)).select_from(each).where(each.c.item != all_(t.c.fields))
    return rest.correlate(x, t).scalar_subquery()


def _more(x: FromClause, t: FromClause) -> Any:
    """What was sent and not read again yet; null for nothing."""
    each = func.unnest(func.array_cat(x.c.sent, t.c.fields)).table_valued("item", name="each_sent").render_derived()
    return select(func.array_agg(each.c.item.distinct())).select_from(each).correlate(x, t).scalar_subquery()


def _rows(connection: Connection, plan: IntoPlan, sends: Sequence[Send]) -> dict[str, Any]:
    """The sends as the parameter of `_sent`."""
    every = [name for item in plan.fields for name in item.columns]
    sets: dict[frozenset[str], int] = {}
    mapped = frozenset(item.name for item in plan.fields)
    rows = []
    for send in sends:
        known = frozenset({*send.known, *send.fields})
        if send.operation == "create":
            known = frozenset(send.fields)
        if known == mapped:
            sets[known] = plan.base_set
        elif known not in sets:
            sets[known] = field_set(connection, plan.into.entity, sorted(known))
        rows.append({
            "key": send.key, "record_id": send.record_id, "fields": list(send.fields), "base_set": sets[known],
            "ended": send.operation == "archive", "deleted": send.operation == "delete", "exact": send.exact,
            "back": send.back,
            **{f"v_{name}": as_json(send.values.get(name)) for name in every},
        })
    return {"sends": rows}


def _sent(plan: IntoPlan) -> TableValuedAlias:
    """The sends as rows: key, record_id, fields, base_set, ended, deleted, exact, back, v_<column> as read."""
    columns: list[Any] = [
        column("key", Text), column("record_id", BigInteger), column("fields", ARRAY(Text)),
        column("base_set", Integer), column("ended", Boolean), column("deleted", Boolean), column("exact", Boolean),
        column("back", Boolean),
    ]
    columns += [column(f"v_{name}", staged_type(plan, name).type) for item in plan.fields for name in item.columns]
    said = func.jsonb_to_recordset(bindparam("sends", type_=JSONB)).table_valued(*columns, name="said")
    return said.render_derived(with_types=True)
