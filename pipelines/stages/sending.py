"""What is sent: the pending fields of linked records, and records that the system does not have yet, as raw cells.

Reads the store and writes nothing. Values are read typed (they become the base once the system has taken them) and
encoded by the codecs that read them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pyarrow as pa
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Connection,
    Result,
    Select,
    Text,
    and_,
    any_,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, array
from sqlalchemy.sql.selectable import FromClause

from connectors.remote import NOT_ABLE, Capabilities, Operation
from crm_store import hub_tables as hub
from mappings.codecs.cells import TEXT
from mappings.codecs.columns import field_columns
from mappings.codecs.conversion import HOLDS
from mappings.codecs.encode import encode_field
from mappings.codecs.into import cell_spec
from mappings.codecs.keys import parts_of
from mappings.codecs.lists import LIST
from mappings.codecs.reading import arrow_type
from mappings.codecs.values import Codes
from mappings.codecs.way_out import one_way, way_out
from mappings.language.entity import FieldSpec
from mappings.language.strict import Column
from mappings.language.write import RecordsAre, Write
from pipelines.stages.plan import FieldPlan, IntoPlan, Reference
from pipelines.stages.staging import by_record

RECORDS = bindparam("records", type_=ARRAY(BigInteger))


@dataclass
class Send:
    """One write that is to be made. `values` are the record's columns as they were read, `cells` what is written."""

    record_id: int
    operation: Operation
    key: str | None
    fields: tuple[str, ...]
    values: Mapping[str, Any]
    known: tuple[str, ...] = ()  # fields that had a base before
    back: bool = False  # the row was archived there since its record was here, which no longer is
    cells: dict[str, str] = field(default_factory=dict)
    version: str | None = None  # of the row that the write was decided on
    unset: frozenset[str] = frozenset()  # columns of the row for which the record had nothing at the last agreement
    expected: Mapping[str, str] | None = None  # the row's own cells that the write takes the place of
    images: Mapping[str, Any] | None = None  # the record's columns as the system had them, where all are known
    exact: bool = False  # the row came back exactly as it had to
    fault: dict[str, Any] | None = None  # why it cannot be sent: code and params
    held_back: dict[str, Any] | None = None  # why some of what is pending is not among the fields yet


def keys_known(connection: Connection, plan: IntoPlan, records: Sequence[int]) -> dict[int, list[str]]:
    """The keys under which the system knows these records, the primary one first."""
    x = plan.crosswalk
    query = plan.once("keys known", lambda: (
        select(x.c.record_id, x.c.key).where(x.c.record_id == any_(RECORDS), by_record(x.c.id_space, plan.id_space))
        .group_by(x.c.record_id, x.c.key).order_by(func.bool_or(x.c.is_primary).desc(), x.c.key)
    ))
    rows = connection.execute(query, {"records": list(records)})
    found: dict[int, list[str]] = {}
    for record_id, key in rows:
        found.setdefault(record_id, []).append(key)
    return found


def as_json(value: Any) -> Any:
    """A value of a record as JSON holds what PostgreSQL casts back."""
    return value if isinstance(value, str | bool | int | list | None) else str(value)


def updates(connection: Connection, plan: IntoPlan, write: Write, records: Sequence[int]) -> list[Send]:
    """What is pending of linked records; and their end, or their way back, where they were archived here or no longer
    are and the flow says so."""
    x = plan.crosswalk
    mine = and_(by_record(x.c.feed, plan.feed), by_record(x.c.id_space, plan.id_space), x.c.record_id == any_(RECORDS))
    query = plan.once(("updates", repr(write)), lambda: update_rows(
        plan, write, select(x.c.record_id, x.c.key, x.c.pending).where(mine)))
    return _updates_in(connection.execute(query, {"records": list(records)}), write)


