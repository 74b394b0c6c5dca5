"""Reading by a column with the time of change: how far back the next read must go so that no late commit is lost.

A stamp is older than the moment at which others see it. Run A begins at 12:00:00 and stamps its rows then; run B stamps
12:00:30 and commits; we read, see 12:00:30; A commits. So the mark is the greatest stamp seen, but never later than the
beginning of the oldest transaction that is still open. Where sessions of others are hidden from us, `overlap` is all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Text, case, cast, func, literal, or_, select

from connectors.remote import Position, Resource
from connectors.sql.cells import INTERVAL, Named, cell, own
from connectors.sql.relation import Field, Relation
from connectors.sql.session import READER, Connection, run
from connectors.sql.statements import statements
from mappings.errors import ConfigurationError

_FARTHEST = "14 hours"  # a local time may be that much ahead of UTC
_MARGIN = "1 second"  # stamps may be kept in whole seconds


@dataclass(frozen=True)
class OpenTransactions:
    """The server's clock, and since when the oldest transaction is open; `hidden`: sessions that we may not see."""

    now: str
    oldest: str | None
    hidden: int


def open_transactions(connection: Connection) -> OpenTransactions:
    """Ask this before the snapshot is taken."""
    row = connection.execute(statements("catalog.sql")["open_transactions"], {"reader": READER}).fetchone()
    assert row is not None
    return OpenTransactions(*row)


def stamp_field(relation: Relation, resource: Resource) -> Field:
    """Raises ConfigurationError when the column of change is no time."""
    field = relation.field(str(resource.changed))
    if not field.is_a("date", "timestamp", "timestamptz"):
        raise ConfigurationError(
            f"column {field.name} is {field.type}, no time: nothing says how far back a late commit may lie",
            where=relation.name,
            todo="name a column with the time of change, or a query that makes one, or have a change table",
        )
    return field


def since_mark(relation: Relation, resource: Resource, since: Position) -> ColumnElement[bool] | None:
    """Which rows to read; None for all. A row without a stamp is always read: nobody could say when it changed."""
    mark = since.mark.get("changed")
    if mark is None or since.mark.get("column") != resource.changed:
        return None
    field = stamp_field(relation, resource)
    stamp = relation.rows.c[field.name]
    exact = Named("pg_catalog", "timestamp" if field.is_a("date") else field.type)
    back = own.make_interval(0, 0, 0, 0, 0, 0, resource.overlap)
    first = cast(cast(literal(mark, Text), exact).op("-")(back), Named("pg_catalog", field.type))
    return or_(stamp.is_(None), stamp >= first)


def next_mark(connection: Connection, relation: Relation, resource: Resource, seen: OpenTransactions) -> Position:
    """Where the next read begins; to be asked in the snapshot that is read.

    A stamp in the future is not believed: one such row would hide all that come after it.
    """
    field = stamp_field(relation, resource)
    stamp, own_type = relation.rows.c[field.name], Named("pg_catalog", field.type)
    instant = Named("pg_catalog", "timestamptz")
    now = cast(literal(seen.now, Text), instant)
    began = cast(literal(seen.oldest or seen.now, Text), instant)
    oldest = func.least(began, now).op("-")(cast(literal(_MARGIN, Text), INTERVAL))
    greatest = func.max(stamp)
    mark: ColumnElement[Any]
    limit: ColumnElement[Any]
    if field.is_a("timestamptz"):
        # not least(), which passes over null and would make a mark of an empty table
        limit, mark = now, case((greatest > oldest, oldest), else_=greatest)
    else:  # whose clock that is nobody says: the age of the oldest transaction is the same on any
        local = Named("pg_catalog", "timestamp")
        limit = cast(own.timezone("UTC", now).op("+")(cast(literal(_FARTHEST, Text), INTERVAL)), own_type)
        mark = cast(cast(greatest, local).op("-")(now.op("-")(oldest)), own_type)
    row = run(connection, select(cell(mark, field)).select_from(relation.rows).where(stamp <= limit)).fetchone()
    assert row is not None
    return Position({"column": field.name, "changed": row[0]} if row[0] is not None else {})
