"""The raw exports as the csv module and calamine read them: no part of Navette."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path
from typing import Any

import python_calamine

EXPORTS = Path(__file__).resolve().parents[3] / "shared" / "data" / "exports"
DIALECTS = {
    "dolibarr_companies_iso_semicolon.csv": ("latin-1", ";"),
    "dolibarr_contacts_iso_semicolon.csv": ("latin-1", ";"),
    "dolibarr_contracts_iso_semicolon.csv": ("latin-1", ";"),
    "dolibarr_interventions_utf8_comma.csv": ("utf-8", ","),
    "dolibarr_invoices_payments_iso_comma.csv": ("latin-1", ","),
    "dolibarr_products_iso_semicolon.csv": ("latin-1", ";"),
    "dolibarr_ledger_FEC.txt": ("utf-8", "\t"),
    "tryton_addresses.csv": ("utf-8", ","),
    "tryton_identifiers.csv": ("utf-8", ","),
    "tryton_contact_mechanisms.csv": ("utf-8", ";"),
    "tryton_employees.csv": ("utf-8", ","),
    "tryton_parties.csv": ("utf-8", ","),
    "tryton_parties_fr_semicolon.csv": ("utf-8", ";"),
    "tryton_parties_client_cp1252.csv": ("cp1252", ";"),
    "tryton_products.csv": ("utf-8-sig", ","),
    "tryton_sales.csv": ("utf-16", "\t"),
}
Row = dict[str, str]


def cells(name: str, day: str) -> list[list[str]]:
    path = EXPORTS / day / name
    if name.endswith(".xlsx"):
        sheet = python_calamine.CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0).to_python()
        return [[str(int(v)) if isinstance(v, float) else str(v) for v in row] for row in sheet]
    encoding, delimiter = DIALECTS[name]
    text = io.StringIO(path.read_bytes().decode(encoding), newline="")
    return list(csv.reader(text, delimiter=delimiter))


def rows(name: str, day: str) -> list[Row]:
    """As dictionaries; the second of equal headers is `Header#2`."""
    table = cells(name, day)
    seen: Counter[str] = Counter()
    header = []
    for title in table[0]:
        seen[title] += 1
        header.append(title if seen[title] == 1 else f"{title}#{seen[title]}")
    return [dict(zip(header, row, strict=False)) for row in table[1:]]


def changes(name: str, key: str) -> dict[str, Any]:
    """What day 2 says differently: gone, new, and for each column how many rows changed."""
    before = {r[key]: r for r in rows(name, "day1")}
    after = {r[key]: r for r in rows(name, "day2")}
    changed = [k for k in before if k in after and before[k] != after[k]]
    return {
        "rows": len(after),
        "gone": sorted(before.keys() - after.keys()),
        "new": sorted(after.keys() - before.keys()),
        "changed": len(changed),
        "columns": Counter(c for k in changed for c in before[k] if before[k][c] != after[k].get(c)),
    }


KEYS = {
    "dolibarr_companies.xlsx": "Id",
    "dolibarr_contacts_iso_semicolon.csv": "Identifiant contact",
    "dolibarr_contracts_iso_semicolon.csv": "Identifiant de ligne",
    "dolibarr_interventions_utf8_comma.csv": "Id ligne intervention",
    "dolibarr_invoices_payments_iso_comma.csv": "Id facture",
    "dolibarr_products_iso_semicolon.csv": "Id",
    "tryton_addresses.csv": "ID",
    "tryton_identifiers.csv": "ID",
    "tryton_contact_mechanisms.csv": "ID",
    "tryton_employees.csv": "ID",
    "tryton_parties.csv": "ID",
    "tryton_parties_fr_semicolon.csv": "ID",
    "tryton_products.csv": "ID",
    "horilla_employees.xlsx": "email",
}
