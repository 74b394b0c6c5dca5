"""A desk for the tests of the road: companies of two systems whose masters cover every row of the truth table.

Entities are the same for all these tests, so that their store is migrated once; flows differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from crm_store.entity_tables import compile_entities
from crm_store.store import Store
from mappings.language.project import Project, require_project
from pipelines.hub import Hub
from pipelines.runs.intake import run_flow
from pipelines.runs.result import RunResult

SYSTEMS = "systems: {erp: {connector: file, folder: drop, stable_for: 0s}, cmms: {connector: file, folder: drop2}}"

ENTITIES = {
    "entities/company": """
entity: company
fields:
  tags: {type: choices, values: [blue, green, red]}
  short: {max: 10}
  segment: {}
masters:
  name: erp
  phone: {system: erp, lock: false}
  language: cmms
  city: crm
  tags: crm
  vat_number: [erp, cmms]
  credit_limit: {customer: erp, supplier: cmms, else: crm}
  archived: erp
  else: shared
on_conflict: {segment: newest, street: crm, website: erp, source: cmms}
""",
    "entities/address": "entity: address\nmasters: {archived: erp, else: shared}",
    "entities/contact": "entity: contact\nmasters: {archived: crm, else: shared}",
    "entities/thing": """
entity: thing
label: Thing
fields:
  name: {required: true}
  size: {type: choice, values: [small, large]}
  companies: {type: links, to: company}
  next: {type: link, to: thing}
""",
}

COMPANIES = """
flow: companies
system: erp
read: {files: "CLI_{day:%Y%m%d}.csv", full: true}
into:
  entity: company
  key: CODE
  absent: archive
  fields:
    name: {from: NAME, required: true}
    postal_code: {from: ZIP, region: FR}
    notes: NOTES
"""


@dataclass
class Road:
    """A project with its store. `run` writes a CSV (`;`, first line the headers) and runs a flow on it."""

    root: Path
    store: Store
    project: Project
    hub: Hub = field(init=False)
    numbers: Any = field(default_factory=lambda: count(1))
    superuser: Any = None  # runs a statement as the server's superuser

    def __post_init__(self) -> None:
        self.hub = Hub(self.project, self.root / "home", self.store, compile_entities(self.project.entities))

    def write(self, name: str, lines: Sequence[str]) -> Path:
        path = self.root / "files" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    def run_all(self, flow: str, lines: Sequence[str], *, name: str = "", **said: Any) -> list[RunResult]:
        """Every run that the command makes."""
        return run_flow(self.hub, flow, file=self.write(name or f"{flow}_{next(self.numbers)}.csv", lines), **said)

    def run(self, flow: str, *lines: str, state: str = "done", name: str = "", **said: Any) -> RunResult:
        """The run of this file, which has to end in `state`."""
        result = self.run_all(flow, lines, name=name, **said)[-1]
        assert result.state == state, result.problem
        if state == "done":
            for told in result.into.values():
                assert told["rows_read"] == sum(told[name] for name in OUTCOME_NAMES)
        return result

    def counts(self, flow: str, *lines: str, into: str = "company", **said: Any) -> dict[str, int]:
        """What became of the rows of one into, less the zeros."""
        return told(self.run(flow, *lines, **said), into)

    def hub_sees(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """As the hub."""
        return self._as(self.store.roles.hub, statement, values)

    def crm(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """As a CRM application."""
        with psycopg.connect(self.store.crm_url, autocommit=True) as connection:
            return _rows(connection.execute(statement, values or None))  # type: ignore[arg-type]

    def owner(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """As the owner of the tables: what neither the hub nor a CRM may do."""
        return self._as(self.store.roles.owner, statement, values)

    def _as(self, role: str, statement: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        with self.store.connect(role, autocommit=True) as connection:
            return _rows(connection.execute(statement, values or None))  # type: ignore[arg-type]

    def one(self, statement: str, *values: object) -> Any:
        found = self.hub_sees(statement, *values)
        return found[0][0] if found else None

    def companies(self, *columns: str) -> list[tuple[Any, ...]]:
        """Values of every company, by name."""
        listed = ", ".join(columns or ("name",))
        return self.hub_sees(f"SELECT {listed} FROM crm.company ORDER BY name, id")

    def names(self) -> list[str]:
        return [row[0] for row in self.companies()]

    def links(self, column: str = "parent", entity: str = "company") -> dict[str, str]:
        """Name to the name of the record that a link leads to."""
        return dict(self.hub_sees(
            f"SELECT a.name, b.name FROM crm.{entity} a JOIN crm.{entity} b ON b.id = a.{column} ORDER BY 1"
        ))

    def journal(self) -> int:
        return int(self.one("SELECT count(*) FROM sync.journal"))

    def held(self, state: str = "open") -> list[tuple[Any, ...]]:
        """(outcome, key, code) of held rows."""
        return self.hub_sees("SELECT outcome, key, code FROM sync.held WHERE state = %s ORDER BY id", state)

    def staging(self) -> list[str]:
        return [row[0] for row in self.hub_sees("SELECT tablename FROM pg_tables WHERE schemaname = 'staging'")]


OUTCOME_NAMES = ("created", "updated", "unchanged", "skipped", "superseded", "rejected", "parked", "review")


def told(result: RunResult, into: str = "company") -> dict[str, int]:
    """The outcomes of one into, and archived, unlinked and conflicts; less the zeros."""
    names = (*OUTCOME_NAMES, "archived", "unlinked", "conflicts")
    return {name: result.into[into][name] for name in names if result.into[into][name]}


def _rows(cursor: psycopg.Cursor[Any]) -> list[tuple[Any, ...]]:
    return cursor.fetchall() if cursor.description else []


EMPTY = """
DO $$ DECLARE name text; BEGIN
    SET LOCAL session_replication_role = replica;  -- records are never deleted, but by those who test
    FOR name IN SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('crm', 'sync')
        AND tablename NOT IN ('master', 'applied', 'alembic_version') LOOP
        EXECUTE format('DO $x$ BEGIN IF EXISTS (SELECT FROM %1$s) THEN DELETE FROM %1$s; END IF; END $x$', name);
    END LOOP;
    FOR name IN SELECT format('staging.%I', tablename) FROM pg_tables WHERE schemaname = 'staging' LOOP
        EXECUTE 'DROP TABLE ' || name || ' CASCADE';
    END LOOP;
