"""Another system's database in the session's server: its tables are its own, the connector logs in as a stranger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import psycopg
import pytest

from connectors.page import Page
from connectors.remote import Position, RemoteSource, Resource
from connectors.sql.open import open_sql
from connectors.sql.remote import SqlRemote
from connectors.sql.settings import SqlSettings
from tests.conftest import Server

_numbers = count(1)
PASSWORD = "b:o/k s"

DEBTOR = """
CREATE TABLE debtor (
    id serial PRIMARY KEY, code text UNIQUE, name text NOT NULL, city text, balance numeric(12, 2), blocked boolean,
    ref text, updated_at timestamptz NOT NULL DEFAULT now())
"""


@dataclass
class Books:
    """`admin` sees all and commits each statement; `session` opens a connection that does not commit by itself."""

    server: Server
    database: str
    role: str
    admin: psycopg.Connection[Any]
    port: int
    opened: list[Any] = field(default_factory=list)

    def settings(self, **more: object) -> SqlSettings:
        return SqlSettings.model_validate({
            "url": f"postgresql://{self.role}@127.0.0.1:{self.port}/{self.database}", "password": PASSWORD, **more})

    def remote(self, **more: object) -> SqlRemote:
        self.opened.append(open_sql(self.settings(**more)))
        return self.opened[-1]

    def session(self) -> psycopg.Connection[Any]:
        made = self.server.superuser(self.database)
        made.autocommit = False
        self.opened.append(made)
        return made

    def make(self, *statements: str) -> None:
        """Tables of the other system, on which the connector gets what docs/systems.md says it needs."""
        for statement in statements:
            self.admin.execute(statement)
        self.admin.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER ON ALL TABLES IN SCHEMA public TO {self.role}")
        self.admin.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {self.role}")

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return self.admin.execute(statement, values).fetchall()

    def kill(self, name: str) -> int:
        """Ends the connector's backends of this application name; how many there were."""
        return len(self.rows("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                             " WHERE usename = %s AND application_name = %s", self.role, name))


@pytest.fixture
def books(server: Server) -> Iterator[Books]:
    number = next(_numbers)
    database, role = f"books_{number}", f"stranger_{number}"
    with server.superuser("postgres") as super_:
        super_.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
        super_.execute(f"CREATE DATABASE {database} TEMPLATE template0 ENCODING 'UTF8'")
        super_.execute(f"GRANT CREATE ON DATABASE {database} TO {role}")
    admin = server.superuser(database)
    made = Books(server, database, role, admin, admin.info.port)
    try:
        yield made
    finally:
        for one in [*made.opened, admin]:
            one.close()
        with server.superuser("postgres") as super_:
            super_.execute(f"DROP DATABASE {database} WITH (FORCE)")
            super_.execute(f"DROP ROLE {role}")


def debtors(**more: object) -> Resource:
    """The table above, as a flow wants it."""
    given: dict[str, Any] = {"name": "debtor", "key": ("code",), "columns": ("code", "name", "city", "balance", "blocked")}
    return Resource(**{**given, **more})


def whole(source: RemoteSource, rows: int = 50_000) -> list[Page]:
    return list(source.pages(rows))


def told(pages: list[Page] | Page, column: str = "code") -> list[str]:
    """One column of all pages, in order."""
    listed = [pages] if isinstance(pages, Page) else pages
    return [cell for page in listed for cell in page.frame[column].tolist()]


def read(remote: SqlRemote, resource: Resource, since: Position | None = None) -> tuple[list[str], Position, list[Any]]:
    """The keys read, sorted; the position after; the keys gone."""
    source = remote.read(resource, since)
    keys = told(whole(source), resource.key[0])
    return sorted(keys), source.position, sorted(source.gone)


