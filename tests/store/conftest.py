"""Tests of the store run on the embedded PostgreSQL 18; with NAVETTE_TEST_PG on another (tests/conftest.py), =all on two."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest

from crm_store.store import Store
from tests.conftest import CHOSEN, Server, server_of, write_files

MASTERED = """
entity: company
fields:
  tags: {type: choices, values: [blue, green, red]}
masters:
  name: sage
  credit_limit: {customer: sage, supplier: accounting, else: crm}
  vat_number: [sage, accounting]
  payment_terms: {system: sage, lock: false}
  archived: sage
"""


@pytest.fixture(scope="session", params=["18", "15"] if CHOSEN == "all" else [CHOSEN])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    yield from server_of(request.param)


@pytest.fixture
def empty(server: Server) -> Iterator[Store]:
    """A database with nothing in it."""
    made = replace(server.store, database="nothing_in_it")
    server.execute("CREATE DATABASE {} OWNER {} TEMPLATE template0", made.database, server.store.roles.owner)
    yield made
    server.drop(made)


@dataclass
class Desk:
    """A store with mastered companies, seen by those who write to it; connections commit each statement."""

    store: Store
    crm: psycopg.Connection[Any]
    hub: psycopg.Connection[Any]

    def company(self, **values: object) -> int:
        """A company as a CRM user makes it."""
        names = ", ".join(values)
        row = self.crm.execute(
            f"INSERT INTO crm.company ({names}) VALUES ({', '.join(['%s'] * len(values))}) RETURNING id",
            list(values.values()),
        ).fetchone()
        return int(row[0])

    def link(self, record_id: int, system: str, entity: str = "company", **base: object) -> None:
        """The record is known to `system` under the key C and its id; `base` has further columns of the crosswalk."""
        space = self.one(
            "INSERT INTO sync.id_space (system, name, entity) VALUES (%s, 'accounts', %s)"
            " ON CONFLICT (system, name, entity) DO UPDATE SET name = 'accounts' RETURNING id", system, entity,
        )
        names = "".join(f", {name}" for name in base)
        self.hub.execute(
            f"INSERT INTO sync.crosswalk_{entity} (id_space, key, feed, record_id{names})"
            f" VALUES (%s, %s, 1, %s{', %s' * len(base)})", [space, f"C{record_id}", record_id, *base.values()],
        )

    def one(self, statement: str, *values: object) -> Any:
        """The first column of the first row, as the hub sees it."""
        row = self.hub.execute(statement, values).fetchone()
        return row[0] if row else None

    def refused(self, statement: str, *values: object) -> psycopg.Error:
        """The error that a CRM user gets."""
        with pytest.raises(psycopg.Error) as told:
            self.crm.execute(statement, values)
        return told.value


@pytest.fixture(scope="module")
def desk(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One for all tests of a module: they make records of their own."""
    store = server.new_store(write_files(tmp_path_factory.mktemp("project"), {
        "entities/company": MASTERED, "entities/product": "entity: product\nmasters: {name: sage}"}))
    with psycopg.connect(store.crm_url, autocommit=True) as crm, store.connect(store.roles.hub, autocommit=True) as hub:
        yield Desk(store, crm, hub)
    server.drop(store)
