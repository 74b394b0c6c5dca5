"""Rows by their keys, and by values: a few statements over sets, however many are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import psycopg
import pyarrow as pa
from sqlalchemy import Select, and_, literal, or_, select, true

from connectors.file.block import CELL
from connectors.page import Page
from connectors.remote import Key
from connectors.sql.cells import cell, cells, given_rows, value
from connectors.sql.relation import Relation, read_only
from connectors.sql.session import Connection, run
from connectors.sql.stream import paged

CHUNK = 10_000
_NO_SUCH_VALUE = "22"  # class: data exceptions


def fetched(connection: Connection, relation: Relation, names: tuple[str, ...], keys: Sequence[Key]) -> Page:
    """The rows with these keys. A key that the column's type cannot hold is no row's."""
    every = iter(dict.fromkeys(keys))
    parts: list[pa.Table] = []
    while chunk := list(islice(every, CHUNK)):
        parts += _by_keys(connection, relation, names, chunk)
    return paged(pa.concat_tables(parts) if parts else _table([], names))


def found(connection: Connection, relation: Relation, names: tuple[str, ...], where: Mapping[str, str], limit: int
          ) -> Page:
    """The rows in which each column has this value; '' is null or an empty text."""
    conditions = []
    for name, wanted in where.items():
        field, held = relation.field(name), relation.rows.c[name]
        if wanted:
            same = held == value(literal(wanted), field)
        else:
            same = or_(held.is_(None), cell(held, field) == "") if field.is_text else held.is_(None)
        conditions.append(same)
    statement = select(*cells(relation, names)).select_from(relation.rows).where(and_(true(), *conditions))
    if relation.key:
        statement = statement.order_by(*[relation.rows.c[name] for name in relation.key])
    try:
        return paged(_table(_rows(connection, relation, statement.limit(limit)), names))
    except psycopg.DataError as error:
        if error.sqlstate and error.sqlstate.startswith(_NO_SUCH_VALUE):
            return paged(_table([], names))
        raise


def _by_keys(connection: Connection, relation: Relation, names: tuple[str, ...], keys: list[Key]) -> Iterator[pa.Table]:
    """Halved down to the one key that the server cannot read as a value of its column's type."""
    fields = relation.keyed()
    given = given_rows([list(cells_) for cells_ in zip(*keys, strict=True)])
    same = and_(*[relation.rows.c[field.name] == value(given.c[f"c{at}"], field) for at, field in enumerate(fields)])
    statement = select(*cells(relation, names)).select_from(relation.rows.join(given, same))
    try:
        yield _table(_rows(connection, relation, statement), names)
    except psycopg.DataError as error:
        if not (error.sqlstate and error.sqlstate.startswith(_NO_SUCH_VALUE)):
            raise
        if len(keys) > 1:
            middle = len(keys) // 2
            yield from _by_keys(connection, relation, names, keys[:middle])
            yield from _by_keys(connection, relation, names, keys[middle:])


def _rows(connection: Connection, relation: Relation, statement: Select[Any]) -> list[tuple[Any, ...]]:
    if relation.target is not None:
        return run(connection, statement).fetchall()
    with read_only(connection):  # a query is the integrator's: it may read, and nothing else
        return run(connection, statement).fetchall()


def _table(rows: list[tuple[Any, ...]], names: tuple[str, ...]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    arrays = [pa.array(["" if one is None else one for one in column], CELL) for column in columns]
    return pa.Table.from_arrays(arrays, names=list(names))


