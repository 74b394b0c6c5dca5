"""A desk for the tests of both ways: a CRM, and two real PostgreSQL databases of other systems that share its companies.

`erp` masters the name and cuts cities at ten characters, as systems do; `books` (accounting) masters the credit limit;
everything else is shared. Both number their own rows.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier, Literal

from crm_store.entity_tables import compile_entities
from crm_store.migrate import migrate
from crm_store.store import Store
from mappings.language.project import Project, require_project
from pipelines.hub import Hub
from pipelines.runs.intake import run_flow
from pipelines.runs.push_result import PushResult
from pipelines.runs.pushing import push_flow
from pipelines.runs.result import RunResult

COMPANY = """
entity: company
masters: {name: erp, siret: erp, credit_limit: books, archived: crm, type: crm, segment_note: crm, else: shared}
fields: {segment_note: {}}
on_conflict: {phone: crm, email: erp}
"""

ERP = """
flow: erp_companies
system: erp
direction: two-way
read: {resource: customer, changed_since: changed_at}
write: {create: true, when: {type: [customer]}, reference: external_ref}
into:
  entity: company
  key: {from: id, assigned: remote}
  match: [siret]
  defaults: {type: customer}
  absent: ignore
  fields:
    name: {from: name, required: true}
    siret: siret
    city: city
    phone: {from: phone, region: FR}
    email: email
    credit_limit: {from: credit, currency: EUR}
    segment_note: note
    website: website
    parent: {from: parent_id, refers: company}
schedule: {live: {poll: 200ms}}
"""

BOOKS = """
flow: books_companies
system: books
direction: two-way
read: {resource: debtor, changed_since: changed_at}
write: {create: true}
into:
  entity: company
  key: {from: no, assigned: remote}
  match: [siret]
  fields:
    name: {from: label, required: true}
    siret: siret
    city: town
    credit_limit: {from: credit, currency: EUR}
    phone: {from: tel, region: FR}
schedule: {live: {poll: 200ms}}
"""

ERP_TABLES = """
CREATE TABLE customer (
    id bigint GENERATED ALWAYS AS IDENTITY (START WITH 100) PRIMARY KEY, name text NOT NULL, siret text, city text,
    phone text, email text, credit numeric, note text, website text, parent_id bigint REFERENCES customer,
    external_ref text, changed_at timestamptz NOT NULL DEFAULT clock_timestamp(), writes int NOT NULL DEFAULT 0
);
CREATE FUNCTION tidy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF new.name LIKE 'FORBIDDEN%' THEN RAISE EXCEPTION 'this name is not allowed here'; END IF;
    new.city := left(new.city, 10);
    new.changed_at := clock_timestamp();
    IF tg_op = 'UPDATE' THEN new.writes := old.writes + 1; END IF;
    RETURN new; END $$;
