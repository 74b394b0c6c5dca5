"""Connections to the other system's database: what is set on each, and errors told in our words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy import ClauseElement
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from connectors.sql.faults import connect_fault, statement_fault
from connectors.sql.settings import SqlSettings
from mappings.errors import ConfigurationError

Connection = psycopg.Connection[tuple[Any, ...]]
DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call]
READER = "navette read"
"""The name of connections that only read: their transactions hold nobody's changes back."""
_OLDEST = 14

# a peer that vanished without a word is noticed within a minute
_KEEP = {"keepalives": "1", "keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3",
         "tcp_user_timeout": "60000"}
_SET = """
SELECT set_config('TimeZone', 'UTC', false), set_config('DateStyle', 'ISO, YMD', false),
    set_config('IntervalStyle', 'iso_8601', false), set_config('extra_float_digits', '1', false),
    set_config('search_path', quote_ident(%(schema)s) || ', pg_temp', false),
    set_config('statement_timeout', %(timeout)s, false),
    set_config('idle_in_transaction_session_timeout', '0', false)
"""


def dial(settings: SqlSettings, name: str = "navette", *, timeout: float | None = None) -> Connection:
    """An autocommit connection; cells are told in UTC and in ISO. `timeout`: instead of the settings', in seconds.

    What it needs is set by a statement: poolers refuse what comes in the opening packet.
    """
    given = _KEEP | settings.conninfo() | {
        "application_name": name, "connect_timeout": str(settings.connect_timeout), "client_encoding": "UTF8"}
    try:
        connection: Connection = psycopg.connect(make_conninfo("", **given), autocommit=True,
                                                 prepare_threshold=None)  # each batch is planned for its own size
    except psycopg.OperationalError as error:
        raise connect_fault(error, settings.address) from None  # its text holds the whole address
    if connection.info.server_version < _OLDEST * 10_000:
        version = connection.info.server_version // 10_000
        connection.close()
        raise ConfigurationError(
            f"the server is PostgreSQL {version}", where=settings.address,
            todo=f"connector sql needs {_OLDEST} or later",
        )
    try:
        limit = settings.statement_timeout if timeout is None else timeout
        connection.execute(_SET, {"schema": settings.schema_name, "timeout": f"{round(limit * 1000)}ms"})
    except psycopg.Error as error:
        connection.close()
        raise statement_fault(error, settings.address) from error
    return connection


@dataclass(frozen=True)
class Rendered:
    """A statement as the driver takes it: text with places, and what goes there."""

    text: str
    values: Mapping[str, Any]

    def over(self, values: Mapping[str, Any]) -> Rendered:
        """The same statement with other values in those of its places that they name."""
        return Rendered(self.text, {**self.values, **values})


def rendered(statement: ClauseElement) -> Rendered:
    """Names are quoted, values stay out."""
    compiled = statement.compile(dialect=DIALECT)
    return Rendered(str(compiled), dict(compiled.params))


def run(connection: Connection, statement: ClauseElement) -> psycopg.Cursor[tuple[Any, ...]]:
    """Executes a statement of SQLAlchemy Core on a connection of the driver's."""
    ready = rendered(statement)
    return connection.execute(ready.text, ready.values)


@contextmanager
def told(where: str) -> Iterator[None]:
    """The driver's errors of statements that read, in our words."""
    try:
        yield
    except psycopg.Error as error:
        raise statement_fault(error, where) from error
