"""A small project with everything that `--json` tells of, and a script that asks every command for it.

A folder of files, a SQL system kept in step both ways, a shop that calls in, and files that are written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import typer
from typer.testing import CliRunner

from crm_store.store import Store
from mappings.language.project import require_project
from pipelines.cli.app import whole
from tests.both_ways_desk import ERP, ERP_TABLES, Outside
from tests.http_desk import ENV, serving
from tests.road_desk import Road

FILES = {
    "entities/company": """
entity: company
masters: {credit_limit: erp, archived: crm, type: crm, else: shared}
fields: {segment_note: {}}
""",
    "flows/erp_companies": ERP,
    "flows/customers": """
flow: customers
system: files
read: {files: "CLI_{day:%Y%m%d}.csv", full: true, every: day, expected_by: "06:00"}
into:
  entity: company
  key: CODE
  match: [siret, [name, postal_code]]
  absent: review
  fields:
    name: {from: NAME, required: true}
    siret: SIRET
    postal_code: {from: ZIP, region: FR}
    phone: {from: PHONE, region: FR}
guard: {rejects: 50%}
schedule: {changes: "0 5 * * *"}
""",
    "flows/contacts": """
flow: contacts
system: files
read: {files: "CON_*.csv"}
into:
  entity: contact
  key: ID
  fields: {last_name: {from: NAME, required: true}, company: {from: CUSTOMER, refers: {entity: company, in: files}}}
  expect: [{expect_table_row_count_to_be_between: {max_value: 2}}]
""",
    "flows/shop_products": """
flow: shop_products
system: shop
read: {hook: true}
into: {entity: product, key: id, fields: {name: {from: name, required: true}}}
""",
    "flows/letters": """
flow: letters
system: files
direction: out
write: {files: "letters_{number:04d}.csv", format: {csv: {delimiter: ";", encoding: cp1252}}, reference: ID}
into: {entity: company, key: ID, fields: {name: NAME}}
""",
}
SYSTEMS = """
systems:
  files: {{connector: file, folder: drop, outbound: out, stable_for: 0s}}
  shop: {{connector: file, hooks: {{secret: "${{SHOP_SECRET}}"}}}}
  erp: {{connector: sql, url: '{url}', settle: 100ms}}
