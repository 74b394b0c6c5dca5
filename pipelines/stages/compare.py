"""Compare: a run that has landed every row of a system, against the CRM; each difference with its cause, in one table.

::

    of rows       only_there     not linked to any record        held      cannot be read, or waits for a person
                  not_linked     fits a record by a match rule   gone_there     linked, and gone from the system
                  never_sent     may be made there, and is not   superseded     another row of its key counts
    of fields     conflict       both sides changed              refused, unclear   sent, and not taken or not known
                  not_agreed     no base yet                     newer_there        changed there, not read yet
                  drift          changed here against a lock     pending            changed here, not sent yet
                  override       kept here, `lock: false`        stored_otherwise   cut or reformatted when it was sent
                  other_row      of another row of the record    left_out           changed here, not named by `when`
                  not_sent       another value here, and not sent

The first that holds is told. Deciding is resolve's: what a run would take, and what it would send.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    MetaData,
    Select,
    Table,
    Text,
    and_,
    any_,
    case,
    cast,
    exists,
    false,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    true,
    values,
)
from sqlalchemy import column as item
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.schema import CreateTable, DropTable
from sqlalchemy.sql.selectable import FromClause

from crm_store import hub_tables as hub
from mappings.language.write import Write
from pipelines.stages.absent import absent_entries
from pipelines.stages.images import other_row_says
from pipelines.stages.plan import FieldPlan, IntoPlan, Role
from pipelines.stages.resolve import distinct, verdicts
from pipelines.stages.sending import allowed, brought_back, unknown_there
from pipelines.stages.staging import IntoStaging, index_lookups
from pipelines.stages.unread import pending_by_base

Cause = Literal[
    "only_there", "not_linked", "held", "superseded", "gone_there", "never_sent", "conflict", "refused", "unclear",
    "not_agreed", "newer_there", "drift", "pending", "override", "other_row", "stored_otherwise", "left_out",
    "not_sent",
]
SETTLED: tuple[Cause, ...] = ("override", "other_row", "stored_otherwise", "left_out")
"""Differences that are known, and stay."""

_NAMES = ("into", "feed", "cause", "key", "record_id", "field", "here", "there", "base", "why", "take", "send")
_INSTEAD = ("conflict", "unclear")  # a person decides: nothing is queued


def make_differences(connection: Connection) -> Table:
    """The table of differences, gone with the transaction. `take`, `send`: what the masters allow to be done."""
    table = Table(
        "differences", MetaData(), Column("into", Text), Column("feed", BigInteger), Column("cause", Text),
        Column("key", Text), Column("record_id", BigInteger), Column("field", Text), Column("here", JSONB),
        Column("there", JSONB), Column("base", JSONB), Column("why", JSONB), Column("take", Boolean),
        Column("send", Boolean), prefixes=["TEMPORARY"], postgresql_on_commit="DROP", schema="pg_temp",
    )
    connection.execute(DropTable(table, if_exists=True))
    connection.execute(CreateTable(table))
    return table


def compare(connection: Connection, plan: IntoPlan, staging: IntoStaging, write: Write, table: Table, *,
            whole: bool) -> None:
    """Fills `table` with the differences of one into. `whole`: every key could be read, so what is absent is gone."""
    found = [_rows(plan, staging), _unread(plan, staging, write)]
    with index_lookups(connection):
        if plan.fields:
            connection.execute(insert(table).from_select(list(_NAMES), _fields(plan, staging, write)))
    if plan.ends:
        found += [_ended(plan, staging, write), _brought_back(plan, staging, write)]
    if whole:
        found.append(_gone(plan, staging))
    if plan.writes and write.create:
        found.append(_never_sent(plan, staging, write))
    for query in found:
        connection.execute(insert(table).from_select(list(_NAMES), query))


def takeable(table: Table, feed: int) -> Select[Any]:
    """The keys of rows of which a run would take something in."""
    return select(table.c.key).where(table.c.feed == feed, table.c.take, table.c.cause.not_in(_INSTEAD))


def sendable(table: Table, feed: int) -> Select[Any]:
    """The records of which a push would send something."""
    return select(table.c.record_id).where(table.c.feed == feed, table.c.send, table.c.cause.not_in(_INSTEAD))


def _line(plan: IntoPlan, **said: Any) -> Select[Any]:
    """One difference; what is not said is null."""
    given: dict[str, Any] = {"into": literal(plan.label), "feed": literal(plan.feed), "take": false(), "send": false()}
    types = {"record_id": BigInteger, "here": JSONB, "there": JSONB, "base": JSONB, "why": JSONB}
    whole = {name: cast(null(), types.get(name, Text)) for name in _NAMES} | given | said
    return select(*[value.label(name) for name, value in whole.items()])


def _rows(plan: IntoPlan, staging: IntoStaging) -> Select[Any]:
    """Rows that are no record's yet."""
    s, fate = staging.rows, staging.fate
    itself = and_(fate.c["class"] == "parked", literal(not plan.into.create), fate.c.field.is_(None))
    cause = case((or_(fate.c["class"] == "new", itself), "only_there"), (fate.c["class"] == "link", "not_linked"),
                 (fate.c["class"] == "superseded", "superseded"), else_="held")
    why = case((cause == "held", func.jsonb_build_object(
        "code", func.coalesce(fate.c.code, fate.c["class"]), "field", fate.c.field
    ).op("||")(func.coalesce(fate.c.params, func.jsonb_build_object()))))
    return _line(plan, cause=cause, key=s.c.key, record_id=fate.c.record_id, why=why,
                 take=cause.not_in(["held", "superseded"])).join_from(
        s, fate, fate.c.row_no == s.c.row_no
    ).where(fate.c["class"].not_in(["entry", "sibling"]))