def updates_of(connection: Connection, plan: IntoPlan, write: Write, found: Select[Any], limit: int | None = None
               ) -> list[Send]:
    """`updates` for rows of `found` (record_id, key, pending), whose entries need not be there yet."""
    return _updates_in(connection.execute(update_rows(plan, write, found).limit(limit)), write)


def update_rows(plan: IntoPlan, write: Write, found: Select[Any] | CompoundSelect[Any]) -> Select[Any]:
    """Those of `found` (record_id, key, pending) of which something is written: the record's columns, and beside them
    #id, #key, #pending, #known, #ended, #back and #unset."""
    x, r, f = plan.crosswalk, plan.record, found.subquery("found")
    known = select(hub.field_set.c.fields).where(hub.field_set.c.id == x.c.base_set).scalar_subquery()
    ended: ColumnElement[bool] = literal(False)
    back: ColumnElement[bool] = literal(False)
    if plan.ends:
        ended = and_(r.c.archived_at.is_not(None), x.c.absent_since.is_(None))
        back = func.coalesce(brought_back(plan, x, r), False)
    sent = [item for item in plan.fields if item.sent]
    unset = [case((x.c[f"b_{item.columns[0]}"].is_(None), literal(str(column), Text)))
             for item in sent for column in field_columns(item.map)]
    return values_of(plan, sent).add_columns(
        f.c.key.label("#key"), f.c.pending.label("#pending"), known.label("#known"), ended.label("#ended"),
        back.label("#back"), cast(array(unset), ARRAY(Text)).label("#unset"),
    ).join(f, f.c.record_id == r.c.id).outerjoin(
        x, and_(x.c.key == f.c.key, x.c.feed == plan.feed, x.c.id_space == plan.id_space)
    ).where(or_(f.c.pending.is_not(None), ended, back), allowed(plan, write)).order_by(r.c.id, f.c.key)


def _updates_in(rows: Result[Any], write: Write) -> list[Send]:
    sends: list[Send] = []
    for row in rows.mappings():
        end: Operation | None = None if not row["#ended"] else "delete" if write.archived == "delete" else "archive"
        fields = () if end == "delete" else tuple(row["#pending"] or ())  # what is edited and archived goes out in one
        sends.append(Send(row["#id"], end or "update", row["#key"], fields, dict(row), tuple(row["#known"] or ()),
                          row["#back"], unset=frozenset(row["#unset"]) - {None}))
    return sends


def brought_back(plan: IntoPlan, x: FromClause, r: FromClause) -> ColumnElement[bool]:
    """The row of the entry `x` was archived there since its record `r` was here, which is so no longer. A row that was
    only absent, and stayed linked, is none of these: its record was never brought back."""
    if plan.ends != "archive":
        return literal(False)
    line = hub.journal
    again = exists().where(line.c.record_id == r.c.id, func.jsonb_exists(line.c.new, "archived_at"),
                           line.c.new["archived_at"].astext.is_(None))
    return and_(x.c.absent_since.is_not(None), r.c.archived_at.is_(None), again)


def creates(connection: Connection, plan: IntoPlan, write: Write, records: Sequence[int]) -> list[Send]:
    """Records that the system does not know, and that may be made there. One that a held row may be gets a fault: made
    now, it would be there twice."""
    if not write.create:
        return []
    written = [item for item in plan.fields if item.map.out is not False and one_way(way_out(item.map)) is None]
    query = plan.once(("creates", repr(write)), lambda: _create_rows(plan, write, written))
    names = tuple(item.name for item in written)
    rows = connection.execute(query, {"records": list(records)}).mappings()
    return [Send(row["#id"], "create", None, names, dict(row),
                 fault=None if row["#row"] is None else {"code": "may_be_there", "row": row["#row"]}) for row in rows]


def _create_rows(plan: IntoPlan, write: Write, written: Sequence[FieldPlan]) -> Select[Any]:
    r, named = plan.record, named_by_held(plan)
    return (
        values_of(plan, written).add_columns(named.c.row.label("#row")).outerjoin(named, named.c.record == r.c.id)
        .where(r.c.id == any_(RECORDS), unknown_there(plan, write)).order_by(r.c.id)
    )