"""
HEAD = "CODE;NAME;SIRET;ZIP;PHONE"


@dataclass
class Asked:
    """One command and what it answered; `shape`: the heading of docs/json.md that describes it."""

    shape: str
    words: tuple[str, ...]
    answer: Any


@dataclass
class Script:
    """Asks the commands of one project, one after the other."""

    road: Road
    erp: Outside
    asked: list[Asked] = field(default_factory=list)
    commands: typer.Typer = field(default_factory=whole)

    def ask(self, shape: str, *words: object) -> Any:
        """What the command answers, which is kept under its shape."""
        said = tuple(map(str, words))
        done = CliRunner().invoke(self.commands, ["--project", str(self.road.root), *said, "--json"])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        self.asked.append(Asked(shape, said, orjson.loads(done.stdout)))
        return self.asked[-1].answer

    def runs(self, *words: object) -> Any:
        """The answer of a command that runs something: one run as it is, none or several with their sum."""
        told = self.ask("A run", *words)
        if "runs" in told:
            self.asked[-1].shape = "Several runs"
        return told

    def drop(self, name: str, *lines: str) -> Path:
        path = self.road.root / "drop" / name
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    def customers(self, day: str, *lines: str) -> Path:
        return self.drop(f"CLI_{day}.csv", HEAD, *lines)

    def everything(self) -> list[Asked]:
        """Every command, in an order in which each has something to tell."""
        for part in (self.project, self.files, self.decisions, self.failures, self.both_ways, self.mending, self.calls,
                     self.standing):
            part()
        return self.asked

    def project(self) -> None:
        self.ask("Problems", "check")
        self.ask("The store", "store", "migrate")
        self.ask("The store's address", "store", "url")
        self.ask("A new token", "token", "create", "web_shop")
        self.ask("Tokens", "token", "list")
        self.ask("An error", "run", "nothing")
        wrong = self.road.root / "mappings" / "flows" / "wrong.yaml"
        wrong.write_text("flow: wrong\nsystem: nobody\n")
        self.ask("An error", "check", "--show", "wrong")
        wrong.unlink()

    def files(self) -> None:
        self.road.crm("INSERT INTO crm.company (name, postal_code, phone) VALUES ('Petit', '59000', '+33199001203')")
        self.customers("20261110", "C1;Petit;;59000;01 99 00 12 02", "C2;Durand;;75001;", "C3;;;;", "C4;Morel;123;;",
                       ";Nokey;;;", "C5;torn")
        self.ask("A preview", "preview", "customers")
        self.runs("run", "customers")
        self.ask("Open causes", "rejects", "list")
        rows = self.ask("Open rows", "rejects", "list", "--rows")["rows"]
        self.ask("Exported rows", "rejects", "export", "customers")
        self.ask("Dismissed rows", "rejects", "dismiss", "--id", next(row["id"] for row in rows if row["key"] == "C3"))
        self.runs("rejects", "replay")
        self.drop("CON_1.csv", "ID;NAME;CUSTOMER", "K1;Roux;C9")
        self.customers("20261113", "C1;Petit;;59000;01 99 00 12 02", "C6;Durand;;75001;")
        self.runs("run", "--all")
        self.ask("Open rows", "rejects", "list", "--rows", "--outcome", "all")
        self.runs("run", "customers")

    def decisions(self) -> None:
        waiting = self.ask("What waits for a person", "review", "list")
        gone = next(row for row in waiting["rows"] if row["causes"][0]["code"] == "gone")
        self.ask("An absent row", "review", "row", gone["id"], "--keep")
        self.ask("A decided conflict", "review", "conflict", waiting["conflicts"][0]["id"], "--theirs")
        self.road.crm("INSERT INTO crm.company (name, postal_code) VALUES ('Roy', '13001'), ('ROY', '13001')")
        self.customers("20261114", "C1;Petit;;59000;", "C2;Durand;;75001;", "C7;Roy;;13001;")
        self.runs("run", "customers")
        fits = self.ask("What waits for a person", "review", "list")["rows"][0]
        self.runs("review", "row", fits["id"], "--link", fits["candidates"][0]["id"])
        self.customers("20261115", ";Nokey;;;", *[f"X{number};Wrong;123;;" for number in range(30)])
        stopped = self.runs("run", "customers")
        self.ask("What waits for a person", "review", "list")
        self.runs("review", "settle", stopped["run_id"], "--approve")
        for key in ("C1", "C7", "X1", gone["key"]):
            self.ask("A trace", "trace", "files", key)

    def failures(self) -> None:
        """Of a run as a whole."""
        self.drop("CON_2.csv", "ID;NAME;CUSTOMER", "K1;Roux;", "K2;Blanc;", "K3;Noir;")
        self.runs("run", "contacts")

    def both_ways(self) -> None:
        self.erp("INSERT INTO customer (name, city, credit) VALUES ('Vidal', 'Lyon', 5), ('Lenoir', 'Paris', 7)")
        self.runs("adopt", "erp_companies")
        self.ask("A preview", "preview", "erp_companies")
        self.runs("run", "erp_companies")
        self.road.crm("UPDATE crm.company SET city = 'Brest' WHERE name = 'Vidal'")
        self.road.crm("INSERT INTO crm.company (name, type) VALUES ('FORBIDDEN', 'customer')")
        self.ask("A push", "push", "erp_companies")
        self.ask("The outbox", "outbox")
        self.ask("Pushes", "push")
        self.ask("A preview", "preview", "letters")
        self.erp("UPDATE customer SET phone = '0199001209' WHERE name = 'Lenoir'")
        self.ask("A comparison", "reconcile", "erp_companies", "--repair")
        self.ask("A comparison", "reconcile", "erp_companies")
        self.runs("rebase", "erp_companies")
        self.ask("Systems", "system", "list")
        self.ask("What a system must record", "system", "prepare", "erp")

    def mending(self) -> None:
        (key,) = (row[0] for row in self.erp("SELECT id::text FROM customer WHERE name = 'Lenoir'"))
        (record,) = (row[0] for row in self.road.crm("SELECT id FROM crm.company WHERE name = 'Lenoir'"))
        (other,) = (row[0] for row in self.road.crm("SELECT id FROM crm.company WHERE name = 'Morel' OR name = 'Vidal'"))
        self.ask("Something mended", "unlink", "erp_companies", key, "--why", "another one")
        self.ask("Something mended", "link", "erp_companies", key, record)
        merged = self.ask("Something mended", "merge", "company", record, other)
        self.ask("Something mended", "undo", merged["id"])
        self.ask("What was mended", "undo")

    def calls(self) -> None:
        with serving(self.road) as caller:
            for said in ({"id": "P1", "name": "Pump"}, {"id": "P1", "name": "Pump"}, {"id": "P2", "name": "Valve"}):
                caller.post(said, path="/hooks/shop/shop_products")
            caller.post({"id": "P1"}, path="/hooks/shop/shop_products", secret="not the shop's")
        number = self.ask("Calls", "inbox", "list")["calls"][0]["number"]
        self.ask("Moved calls", "inbox", "dismiss", number)
        self.ask("Moved calls", "inbox", "retry")
        self.ask("Moved calls", "inbox", "prune")

    def standing(self) -> None:
        self.ask("The status", "status")


def make_script(root: Path, erp: Outside, new_store: Callable[[Any], Store]) -> Script:
    """The project, written and with its store."""
    for name, text in {**FILES, "systems": SYSTEMS.format(url=erp.url)}.items():
        path = root / "mappings" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for folder in ("drop", "out"):
        (root / folder).mkdir()
    project = require_project(root, ENV)
    return Script(Road(root, new_store(project), project), erp)


__all__ = ["ERP_TABLES", "Asked", "Script", "make_script"]
