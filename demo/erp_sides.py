"""Two sides of the second demo as their own users see them: SQL in the CRM, calls of its client in Tryton."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg

from connectors.tryton.session import Session
from demo.erp_books import Party
from mappings.errors import RunStopped

PATIENCE = 60.0  # seconds until an arrival is given up
MODELS = ("party.party", "party.address", "party.contact_mechanism", "party.identifier", "product.product",
          "product.template", "sale.sale", "sale.line", "company.employee", "timesheet.line")


@dataclass(frozen=True)
class Crm:
    """The store, as an application that may edit what is not locked."""

    url: str

    def __call__(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def one(self, statement: str, *values: object) -> Any:
        found = self(statement, *values)
        return found[0][0] if found else None

    def refusal(self, statement: str, *values: object) -> list[str]:
        """What the database says to an edit that it refuses. Raises SystemExit where it takes it."""
        try:
            self(statement, *values)
        except psycopg.Error as refusal:
            said = refusal.diag
            return [line for line in (said.message_primary, said.message_detail, said.message_hint) if line]
        raise SystemExit("the edit went through: the lock does not hold")


@dataclass(frozen=True)
class Erp:
    """Tryton, as somebody who works in it."""

    session: Session

    def codes(self, name: str) -> list[str]:
        """Of the parties with this name."""
        found = self.session.read("model.party.party.search_read", [["name", "=", name]], 0, None, None, ["code"])
        return [row["code"] for row in found]

    def customers(self) -> list[Party]:
        """Every party with a SIRET, by its number."""
        found = self.session.read("model.party.identifier.search_read", [["type", "=", "fr_siret"]], 0, None,
                                  [["party", "ASC"]], ["code", "party.name", "party.phone", "party.email"])
        return [Party(row["party."]["name"], row["code"], row["party."]["phone"], row["party."]["email"])
                for row in found]

    def party(self, code: str) -> dict[str, Any]:
        """Id, name, phone and e-mail of the party with this code, as Tryton's client shows them."""
        return self._one("party.party", ["code", "=", code], "name", "phone", "email")

    def address(self, code: str) -> dict[str, Any]:
        """The first address of the party."""
        return self._one("party.address", ["party.code", "=", code], "street", "postal_code", "city")

    def rename(self, code: str, name: str) -> None:
        self._write("party.party", self.party(code)["id"], {"name": name})

    def move(self, code: str, city: str) -> None:
        self._write("party.address", self.address(code)["id"], {"city": city})

    def reach(self, code: str, kind: str, value: str) -> None:
        """Edits a phone or an e-mail, which are records of their own."""
        mechanism = self._one("party.contact_mechanism", [["party.code", "=", code], ["type", "=", kind]])
        self._write("party.contact_mechanism", mechanism["id"], {"value": value})

    def stamps(self) -> dict[tuple[str, int], Any]:
        """When each record was last written; a write of any kind moves its stamp, or adds or removes one."""
        return {(model, row["id"]): row["last_modified_at"] for model in MODELS for row in self.session.read(
            f"model.{model}.search_read", [], 0, None, None, ["last_modified_at"], context={"active_test": False})}

    def _one(self, model: str, where: list[Any], *names: str) -> dict[str, Any]:
        found = self.session.read(f"model.{model}.search_read", [where], 0, 1, None, list(names))
        return dict(found[0]) if found else {}

    def _write(self, model: str, number: int, values: dict[str, Any]) -> None:
        self.session.write(f"model.{model}.write", [number], values)


def arrival(what: str, question: Callable[[], object], wanted: object) -> float:
    """Seconds until the question has the wanted answer. Raises RunStopped when that takes too long."""
    began = time.perf_counter()
    while (seen := question()) != wanted:
        if time.perf_counter() - began > PATIENCE:
            raise RunStopped(f"{what} did not arrive in {PATIENCE:.0f} s: still {seen!r}, not {wanted!r}",
                             todo="live.txt beside the store tells what navette live did")
        time.sleep(0.05)
    return time.perf_counter() - began