def named_by_held(plan: IntoPlan) -> FromClause:
    """Records that open held rows of the plan's ids fit, and the first of these rows: one that is in review or waits
    may be any of the records that it fits."""
    held, feed = hub.held, hub.feed
    # The state is no parameter: a plan that is made for every value of it could not tell the index.
    mine = and_(feed.c.id_space == plan.id_space, held.c.state == literal_column("'open'"))
    each = select(func.unnest(held.c.candidates).label("record"), held.c.id).join_from(
        feed, held, held.c.feed == feed.c.id).where(mine).subquery("each")
    return select(each.c.record, func.min(each.c.id).label("row")).group_by(each.c.record).subquery("named")


def unknown_there(plan: IntoPlan, write: Write) -> ColumnElement[bool]:
    """The record is one that a flow which makes new rows would make there."""
    x, r = plan.crosswalk, plan.record
    known = exists().where(x.c.record_id == r.c.id, by_record(x.c.id_space, plan.id_space))
    return and_(r.c.archived_at.is_(None), ~known, allowed(plan, write))


def values_of(plan: IntoPlan, fields: Sequence[FieldPlan]) -> Select[Any]:
    """For each record its id (`#id`), its columns by name, and the keys of its links (`@NAME`)."""
    r = plan.record
    columns: list[ColumnElement[Any]] = [r.c.id.label("#id")]
    source: FromClause = r
    for item in fields:
        for column in item.columns:
            columns.append((r.c.archived_at.is_not(None) if column == "archived" else r.c[column]).label(column))
        if item.reference is not None:
            columns.append(_link_key(plan, item.reference).label(f"@{item.name}"))
    return select(*columns).select_from(source)


def _link_key(plan: IntoPlan, reference: Reference) -> ColumnElement[Any]:
    """The external key (or field) of what a link leads to, in the system's own id spaces; an array for sets."""
    r = plan.record
    if not reference.many:
        return _named(plan, reference, r.c[reference.column]).scalar_subquery()
    each = func.unnest(r.c[reference.column]).table_valued("id", name=f"each_{reference.column}").render_derived()
    one = _named(plan, reference, each.c.id).correlate(each).scalar_subquery()
    return select(cast(func.array_agg(one), ARRAY(Text))).select_from(each).correlate(r).scalar_subquery()


def _named(plan: IntoPlan, reference: Reference, record_id: ColumnElement[Any]) -> Select[Any]:
    """What one record is called by in a link to it."""
    if reference.by is not None:
        target = plan.records[reference.entity].alias(f"to_{reference.column}")
        value = target.c[reference.by]
        return select(cast(value, Text) if reference.by == "id" else value).where(target.c.id == record_id)
    target = plan.crosswalks[reference.entity].alias(f"to_{reference.column}")
    return (
        select(target.c.key).where(target.c.record_id == record_id, target.c.id_space.in_(reference.spaces or (-1,)))
        .order_by(target.c.is_primary.desc(), target.c.id_space, target.c.key).limit(1)
    )


def allowed(plan: IntoPlan, write: Write) -> ColumnElement[bool]:
    """The record is one of those that `write.when` names."""
    r = plan.record
    asked: list[ColumnElement[bool]] = [true()]
    for path, condition in write.when.items():
        name, _, rest = path.partition(".")
        value: ColumnElement[Any] = r.c.archived_at.is_not(None) if name == "archived" else r.c[name]
        if rest:
            spec = plan.specs(plan.into.entity, name)
            target = plan.records[spec.to].alias(f"when_{name}")
            value = select(target.c[rest]).where(target.c.id == r.c[name]).scalar_subquery()
        said = condition.not_ if isinstance(condition, RecordsAre) else condition
        among = or_(*[value.is_(None) if word is None else cast(value, Text) == _text(word) for word in said])
        asked.append(~func.coalesce(among, False) if isinstance(condition, RecordsAre) else func.coalesce(among, False))
    return and_(*asked)


