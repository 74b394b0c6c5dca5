"""Writing: changes of one operation in one transaction, one statement for each set of columns.

::

    insert / update / delete … RETURNING ─▶ delivered
       not returned ─▶ look once more ─▶ there, another version ─▶ stale      there ─▶ refused (passed over)
                                         not there ─▶ refused (gone); a delete is delivered
    an error ─▶ the batch wrote nothing: every change is told the same, retry or refused
       a single create whose number the database had given already ─▶ retry
    COMMIT without an answer ─▶ unclear
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import psycopg
from sqlalchemy import (
    ColumnElement,
    Delete,
    Text,
    Update,
    and_,
    cast,
    delete,
    func,
    insert,
    literal,
    literal_column,
    null,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.sql.selectable import TableValuedAlias

from connectors.remote import Change, Key, Receipt, RemoteDown, State
from connectors.sql.batch import Batch, batches
from connectors.sql.cells import XID, cell, given_rows, own, value
from connectors.sql.faults import is_lost, message_of, write_receipt
from connectors.sql.lookup import fetched
from connectors.sql.relation import Relation
from connectors.sql.session import Connection, run
from connectors.sql.settings import Archived
from connectors.sql.statements import statements
from mappings.errors import ConfigurationError

_BY_VALUE = ("int2", "int4", "int8", "numeric", "float4", "float8", "money", "date", "timestamp", "timestamptz")
_TWICE = "23505"  # a value that must be unique is there already
_GONE = ("gone", "there is no row with this key")
_PASSED = ("skipped", "the database passed over the row without an error: a trigger or a policy of its own")


def written(connection: Connection, relation: Relation, version: str | None, columns: tuple[str, ...],
            changes: Sequence[Change], where: str, archived: Archived | None = None) -> list[Receipt]:
    """A receipt for each change, in order, with these columns of the row. `archived`: the mark that a change may take
    away.

    Raises RemoteDown when the connection was lost before COMMIT was sent.
    """
    receipts: dict[int, Receipt] = {}
    try:
        connection.execute("BEGIN")
        for batch in batches(changes):
            told = _one(connection, relation, version, batch)
            receipts.update(zip(batch.places, told, strict=True))
        if archived is not None:
            back = [change for place, change in enumerate(changes)
                    if change.back and receipts[place].state == "delivered"]
            _bring_back(connection, relation, archived, back)
        if changes[0].operation != "delete":
            receipts = _with_rows(connection, relation, columns, receipts)
    except psycopg.Error as error:
        if is_lost(error):
            raise RemoteDown(
                f"the connection was lost before anything was written: {message_of(error)}", where=where,
                todo="try again",
            ) from error
        connection.execute("ROLLBACK")
        return [_receipt(connection, relation, changes, error)] * len(changes)
    except ConfigurationError:
        connection.execute("ROLLBACK")
        raise
    try:
        connection.execute("COMMIT")
    except psycopg.Error as error:
        if connection.broken or is_lost(error):
            return [Receipt("unclear", code=error.sqlstate or "", message=message_of(error))] * len(changes)
        return [write_receipt(error)] * len(changes)  # a deferred constraint: the server rolled back
    return [receipts[place] for place in range(len(changes))]


def _receipt(connection: Connection, relation: Relation, changes: Sequence[Change], error: psycopg.Error) -> Receipt:
    """Of a row that was refused alone, for a number that it did not bring and that is another row's already, as after a
    restored copy whose sequence lags behind: nothing is wrong with the row, and tried again it gets another number. Of
    several nobody knows yet whether it is all of them."""
    told = write_receipt(error)
    if error.sqlstate != _TWICE or changes[0].operation != "create" or len(changes) > 1:
        return told
    said = error.diag
    index = {"schema": said.schema_name, "table": said.table_name, "index": said.constraint_name}
    mine = relation.name == f"{said.schema_name}.{said.table_name}"
    numbered = connection.execute(statements("catalog.sql")["numbered"], index).fetchall() if mine else []
    return replace(told, state="retry") if any(name not in changes[0].values for name, in numbered) else told


def _bring_back(connection: Connection, relation: Relation, archived: Archived, changes: Sequence[Change]) -> None:
    """Rows that have the mark get what a new row has in its column; what else stands there is somebody's own."""
    for batch in batches([replace(change, values={}) for change in changes]):
        assert relation.target is not None
        given = given_rows(batch.keys)
        marked = and_(_same_key(relation, given), _holds(relation, archived.column, literal(archived.value, Text)))
        column: ColumnElement[Any] = relation.target.c[archived.column]
        run(connection, update(relation.target).values({column: literal_column("DEFAULT")}).where(marked))


def _with_rows(connection: Connection, relation: Relation, columns: tuple[str, ...], receipts: dict[int, Receipt]
               ) -> dict[int, Receipt]:
    """The receipts with the rows as they are now, triggers and all: until COMMIT nobody else can touch them."""
    done = [receipt.key for receipt in receipts.values() if receipt.state == "delivered" and receipt.key is not None]
    if not done or not relation.key:
        return receipts
    frame = fetched(connection, relation, columns, done).frame
    rows: list[dict[str, str]] = frame.to_dict("records")  # type: ignore[assignment]
    there = {tuple(row[name] for name in relation.key): row for row in rows}
    return {place: replace(receipt, row=there.get(receipt.key or ())) for place, receipt in receipts.items()}


def _one(connection: Connection, relation: Relation, version: str | None, batch: Batch) -> list[Receipt]:
    if batch.changes[0].operation == "create":
        return _created(connection, relation, version, batch)
    return _touched(connection, relation, version, batch)


