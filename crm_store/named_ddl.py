"""Statements on a table or index that SQLAlchemy has no construct for, with the name quoted by SQLAlchemy."""

from __future__ import annotations

from sqlalchemy import DDL, MetaData, Table
from sqlalchemy.schema import ExecutableDDLElement


def named(schema: str | None, name: str) -> Table:
    """A table of that name, without columns: for statements that do no more than name it.

    An index lies in its schema under a name of the same kind, so it can stand for an index too.
    """
    return Table(name, MetaData(), schema=schema)


def ddl_on(statement: str, table: Table) -> ExecutableDDLElement:
    """`statement` with %(fullname)s standing for the quoted name of `table`, its schema included."""
    return DDL(statement).against(table)  # type: ignore[no-untyped-call]
