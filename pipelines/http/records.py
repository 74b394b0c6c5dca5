"""Records of one entity as requests use them: read, search, create, change; one statement each.

Raises Refused: 404 (no such record), 412 (it is another version by now), 422 (an amount without a currency); what the
store refuses is told by `Bearer.work`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Boolean, Column, ColumnElement, Connection, Table, func, insert, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from mappings.language.entities import SECOND_COLUMN
from pipelines.http.problem import Refused, misfits
from pipelines.http.record_models import AFTER, ARCHIVED, LIMIT, PREFIX

Record = dict[str, Any]


def read(connection: Connection, table: Table, number: int) -> Record:
    """One record."""
    found = connection.execute(select(table).where(table.c.id == number)).mappings().one_or_none()
    if found is None:
        raise Refused(404, "no such record", f"there is no {table.name} {number}")
    return dict(found)


def search(connection: Connection, table: Table, asked: Mapping[str, Any]) -> tuple[list[Record], int | None]:
    """A page of those that fit, by id; and the last one's id where more may follow."""
    where = [table.c.id > asked[AFTER]]
    if asked[ARCHIVED] != "any":
        where.append(table.c.archived_at.is_not(None) if asked[ARCHIVED] == "true" else table.c.archived_at.is_(None))
    where += [_fits(table, name, value) for name, value in asked.items() if name not in (AFTER, LIMIT, ARCHIVED)]
    query = select(table).where(*where).order_by(table.c.id).limit(asked[LIMIT] + 1)
    found = [dict(row) for row in connection.execute(query).mappings()]
    page = found[: asked[LIMIT]]
    return page, page[-1]["id"] if len(found) > len(page) else None


def denominated(record: Record, amounts: Iterable[str], said: Iterable[str]) -> Record:
    """The record as it is now, unless one of its amounts has no currency, and amount or currency was just said.

    Of the record, not of the request: either may have been there. What SQL left so hinders no other change.
    """
    second = {name: f"{name}_{SECOND_COLUMN['money']}" for name in amounts}
    bare = [currency for name, currency in second.items()
            if record[name] is not None and not (record[currency] or "").strip() and {name, currency} & {*said}]
    if bare:
        raise misfits(*((f"body.{currency}", "an amount needs its currency") for currency in bare))
    return record


def create(connection: Connection, table: Table, values: Mapping[str, Any]) -> Record:
    """A new record."""
    return dict(connection.execute(insert(table).values(dict(values)).returning(table)).mappings().one())


def change(connection: Connection, table: Table, number: int, values: Mapping[str, Any], versions: frozenset[int] | None
           ) -> Record:
    """The record with other values, if it is one of these versions still (None: whichever it is).

    Two requests, A and B, hold version 3: A's statement makes it 4; B's waits for A and then finds no version 3.
    """
    given = {name: value for name, value in values.items() if name != ARCHIVED}
    if ARCHIVED in values:
        given["archived_at"] = func.coalesce(table.c.archived_at, func.now()) if values[ARCHIVED] else None
    if not given:
        there = read(connection, table, number)
        return there if versions is None or there["version"] in versions else _raise_other(there)
    where = [table.c.id == number, *([] if versions is None else [table.c.version.in_(versions)])]
    row = connection.execute(update(table).where(*where).values(given).returning(table)).mappings().one_or_none()
    return dict(row) if row is not None else _raise_other(read(connection, table, number))


def _raise_other(there: Record) -> Record:
    raise Refused(412, "somebody was faster", f"the record is version {there['version']} by now: read it again, and"
                                              " change that", version=there["version"])


def _fits(table: Table, name: str, value: Any) -> ColumnElement[bool]:
    column: Column[Any] = table.c[name.removesuffix(PREFIX)]
    if name.endswith(PREFIX):
        return column.startswith(value, autoescape=True)
    if isinstance(column.type, ARRAY):
        return column.contains([value])
    fits: ColumnElement[bool] = column == (value == "true" if isinstance(column.type, Boolean) else value)
    return fits