def _created(connection: Connection, relation: Relation, version: str | None, batch: Batch) -> list[Receipt]:
    """Rows come back in the order in which they were put in, since an INSERT takes them one by one from the sort."""
    assert relation.target is not None
    given = given_rows(batch.values)
    values = [value(given.c[f"c{at}"], relation.field(name)) for at, name in enumerate(batch.columns)]
    names = [relation.target.c[name] for name in batch.columns]
    statement = insert(relation.target).from_select(names, select(*values).order_by(given.c.place))
    rows = run(connection, statement.returning(*_told(relation, version))).fetchall()
    if len(rows) != len(batch.changes):  # which of them was passed over, nobody could say
        raise _PassedOver
    return [_delivered(relation, row) for row in rows]


class _PassedOver(psycopg.IntegrityError):
    """The whole batch is refused, and halved by the caller down to the row that a trigger passes over."""

    def __str__(self) -> str:
        return _PASSED[1]


def _touched(connection: Connection, relation: Relation, version: str | None, batch: Batch) -> list[Receipt]:
    """Updates and deletes by key."""
    assert relation.target is not None
    width = len(relation.key)
    given = given_rows([*batch.keys, batch.versions, *batch.values, *batch.expected])
    mine, same = _same_key(relation, given), _as_expected(relation, given, batch)
    meant = [mine, same]
    if version is not None:
        meant.append(_holds(relation, version, given.c[f"c{width}"]))
    statement: Update | Delete
    if batch.changes[0].operation == "delete":
        statement = delete(relation.target).where(*meant)
        back = [*_key_cells(relation), null()]
    else:
        sets = {relation.target.c[name]: value(given.c[f"c{width + 1 + at}"], relation.field(name))
                for at, name in enumerate(batch.columns)}
        statement = update(relation.target).values(sets).where(*meant)
        back = _told(relation, version)
    empty = not batch.columns and batch.changes[0].operation != "delete"  # nothing to set: is the row there?
    rows = [] if empty else run(connection, statement.returning(given.c.place, *back)).fetchall()
    done = {place: _delivered(relation, row) for place, *row in rows}
    if len(done) == len(batch.changes):
        return [done[place] for place in range(1, len(batch.changes) + 1)]
    look = select(given.c.place, same, *_key_cells(relation), _version_cell(relation, version))
    there = {place: (held, row) for place, held, *row in run(
        connection, look.select_from(relation.target.join(given, mine))).fetchall()}
    return [done.get(place) or _undone(relation, version, change, *there.get(place, (True, None)), empty=empty)
            for place, change in enumerate(batch.changes, 1)]


def _as_expected(relation: Relation, given: TableValuedAlias, batch: Batch) -> ColumnElement[bool]:
    """Whether the row has in each column what the change takes the place of."""
    first = len(relation.key) + 1 + len(batch.columns)
    named = [(at, name) for at, name in enumerate(batch.columns)
             if any(name in (change.expected or {}) for change in batch.changes)]
    return and_(true(), *[_has(relation, name, given.c[f"c{first + at}"]) for at, name in named])


def _has(relation: Relation, name: str, wanted: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether the column has this value; null: any. Numbers and times are so however they are written: 1.5, 1.50."""
    assert relation.target is not None
    field = relation.field(name)
    if not field.is_a(*_BY_VALUE):
        return _holds(relation, name, wanted)
    return or_(wanted.is_(None), relation.target.c[name].is_not_distinct_from(value(wanted, field)))


def _holds(relation: Relation, name: str, wanted: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether the column has this cell, as it was read; null: any."""
    assert relation.target is not None
    return or_(wanted.is_(None), func.coalesce(cell(relation.target.c[name], relation.field(name)), "") == wanted)


def _undone(relation: Relation, version: str | None, change: Change, same: bool, row: list[str | None] | None, *,
            empty: bool) -> Receipt:
    if row is None:
        gone: State = "delivered" if change.operation == "delete" else "refused"
        return Receipt(gone, change.key, code=_GONE[0], message=_GONE[1])
    now = _delivered(relation, row)
    if version is not None and change.version is not None and (now.version or "") != change.version:
        return Receipt("stale", now.key, now.version, "stale", "the row has another version now")
    if not same:
        return Receipt("stale", now.key, now.version, "stale", "the row has other values by now")
    return now if empty else Receipt("refused", change.key, code=_PASSED[0], message=_PASSED[1])


def _same_key(relation: Relation, given: TableValuedAlias) -> ColumnElement[bool]:
    return and_(*[relation.rows.c[field.name] == value(given.c[f"c{at}"], field)
                  for at, field in enumerate(relation.keyed())])


def _key_cells(relation: Relation) -> list[ColumnElement[Any]]:
    return [cell(relation.rows.c[field.name], field) for field in relation.keyed()]


def _version_cell(relation: Relation, version: str | None) -> ColumnElement[Any]:
    return null() if version is None else cell(relation.rows.c[version], relation.field(version))


def _told(relation: Relation, version: str | None) -> list[ColumnElement[Any]]:
    """Key and version as they are after the write; the xmin of what we write is our transaction's number."""
    if version == "xmin":
        return [*_key_cells(relation), cast(cast(own.pg_current_xact_id(), XID), Text)]
    return [*_key_cells(relation), _version_cell(relation, version)]


def _delivered(relation: Relation, row: Sequence[str | None]) -> Receipt:
    key: Key = tuple(one or "" for one in row[: len(relation.key)])
    return Receipt("delivered", key, row[len(relation.key)])

