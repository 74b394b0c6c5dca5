"""Statements on a table or index that SQLAlchemy has no construct for, with the name quoted by SQLAlchemy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import psycopg
from sqlalchemy import DDL, Connection, MetaData, Table
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement


def named(schema: str | None, name: str) -> Table:
    """A table of that name, without columns: for statements that do no more than name it.

    An index lies in its schema under a name of the same kind, so it can stand for an index too.
    """
    return Table(name, MetaData(), schema=schema)


def ddl_on(statement: str, table: Table) -> ExecutableDDLElement:
    """`statement` with %(fullname)s standing for the quoted name of `table`, its schema included."""
    return DDL(statement).against(table)  # type: ignore[no-untyped-call]


def create_tables(connection: Connection, tables: Iterable[Table]) -> None:
    """Makes the tables, with their indexes, in one journey to the server."""
    made: list[ExecutableDDLElement] = []
    for table in tables:
        made += [CreateTable(table), *map(CreateIndex, table.indexes)]
    _run(connection, made)


def drop_tables(connection: Connection, tables: Iterable[Table]) -> None:
    """Drops those of the tables that there are, and views on them that a killed process left."""
    _run(connection, [ddl_on("DROP TABLE IF EXISTS %(fullname)s CASCADE", table) for table in tables])


def _run(connection: Connection, statements: Sequence[ExecutableDDLElement]) -> None:
    """SQLAlchemy sends one statement at a time, and asks before each whether the table is there."""
    if not statements:
        return
    raw = connection.connection.driver_connection
    assert isinstance(raw, psycopg.Connection)
    raw.execute(";\n".join(str(statement.compile(dialect=connection.dialect)) for statement in statements).encode())
