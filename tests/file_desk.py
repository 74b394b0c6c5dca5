"""A desk for the tests of outbound files: a CRM with companies, and a folder that another machine takes files from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from crm_store.entity_tables import compile_entities
from crm_store.migrate import migrate_if_needed
from crm_store.store import Store
from mappings.language.project import Project, require_project
from pipelines.hub import Hub
from pipelines.ops.outgoing import outgoing
from pipelines.runs.push_result import PushResult
from pipelines.runs.pushing import push_flow

SYSTEMS = "systems:\n  shop: {connector: file, folder: in, outbound: out, stable_for: 0s}\n"
COMPANY = "entity: company\nmasters: {else: shared}\n"
FLOW = """
flow: customers_out
system: shop
direction: out
write:
  files: "customers_{number:04d}.csv"
  format: {csv: {delimiter: ";", encoding: cp1252}}
  when: {type: [customer]}
  reference: ID
into:
  entity: company
  key: ID
  fields:
    name: NAME
    city: CITY
    credit_limit: {from: CREDIT, currency: EUR}
"""


@dataclass
class FileDesk:
    """The project, its store, and the folder `out`."""

    root: Path
    store: Store
    project: Project = field(init=False)
    hub: Hub = field(init=False)

    def __post_init__(self) -> None:
        self.project = require_project(self.root, {})
        self.hub = Hub(self.project, self.root / "home", self.store, compile_entities(self.project.entities))

    @property
    def out(self) -> Path:
        return self.root / "out"

    def flow(self, text: str) -> None:
        """Another mapping from now on."""
        (self.root / "mappings/flows/customers.yaml").write_text(text)
        self.__post_init__()
        migrate_if_needed(self.store, self.project)  # what is sent may be another

    def push(self, flow: str = "customers_out", **said: Any) -> PushResult:
        return push_flow(self.hub, flow, **said)

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

    def company(self, name: str, **said: object) -> int:
        """A customer; returns its id."""
        values = {"type": "customer", "name": name, **said}
        names, places = ", ".join(values), ", ".join(["%s"] * len(values))
        query = f"INSERT INTO crm.company ({names}) VALUES ({places}) RETURNING id"
        return int(self.crm(query, *values.values())[0][0])

    def rename(self, number: int, name: str) -> None:
        self.crm("UPDATE crm.company SET name = %s WHERE id = %s", name, number)

    def there(self) -> list[str]:
        """Every file of the folder, hidden ones too."""
        return sorted(path.name for path in self.out.iterdir())

    def lines(self, name: str, encoding: str = "cp1252") -> list[str]:
        return (self.out / name).read_bytes().decode(encoding).splitlines()

    def refused(self) -> list[tuple[int, str, str]]:
        """(record, state, why) of every marker that something keeps."""
        return [(one.record_id, one.state, one.why) for one in outgoing(self.hub) if one.why]

    def markers(self) -> list[tuple[Any, ...]]:
        return self.sees("SELECT record_id, state, claimed FROM sync.outbox ORDER BY record_id")

    def numbers(self) -> list[tuple[int, str]]:
        return [(int(number), str(state)) for number, state in
                self.sees("SELECT number, state FROM sync.outbound_file ORDER BY number")]


@pytest.fixture
def desk(new_store: Any, tmp_path: Path) -> FileDesk:
    """A fresh CRM and an empty folder."""
    files = {"systems": SYSTEMS, "entities/company": COMPANY, "flows/customers": FLOW}
    for name, text in files.items():
        path = tmp_path / "mappings" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "out").mkdir()
    return FileDesk(tmp_path, new_store(require_project(tmp_path, {})))