END $$
"""


def roads(flows: Mapping[str, str]) -> tuple[Any, Any]:
    """Two fixtures of a module: its project and store, made once, and `road`, which empties them for each test."""

    @pytest.fixture(scope="module")
    def module_road(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
        stores: list[Store] = []

        def new_store(project: Project) -> Store:
            stores.append(server.new_store(project))
            return stores[-1]

        yield make_road(tmp_path_factory.mktemp("road"), new_store, flows)
        server.drop(stores[0])

    @pytest.fixture
    def road(module_road: Road, server: Any) -> Road:
        def superuser(statement: str) -> None:
            with closing(server.superuser(module_road.store.database)) as connection:
                connection.execute(statement)

        module_road.superuser = superuser
        superuser(EMPTY)
        return module_road

    return module_road, road


def _readable(flow: str) -> str:
    """The flow, with a pattern of files where it has none: tests name theirs, but check asks every flow which it reads."""
    if "files:" in flow or "like:" in flow:
        return flow
    if "read:" not in flow:
        return flow.rstrip() + '\nread: {files: "*"}\n'
    return flow.replace("read: {", 'read: {files: "*", ', 1).replace("read:\n", 'read:\n  files: "*"\n', 1)


def make_road(root: Path, new_store: Any, flows: Mapping[str, str]) -> Road:
    """A project of these flows, and its store."""
    root.mkdir(parents=True, exist_ok=True)
    files = {"systems": SYSTEMS, **ENTITIES, **{f"flows/{name}": _readable(text) for name, text in flows.items()}}
    for name, text in files.items():
        path = root / "mappings" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "drop").mkdir(exist_ok=True)
    (root / "drop2").mkdir(exist_ok=True)
    project = require_project(root, {})
    return Road(root, new_store(project), project)