def _unread(plan: IntoPlan, staging: IntoStaging, write: Write) -> Select[Any]:
    """Rows that could not be read; what was changed here of their records goes by the base."""
    held, x = staging.held, plan.crosswalk
    mine = and_(x.c.id_space == plan.id_space, x.c.feed == plan.feed, x.c.key.in_(select(held.c.key)))
    base = pending_by_base(plan, mine).subquery("by_base")
    first = held.c.causes[0]
    why = func.jsonb_build_object("code", held.c.code, "field", held.c.field, "value", first["value"]).op("||")(
        func.coalesce(first["params"], func.jsonb_build_object()))
    return _line(plan, cause=literal("held"), key=held.c.key, record_id=base.c.record_id, why=why,
                 send=and_(base.c.pending.is_not(None), base.c.record_id.not_in(_left_out(plan, write)))).select_from(
        held.outerjoin(base, base.c.key == held.c.key))


def _gone(plan: IntoPlan, staging: IntoStaging) -> Select[Any]:
    gone = absent_entries(plan, True, [(plan, staging)], None).subquery("gone")
    return _line(plan, cause=literal("gone_there"), key=gone.c.key, record_id=gone.c.record_id).select_from(gone)


def _never_sent(plan: IntoPlan, staging: IntoStaging, write: Write) -> Select[Any]:
    """Records that would be made there, but for those that a row fits: they are there, only not linked."""
    r, box, fate = plan.record, hub.outbox, staging.fate
    fits = select(fate.c.record_id).where(fate.c.record_id.is_not(None))
    cause = case((box.c.state.in_(["refused", "unclear"]), box.c.state), else_="never_sent")
    return _line(plan, cause=cause, record_id=r.c.id, why=box.c.why, send=true()).select_from(
        r.outerjoin(box, and_(box.c.feed == plan.feed, box.c.record_id == r.c.id))
    ).where(unknown_there(plan, write), r.c.id.not_in(fits))


def _ended(plan: IntoPlan, staging: IntoStaging, write: Write) -> Select[Any]:
    """Records that were archived here, and whose rows are to be archived or deleted there."""
    x, r = plan.crosswalk, plan.record
    return _end(plan, staging, write, true(), and_(x.c.absent_since.is_(None), r.c.archived_at.is_not(None)))


def _brought_back(plan: IntoPlan, staging: IntoStaging, write: Write) -> Select[Any]:
    """Records that were archived on both sides, and are no longer so here."""
    return _end(plan, staging, write, false(), brought_back(plan, plan.crosswalk, plan.record))


def _end(plan: IntoPlan, staging: IntoStaging, write: Write, here: ColumnElement[bool], which: ColumnElement[bool]
         ) -> Select[Any]:
    x, r, s, box = plan.crosswalk, plan.record, staging.rows, hub.outbox
    left_out = r.c.id.in_(_left_out(plan, write))
    cause = case((left_out, "left_out"), (box.c.state.in_(["refused", "unclear"]), box.c.state), else_="pending")
    return _line(plan, cause=cause, key=x.c.key, record_id=r.c.id, field=literal("archived"), here=_json(here),
                 there=_json(~here), why=box.c.why, send=~left_out).select_from(
        x.join(r, r.c.id == x.c.record_id).join(s, s.c.key == x.c.key)
        .outerjoin(box, and_(box.c.feed == plan.feed, box.c.record_id == r.c.id))
    ).where(x.c.feed == plan.feed, x.c.id_space == plan.id_space, which)


