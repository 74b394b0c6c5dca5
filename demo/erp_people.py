"""The ERP's contacts and products, in the same dialect as its customers."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from demo import delimited, identifiers, names
from demo.manifest import CREATED, SUPERSEDED, WAITS, Row, rejected
from demo.world import Customer, World, plain

CONTACT_HEADER = "CO_NUM;CT_NUM;CIVILITE;NOM;PRENOM;FONCTION;TEL;EMAIL"
PRODUCT_HEADER = "AR_REF;AR_DESIGN;FAMILLE;PRIX;UNITE"
CONTACTS = 3_000
PRODUCTS = 200
CONTACT_FAULTS = (("last name missing", 6, "required"), ("e-mail with a space in it", 8, "not_email"),
    ("line cut short", 5, "columns"))


def contact_cells(random: Random, number: int, customer: Customer) -> dict[str, str]:
    first, last = random.choice(names.FIRST), random.choice(names.LAST)
    phone = identifiers.phone(random)
    mail = f"{plain(first)}.{plain(last)}@{customer.domain}"
    return {
        "CO_NUM": f"P{number:05d}", "CT_NUM": customer.account,
        "CIVILITE": random.choice(("M.", "Mme", "")),
        "NOM": last.upper() if random.random() < 0.4 else last, "PRENOM": first,
        "FONCTION": random.choice(names.FUNCTIONS),
        "TEL": identifiers.spelled(random, phone) if random.random() < 0.6 else "",
        "EMAIL": mail if random.random() < 0.8 else "",
    }


def contact_rows(world: World, companies: Mapping[str, str], random: Random) -> list[Row[bytes]]:
    """Contacts of any customer; `companies` maps an account to what became of it.

    A contact of a company that was not taken in waits for it.
    """
    everyone = (*world.customers, *world.late)
    rows: list[Row[bytes]] = []
    faults = [(name, code) for name, count, code in CONTACT_FAULTS for _ in range(count)]
    for number in range(1, CONTACTS + 1):
        customer = random.choice(everyone)
        cells = contact_cells(random, number, customer)
        fate = CREATED if companies.get(customer.account) == CREATED else WAITS
        if number % 150 == 0 and faults:
            rows.append(_faulted(cells, *faults.pop()))
        elif number % 400 == 7:
            rows.append(_contact({**cells, "FONCTION": "Stagiaire"}, SUPERSEDED, "contact repeated further down"))
            rows.append(_contact(cells, fate))
        else:
            rows.append(_contact(cells, fate, "company not taken in" if fate == WAITS else ""))
    return rows


def _contact(cells: Mapping[str, str], fate: str, fault: str = "") -> Row[bytes]:
    return Row(cells["CO_NUM"], delimited.line(cells.values()), (("contact", fate),), fault)


def _faulted(cells: dict[str, str], name: str, code: str) -> Row[bytes]:
    fate = rejected(code)
    if code == "required":
        return _contact({**cells, "NOM": ""}, fate, name)
    if code == "not_email":
        return _contact({**cells, "EMAIL": "prenom nom@client.example"}, fate, name)
    return Row(cells["CO_NUM"], delimited.cut_short(delimited.line(cells.values())), (("contact", fate),), name)


def product_cells(random: Random, number: int) -> dict[str, str]:
    family, _ = random.choice(names.MACHINES)
    return {
        "AR_REF": f"ART{number:04d}", "AR_DESIGN": f"{random.choice(names.PARTS)} {random.randrange(1, 60)}",
        "FAMILLE": family,
        "PRIX": f"{random.randrange(200, 90_000) / 100:.2f}".replace(".", ","), "UNITE": random.choice(("U", "U",
            "M", "KG", "H")),
    }


def product_rows(random: Random) -> list[Row[bytes]]:
    rows: list[Row[bytes]] = []
    for number in range(1, PRODUCTS + 1):
        cells = product_cells(random, number)
        if number in {50, 150}:
            cells, fate, fault = {**cells, "PRIX": "12,3,4"}, rejected("not_decimal"), "price with two commas"
        else:
            fate, fault = CREATED, ""
        rows.append(Row(cells["AR_REF"], delimited.line(cells.values()), (("product", fate),), fault))
    return rows
