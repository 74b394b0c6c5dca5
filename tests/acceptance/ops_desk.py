"""A desk for the tests of operations: four flows of two systems, run in this process on a real store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from crm_store.entity_tables import compile_entities
from crm_store.store import Store
from mappings.language.project import Project, require_project
from pipelines.hub import Hub
from pipelines.runs.intake import run_flow
from pipelines.runs.result import RunResult

FILES = {
    "systems.yaml": """
systems:
  erp: {connector: file, folder: drop/erp, stable_for: 0s}
  cmms: {connector: file, folder: drop/cmms, stable_for: 0s}
""",
    "entities/company.yaml": """
entity: company
fields:
  tags: {type: choices, values: [blue, green, red]}
masters: {name: erp, siret: erp, archived: erp, else: shared}
""",
    "flows/customers.yaml": """
flow: customers
system: erp
read:
  files: "CLI_{branch}_{day:%Y%m%d}.csv"
  full: true
  every: day
  expected_by: "06:00"
  format: {csv: {delimiter: ";", encoding: cp1252, decimal: ","}}
into:
  - entity: company
    key: [$branch, CODE]
    match: [siret, [name, postal_code]]
    defaults: {type: customer}
    absent: archive
    fields:
      name: {from: NAME, required: true}
      siret: SIRET
      postal_code: {from: POSTCODE, region: FR}
      phone: {from: PHONE, region: FR}
      credit_limit: {from: CREDIT, currency: EUR}
      opened_on: {from: SINCE, format: "%d/%m/%Y"}
      tags: {from: TAGS, split: ","}
      notes: NOTES
guard: {rejects: 50%}
schedule: {changes: "0 5 * * *", timezone: Europe/Paris}
""",
    "flows/contacts.yaml": """
flow: contacts
system: erp
read: {files: "CON_{branch}.csv"}
into:
  entity: contact
  key: ID
  fields:
    last_name: {from: NAME, required: true}
    email: EMAIL
    company: {from: CUSTOMER, refers: company}
""",
    "flows/clients.yaml": """
flow: clients
system: cmms
read: {files: "clients_{number:d}.csv", full: true}
into:
  entity: company
  key: ID
  match: [[name, postal_code]]
  absent: review
  fields:
    name: {from: NAME, required: true}
    postal_code: {from: POSTCODE, region: FR}
""",
    "flows/sites.yaml": """
flow: sites
system: cmms
read: {files: "sites_*.csv"}
into:
  - entity: company
    key: ID
    fields: {name: {from: NAME, required: true}}
  - entity: address
    key: ID
    owner: company
    fields: {city: CITY}
""",
}
HEADER = "CODE;NAME;SIRET;POSTCODE;PHONE;CREDIT;SINCE;TAGS;NOTES"


def customer(code: str, name: str = "", siret: str = "", postcode: str = "59000", **more: str) -> str:
    """A line of the customers' file."""
    cells = {"PHONE": "", "CREDIT": "", "SINCE": "", "TAGS": "", "NOTES": ""} | more
    return ";".join([code, name or f"Company {code}", siret, postcode, *cells.values()])


@dataclass
class OpsDesk:
    """A project with its store. `drop` puts a file into a drop folder, `run` runs a flow on what waits."""

    root: Path
    store: Store
    project: Project
    hub: Hub = field(init=False)

    def __post_init__(self) -> None:
        self.hub = Hub(self.project, self.root / "home", self.store, compile_entities(self.project.entities))

    def drop(self, name: str, *lines: str, system: str = "erp") -> Path:
        path = self.root / "drop" / system / name
        path.write_bytes("".join(f"{line}\r\n" for line in lines).encode("cp1252"))
        return path

    def customers(self, *lines: str, day: str = "20261120", branch: str = "FR", **said: Any) -> RunResult:
        """Drops one day's file and runs it."""
        self.drop(f"CLI_{branch}_{day}.csv", HEADER, *lines)
        return self.run("customers", **said)[-1]

    def clients(self, *lines: str, number: int = 1) -> RunResult:
        self.drop(f"clients_{number}.csv", "ID;NAME;POSTCODE", *lines, system="cmms")
        return self.run("clients")[-1]

    def run(self, flow: str, **said: Any) -> list[RunResult]:
        results = run_flow(self.hub, flow, **said)
        assert [result.problem for result in results if result.state == "failed"] == []
        return results

    def crm(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """As a CRM application."""
        with psycopg.connect(self.store.crm_url, autocommit=True) as connection:
            cursor = connection.execute(statement, values)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []


def make_desk(root: Path, new_store: Callable[[Project], Store]) -> OpsDesk:
    for name, text in FILES.items():
        path = root / "mappings" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for system in ("erp", "cmms"):
        (root / "drop" / system).mkdir(parents=True)
    project = require_project(root, {})
    return OpsDesk(root, new_store(project), project)