def _fields(plan: IntoPlan, staging: IntoStaging, write: Write) -> Select[Any]:
    """Every field of linked rows whose two sides differ."""
    s, fate, box, x = staging.rows, staging.fate, hub.outbox, plan.crosswalk
    v = verdicts(plan, staging, fate)
    left_out = v.c.record_id.in_(_left_out(plan, write))
    told = [
        (literal(field.name), v.c[f"d_{field.name}"], _cause(plan, field, v, box, x, left_out),
         _told(v, "c", field.columns), _told(v, "r", field.columns), _told(v, "b", field.columns),
         and_(v.c[f"t_{field.name}"], ~v.c[f"e_{field.name}"]), and_(v.c[f"s_{field.name}"], ~left_out))
        for field in plan.fields
    ]
    shape = (item("field", Text), item("differs", Boolean), item("cause", Text), item("here", JSONB),
             item("there", JSONB), item("base", JSONB), item("take", Boolean), item("send", Boolean))
    d = values(*shape, name="d").data(told).lateral()
    return _line(
        plan, cause=d.c.cause, key=s.c.key, record_id=v.c.record_id, field=d.c.field, here=d.c.here, there=d.c.there,
        base=d.c.base, why=case((d.c.cause == box.c.state, box.c.why)), take=d.c.take, send=d.c.send,
    ).select_from(
        v.join(s, s.c.row_no == v.c.row_no)
        .outerjoin(x, and_(x.c.feed == plan.feed, x.c.id_space == plan.id_space, x.c.key == s.c.key))
        .outerjoin(box, and_(box.c.feed == plan.feed, box.c.record_id == v.c.record_id)).join(d, true())
    ).where(v.c["class"] != "link", d.c.differs)


def _left_out(plan: IntoPlan, write: Write) -> Select[Any]:
    """The records of which nothing is sent, whatever is changed of them."""
    return select(plan.record.c.id).where(~allowed(plan, write))


def _cause(plan: IntoPlan, field: FieldPlan, v: FromClause, box: Table, x: Table, left_out: ColumnElement[bool]
           ) -> ColumnElement[str]:
    name, conflict = field.name, hub.conflict
    taken, sent = v.c[f"t_{name}"], v.c[f"s_{name}"]
    waits = or_(sent, func.coalesce(literal(name, Text) == any_(x.c.pending), false()))
    disputed = exists().where(
        conflict.c.feed == plan.feed, conflict.c.key == x.c.key, conflict.c.record_id == v.c.record_id,
        conflict.c.field == name, conflict.c.state == "open",
    )
    quiet = and_(~distinct(v, field, "c", "b"), ~distinct(v, field, "r", "i"))
    kept = _has_role(field, v, "this_unlocked")
    mastered = or_(kept, _has_role(field, v, "this"), _has_role(field, v, "ranked"))
    return case(
        (or_(and_(v.c[f"k_{name}"], func.coalesce(v.c[f"w_{name}"] == "open", false())), and_(disputed, ~quiet)),
         "conflict"),
        (and_(waits, ~taken, left_out), "left_out"),
        (and_(waits, box.c.state.in_(["refused", "unclear"])), box.c.state),
        (~v.c[f"k_{name}"], "not_agreed"),
        (and_(taken, distinct(v, field, "r", "i")), "newer_there"),
        (taken, "drift"),
        (waits, "pending"),
        (and_(mastered, other_row_says(plan, field.columns, v)), "other_row"),
        (kept, "override"),
        (and_(quiet, literal(field.sent)), "stored_otherwise"),
        else_="not_sent",
    )


def _has_role(field: FieldPlan, v: FromClause, role: Role) -> ColumnElement[bool]:
    """Whether the record's type gives the system this role of the field."""
    named = [(v.c.record_type == kind, literal(has == role)) for kind, has in field.roles.items() if kind != "else"]
    other = literal(field.roles["else"] == role)
    return case(*named, else_=other) if named else other


def _told(v: FromClause, side: str, columns: Sequence[str]) -> ColumnElement[Any]:
    """One side of a field as JSON: its value, or [amount, currency]."""
    parts = [func.to_jsonb(v.c[f"{side}_{column}"]) for column in columns]
    return parts[0] if len(parts) == 1 else func.jsonb_build_array(*parts)


def _json(value: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.to_jsonb(value)