def _text(word: Any) -> str:
    return str(word).lower() if isinstance(word, bool) else str(word)


# -- encoding -----------------------------------------------------------------------------------------------------


def encode(plan: IntoPlan, sends: Sequence[Send], codes: Codes) -> None:
    """Fills the cells of every send; one that cannot be written gets a fault instead."""
    sends = [send for send in sends if send.fault is None]
    for item in plan.fields:
        mine = [send for send in sends if item.name in send.fields]
        if not mine:
            continue
        if item.reference is not None and (waiting := [send for send in mine if _unlinked(item, send.values)]):
            for send in waiting:
                send.fault = {"code": "link_unknown", "field": item.name, "entity": item.reference.entity}
            mine = [send for send in mine if send.fault is None]
        spec = spec_of(plan, item)
        written, refusals = encode_field(item.name, item.map, spec, arrays_of(item, spec, partial(_column, mine)),
                                         codes=codes)
        _fill(item, mine, written)
        for refusal in refusals:
            for place, send in enumerate(mine):
                if refusal.where[place]:
                    send.fault = {"code": refusal.code, "field": item.name, **refusal.params}


def refuse_unable(sends: Sequence[Send], can: Capabilities) -> None:
    """A fault for each send that the system cannot do."""
    for send in sends:
        if send.fault is None and not getattr(can, send.operation):
            send.fault = {"code": NOT_ABLE, "operation": send.operation}


def spec_of(plan: IntoPlan, item: FieldPlan) -> FieldSpec:
    """What is written of a mapped field: as it is declared, and of a link by a field what that field holds."""
    declared = plan.specs(plan.into.entity, item.name) if item.name != "archived" else FieldSpec(type="boolean")
    return cell_spec(item.map, declared, plan.entities)


def _fill(item: FieldPlan, sends: Sequence[Send], written: Mapping[Column, Any]) -> None:
    for column, cells in written.items():
        for send, cell in zip(sends, cells.to_pylist(), strict=True):
            if cell is None:
                shown = send.values[f"@{item.name}" if item.reference is not None else item.name]
                send.fault = {"code": "not_writable", "field": item.name, "value": str(shown)}
            else:
                send.cells[str(column)] = cell
    for send in sends:
        if send.operation == "create" and not any(send.cells.get(str(column)) for column in written):
            # Nothing is said of it, so the new row begins with its system's default, which is news for us.
            send.fields = tuple(name for name in send.fields if name != item.name)


def _unlinked(item: FieldPlan, values: Mapping[str, Any]) -> bool:
    """The record links to one that the system does not know yet."""
    assert item.reference is not None
    linked, keys = values[item.name], values[f"@{item.name}"]
    if item.reference.many:
        return bool(linked) and (keys is None or any(key is None for key in keys))
    return linked is not None and keys is None


def _column(sends: Sequence[Send], name: str) -> list[Any]:
    return [send.values[name] for send in sends]


def arrays_of(item: FieldPlan, spec: FieldSpec, column: Callable[[str], Sequence[Any]]) -> dict[str, Any]:
    """The record's columns as arrow arrays, as the codecs give them; `column` gives those of `values_of`."""
    main = column(item.name if item.reference is None else f"@{item.name}")
    if spec.type in ("choices", "links"):
        return {item.name: pa.array(main, LIST)}
    if spec.type == "link":
        return {item.name: pa.array(main, TEXT)}
    arrays = {item.name: pa.array(main, arrow_type(HOLDS[spec.type], spec.scale))}
    for name in item.columns[1:]:
        arrays[name] = pa.array(column(name), TEXT)
    return arrays


def remote_key(key: str) -> tuple[str, ...]:
    """The parts of a crosswalk key, as the system has them."""
    return tuple(parts_of(key))



