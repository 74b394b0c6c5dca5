"""Believable French data in a Tryton: customers, products, sales, employees and their hours; the same for one seed."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from connectors.tryton.session import Session
from connectors.tryton.values import wire_value
from demo import identifiers, names
from demo.tryton_company import YEAR
from demo.tryton_server import running
from mappings.errors import NavetteError

BATCH = 100
INTERNAL = "Interne"  # the category of parties that are no customers: employees, and the company itself
WORKS = ("Dépannage", "Entretien", "Mise en service")


@dataclass(frozen=True)
class Sizes:
    """How many of each."""

    parties: int = 300
    products: int = 50
    sales: int = 40
    employees: int = 10
    hours: int = 60


def fill(session: Session, seed: int = 1, sizes: Sizes | None = None) -> dict[str, int]:
    """Creates everything in a database that `set_up_company` has prepared. Returns the number of records by model."""
    random, sizes = Random(seed), sizes or Sizes()
    parties = _create(session, "party.party", [_party(session, random, number) for number in range(sizes.parties)])
    addresses = session.read("model.party.address.search_read", [["party", "in", parties]], 0, None, [["id", "ASC"]],
                             ["party"])
    _create(session, "party.identifier", [_siret(address, number) for number, address in enumerate(addresses)])
    templates = _create(session, "product.template", _products(session, random, sizes.products))
    products = session.read("model.product.product.search", [["template", "in", templates]], 0, None, [["id", "ASC"]])
    sales = _create(session, "sale.sale", [_sale(session, random, parties, products) for _ in range(sizes.sales)])
    [internal] = _create(session, "party.category", [{"name": INTERNAL}])
    own = _one(session, "company.company", "currency.code", "EUR")
    [company] = session.read("model.company.company.read", [own], ["party"])
    session.write("model.party.party.write", [company["party"]], {"categories": [["add", [internal]]]})
    people = _create(session, "party.party", [
        {"name": f"{random.choice(names.FIRST)} {random.choice(names.LAST)}", "categories": [["add", [internal]]]}
        for _ in range(sizes.employees)])
    employees = _create(session, "company.employee", [
        {"party": party, "start_date": _day(random, YEAR - 5, 5 * 365)} for party in people])
    works = _create(session, "timesheet.work", [{"name": name} for name in WORKS])
    hours = _create(session, "timesheet.line", [
        {"employee": random.choice(employees), "work": random.choice(works), "date": _day(random, YEAR, 300),
         "duration": wire_value("timedelta", str(900 * random.randint(1, 32)))} for _ in range(sizes.hours)])
    return {"party.party": len(parties) + len(people), "product.template": len(templates), "sale.sale": len(sales),
            "company.employee": len(employees), "timesheet.line": len(hours)}


def _party(session: Session, random: Random, number: int) -> dict[str, Any]:
    name = f"{random.choice(names.FORMS)}{random.choice(names.TRADES)} {random.choice(names.SIGNS)}"
    postal_code, city = random.choice(names.TOWNS)
    domain = "".join(sign for sign in unicodedata.normalize("NFKD", name.lower()) if sign.isascii() and sign.isalnum())
    phone = f"{random.choice(identifiers.FICTIONAL)}{random.randint(0, 9999):04d}"
    reached = [{"type": "email", "value": f"contact@{domain}{number}.example"}, {"type": "phone", "value": phone}]
    address = {"street_unstructured": f"{random.randint(1, 120)} {random.choice(names.STREETS)}",
               "postal_code": postal_code, "city": city, "country": _one(session, "country.country", "code", "FR")}
    return {"name": name, "addresses": [["create", [address]]], "contact_mechanisms": [["create", reached]]}


def _siret(address: dict[str, Any], number: int) -> dict[str, Any]:
    """A SIRET is an establishment's: Tryton wants its address."""
    code = identifiers.siret(identifiers.siren(50_000 + number))
    return {"party": address["party"], "address": address["id"], "type": "fr_siret", "code": code}


def _products(session: Session, random: Random, count: int) -> list[dict[str, Any]]:
    unit = _one(session, "product.uom", "name", "Unit")
    category = _one(session, "product.category", "name", "Matériel")
    return [{
        "name": f"{random.choice(names.PARTS)} n° {number}", "type": "goods", "default_uom": unit, "salable": True,
        "sale_uom": unit, "account_category": category, "list_price": _amount(random, 500, 90_000),
        "products": [["create", [{"suffix_code": f"P{number:04d}"}]]],
    } for number in range(1, count + 1)]


def _sale(session: Session, random: Random, parties: list[int], products: list[int]) -> dict[str, Any]:
    party = random.choice(parties)
    address = _one(session, "party.address", "party", party)
    unit = _one(session, "product.uom", "name", "Unit")
    lines = [{"product": product, "unit": unit, "quantity": float(random.randint(1, 12)),
              "unit_price": _amount(random, 500, 90_000)} for product in random.sample(products, random.randint(1, 5))]
    return {"party": party, "invoice_address": address, "shipment_address": address,
            "payment_term": _one(session, "account.invoice.payment_term", "name", "30 jours"),
            "sale_date": _day(random, YEAR, 300), "lines": [["create", lines]]}


def _create(session: Session, model: str, rows: list[dict[str, Any]]) -> list[int]:
    made: list[int] = []
    for at in range(0, len(rows), BATCH):
        made += session.write(f"model.{model}.create", rows[at : at + BATCH])
    return made


def _one(session: Session, model: str, field: str, value: object) -> int:
    return int(session.read(f"model.{model}.search", [[field, "=", value]], 0, 1, [["id", "ASC"]])[0])


def _day(random: Random, year: int, days: int) -> Any:
    return wire_value("date", (dt.date(year, 1, 1) + dt.timedelta(random.randrange(days))).isoformat())


def _amount(random: Random, least: int, most: int) -> Any:
    """Cents."""
    return wire_value("numeric", str(Decimal(random.randint(least, most)) / 100))


def main() -> int:
    parser = argparse.ArgumentParser(description="Fills a new Tryton with made-up customers and what they buy.")
    parser.add_argument("--in", dest="folder", type=Path, required=True, help="the folder of its database")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    try:
        with running(asked.folder.resolve()) as server:
            session = Session(server.settings())
            made = fill(session, asked.seed)
            session.close()
    except NavetteError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(", ".join(f"{count} {model}" for model, count in made.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