CREATE TRIGGER tidy BEFORE INSERT OR UPDATE ON customer FOR EACH ROW EXECUTE FUNCTION tidy();
"""

BOOKS_TABLES = """
CREATE TABLE debtor (
    no bigint GENERATED ALWAYS AS IDENTITY (START WITH 5000) PRIMARY KEY, label text NOT NULL, siret text, town text,
    credit numeric, tel text, changed_at timestamptz NOT NULL DEFAULT clock_timestamp(), writes int NOT NULL DEFAULT 0
);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    new.changed_at := clock_timestamp();
    IF tg_op = 'UPDATE' THEN new.writes := old.writes + 1; END IF;
    RETURN new; END $$;
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON debtor FOR EACH ROW EXECUTE FUNCTION touch();
"""

SEEN = """
INSERT INTO sync.run (flow, system, mapping, state, "full", trigger)
SELECT DISTINCT flow, system, '', 'done', true, 'desk' FROM sync.feed
"""
"""As if each flow had read its system when that was empty: who has not may make nothing there."""
SIRETS = ("73282932000074", "35600000000048", "55208131766522", "44306184100047", "38012986646850")


@dataclass
class Outside:
    """One outside system: its database as its own users see it."""

    url: str
    table: str

    def __call__(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def one(self, statement: str, *values: object) -> Any:
        found = self(statement, *values)
        return found[0][0] if found else None

    def writes(self) -> int:
        """How many updates the table has seen, and rows."""
        return int(self.one(f"SELECT coalesce(sum(writes), 0) + count(*) FROM {self.table}"))


@dataclass
class Both:
    """The project with its store and the two outside systems."""

    root: Path
    store: Store
    project: Project
    erp: Outside
    books: Outside
    hub: Hub = field(init=False)

    def __post_init__(self) -> None:
        self.hub = Hub(self.project, self.root / "home", self.store, compile_entities(self.project.entities))

    def change_flow(self, name: str, before: str, after: str) -> None:
        """Another mapping from now on."""
        path = self.root / "mappings" / "flows" / f"{name}.yaml"
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after, 1))
        self.project = require_project(self.root, {})
        self.__post_init__()

    def remade(self, *changes: tuple[str, str, str]) -> Both:
        """Another desk on the same store and systems, where each of these files has the second text for the first."""
        for name, before, after in changes:
            path = self.root / "mappings" / f"{name}.yaml"
            text = path.read_text()
            assert before in text
            path.write_text(text.replace(before, after))
        project = require_project(self.root, {})
        migrate(self.store, project)
        return Both(self.root, self.store, project, self.erp, self.books)

    def run(self, flow: str, **said: Any) -> RunResult:
        result = run_flow(self.hub, flow, **said)[-1]
        assert result.state == "done", result.problem
        return result

    def push(self, flow: str) -> PushResult:
        return push_flow(self.hub, flow)

    def rounds(self, count: int = 3) -> None:
        """Reads and sends everything, so often that what goes through the CRM arrives."""
        for _ in range(count):
            for flow in self.project.flows:
                self.run(flow)
            for name, flow in self.project.flows.items():
                if flow.direction != "in":
                    self.push(name)

    def crm(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """As a CRM application."""
        with psycopg.connect(self.store.crm_url, autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def sees(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """As the hub."""
        with self.store.connect(self.store.roles.hub, autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def one(self, statement: str, *values: object) -> Any:
        found = self.sees(statement, *values)
        return found[0][0] if found else None

    def outbox(self) -> list[tuple[str, str]]:
        """(state, code of why) of every marker."""
        return self.sees("SELECT state, coalesce(why->>'code', '') FROM sync.outbox ORDER BY feed, record_id")  # type: ignore[return-value]


def outside(server: Any, name: str, tables: str, table: str) -> Outside:
    """A database with its own login on the tests' server."""
    with closing(server.superuser("postgres")) as admin:
        admin.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))
        if admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone() is None:
            admin.execute(SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(Identifier(name), Literal("outside")))
        admin.execute(SQL("CREATE DATABASE {} OWNER {}").format(Identifier(name), Identifier(name)))
        info = admin.info
        host = f"host={info.host}&port={info.port}"
    url = f"postgresql://{name}:outside@/{name}?{host}"
    made = Outside(url, table)
    made(tables)
    return made


@pytest.fixture
def both(server: Any, new_store: Any, tmp_path: Path) -> Both:
    """A fresh CRM and two fresh systems."""
    erp, books = outside(server, "out_erp", ERP_TABLES, "customer"), outside(server, "out_books", BOOKS_TABLES, "debtor")
    files = {
        "systems": f"systems:\n  erp: {{connector: sql, url: '{erp.url}', settle: 100ms}}\n"
                   f"  books: {{connector: sql, url: '{books.url}', settle: 100ms}}\n",
        "entities/company": COMPANY, "flows/erp": ERP, "flows/books": BOOKS,
    }
    for name, text in files.items():
        path = tmp_path / "mappings" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    project = require_project(tmp_path, {})
    made = Both(tmp_path, new_store(project), project, erp, books)
    made.sees(SEEN)
    return made
