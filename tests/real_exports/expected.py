"""What the exports must come to, worked out from the raw files with the csv module alone (no part of Navette)."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from stdnum.fr import siret as siret_numbers

sys.path.insert(0, str(Path(__file__).parent))
from raw_exports import EXPORTS, KEYS, Row, changes, rows

Outcomes = dict[str, dict[str, int]]


def folded(text: str) -> str:
    text = text.replace("œ", "oe").replace("Œ", "OE")
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(re.sub(r"[\W_]+", " ", bare.casefold()).split())


def company_name(text: str) -> str:
    """Without legal form, ETS for Établissements, words in any order."""
    name = folded(text)
    name = re.sub(r"\bs a r l\b|\bs a rl\b|\bsa rl\b", "sarl", name)
    name = re.sub(r"\bs a s u\b", "sasu", name)
    name = re.sub(r"\bs a s\b", "sas", name)
    name = re.sub(r"\be u r l\b", "eurl", name)
    name = re.sub(r"\bs a\b", "sa", name)
    name = re.sub(r"\b(societe par actions simplifiee|sarl|sasu?|sa|snc|sci|eurl|et)\b", " ", name)
    return " ".join(sorted(re.sub(r"\betablissements\b", "ets", name).split()))


def bare(text: str) -> str:
    return re.sub(r"\s", "", text)


def tryton_companies(day: str) -> list[Row]:
    """Active parties with a category: code, name, siren, siret, vat, postal code."""
    found = {
        r["Code"]: {"key": r["Code"], "name": r["Nom"], "siren": bare(r["SIREN"]), "siret": "", "vat": "", "pc": ""}
        for r in rows("tryton_parties_fr_semicolon.csv", day)
        if r["Catégories"]
    }
    for r in rows("tryton_identifiers.csv", day):
        if r["Tiers/Code"] in found and r["Type"] == "fr_siret":
            found[r["Tiers/Code"]]["siret"] = bare(r["Code"])
        elif r["Tiers/Code"] in found and r["Type"] in ("eu_vat", ""):
            found[r["Tiers/Code"]]["vat"] = bare(r["Code"])
    for r in rows("tryton_addresses.csv", day):
        if r["Tiers/Code"] in found and r["Séquence"] == "1":
            found[r["Tiers/Code"]]["pc"] = bare(r["Code postal"])
    return list(found.values())


def dolibarr_companies(day: str) -> list[Row]:
    return [
        {
            "key": r["Id"],
            "name": r["Nom"],
            "siren": bare(r["Identifiant professionnel 1"]),
            "pc": bare(r["Code postal"]),
            "siret": bare(r["Identifiant professionnel 2"]),
            "vat": bare(r["Numéro TVA"]),
            "code": r["Code client"],
        }
        for r in rows("dolibarr_companies.xlsx", day)
    ]


Candidate = tuple[str, list[Row]]


def matcher(known: Iterable[Row], same: Callable[[str], str]) -> Callable[[Row], Candidate]:
    """The three rules of the flows: SIRET; name and postal code; VAT number (unless SIRETs differ)."""
    index: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in known:
        for key in keys(row, same):
            index[key].append(row)

    def look(row: Row) -> Candidate:
        for key in keys(row, same):
            hits = [h for h in index.get(key, []) if h is not row]
            if key[0] == "vat":
                hits = [h for h in hits if not (row["siret"] and h["siret"] and row["siret"] != h["siret"])]
            if hits:
                return key[0], hits
        return "", []

    return look


def keys(row: Row, same: Callable[[str], str]) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    if row["siret"]:
        found.append(("siret", row["siret"]))
    if row["pc"] and row["name"]:
        found.append(("name", same(row["name"]), row["pc"]))
    if row["vat"]:
        found.append(("vat", row["vat"]))
    return found


def judge(new: list[Row], known: list[Row], same: Callable[[str], str]) -> dict[str, tuple[str, str]]:
    """key -> (new | linked | review | rejected, why). Of two new rows that are one company, both go to review."""
    result: dict[str, tuple[str, str]] = {}
    taken: dict[str, list[str]] = defaultdict(list)
    look = matcher(known, same)
    for row in new:
        if row["siret"] and not siret_numbers.is_valid(row["siret"]):
            result[row["key"]] = ("rejected", "not_siret")
            continue
        rule, hits = look(row)
        if len(hits) > 1:
            result[row["key"]] = ("review", f"ambiguous {rule}")
        elif hits:
            hit = hits[0]
            if rule == "name":
                agrees = not (row["siret"] and hit["siret"]) or row["siret"] == hit["siret"]
            else:
                agrees = same(row["name"]) == same(hit["name"]) or row["pc"] == hit["pc"]
            if agrees:
                result[row["key"]] = ("linked", hit["key"])
                taken[hit["key"]].append(row["key"])
            else:
                result[row["key"]] = ("review", f"doubtful {rule}")
        else:
            result[row["key"]] = ("new", "")
    for several in taken.values():
        if len(several) > 1:
            result.update(dict.fromkeys(several, ("review", "twins")))
    left = [row for row in new if result[row["key"]][0] == "new"]
    look = matcher(left, same)
    for row in left:
        rule, hits = look(row)
        if hits:
            result[row["key"]] = ("review", f"twins {rule}")
    return result


def day_one(same: Callable[[str], str] = company_name) -> dict[str, Any]:
    day = "day1"
    facts: dict[str, Any] = {}
    tryton = tryton_companies(day)
    t = judge(tryton, [], same)
    held = {k for k, (what, _) in t.items() if what != "new"}
    parties = rows("tryton_parties_fr_semicolon.csv", day)
    employees = sum(1 for r in parties if not r["Catégories"])
    facts["tryton_parties_fr_semicolon"] = {
        "company": {"read": len(parties), "skipped": employees, "review": len(held), "created": len(tryton) - len(held)}
    }
    facts["tryton_parties"] = {
        "company": {
            "read": len(rows("tryton_parties.csv", day)),
            "skipped": employees,
            "parked": len(held),
            "unchanged": len(tryton) - len(held),
        }
    }
    client = rows("tryton_parties_client_cp1252.csv", day)
    heads = [r for r in client if r["Code"]]
    facts["tryton_parties_client_cp1252"] = {
        "company": {
            "read": len(client),
            "skipped": len(client) - len(heads),
            "parked": sum(r["Code"] in held for r in heads),
            "updated": sum(r["Code"] not in held for r in heads),
        }
    }
    numbers = rows("tryton_identifiers.csv", day)
    facts["tryton_identifiers"] = {}
    for into, types in {"siren": ["fr_siren"], "siret": ["fr_siret"], "vat_number": ["eu_vat", ""]}.items():
        mine = [r for r in numbers if r["Type"] in types]
        facts["tryton_identifiers"][into] = {
            "read": len(numbers),
            "skipped": len(numbers) - len(mine),
            "parked": sum(r["Tiers/Code"] in held for r in mine),
            "unchanged": sum(r["Tiers/Code"] not in held for r in mine),
        }
    places = rows("tryton_addresses.csv", day)
    first = [r for r in places if r["Séquence"] == "1"]
    facts["tryton_addresses"] = {
        "company": {
            "read": len(places),
            "skipped": len(places) - len(first),
            "parked": sum(r["Tiers/Code"] in held for r in first),
            "updated": sum(r["Tiers/Code"] not in held for r in first),
        },
        "address": {
            "read": len(places),
            "parked": sum(r["Tiers/Code"] in held for r in places),
            "created": sum(r["Tiers/Code"] not in held for r in places),
        },
    }
    means = rows("tryton_contact_mechanisms.csv", day)
    mails = [r for r in means if r["Nom"] and r["Type"] == "email"]
    mobiles = [r for r in means if r["Nom"] and r["Type"] == "mobile"]
    mailed = {(r["Tiers/Code"], r["Nom"]) for r in mails}
    shared_mail = Counter((r["Tiers/Code"], r["Valeur"].lower()) for r in mails)
    phones = [r for r in means if not r["Nom"] and r["Type"] == "phone"]
    facts["tryton_contact_mechanisms"] = {
        "person_email": {
            "read": len(means),
            "skipped": len(means) - len(mails),
            "parked": sum(r["Tiers/Code"] in held for r in mails),
            "created": sum(r["Tiers/Code"] not in held for r in mails),
            "of these one e-mail for two persons of a company": sum(
                n for k, n in shared_mail.items() if n > 1 and k[0] not in held
            ),
        },
        "person_mobile": {
            "read": len(means),
            "skipped": len(means) - len(mobiles),
            "parked": sum(r["Tiers/Code"] in held for r in mobiles),
            "updated": sum((r["Tiers/Code"], r["Nom"]) in mailed and r["Tiers/Code"] not in held for r in mobiles),
            "created": sum((r["Tiers/Code"], r["Nom"]) not in mailed and r["Tiers/Code"] not in held for r in mobiles),
        },
        "phone": {
            "read": len(means),
            "skipped": len(means) - len(phones),
            "parked": sum(r["Tiers/Code"] in held for r in phones),
            "unchanged": sum(r["Tiers/Code"] not in held for r in phones),
        },
    }
    facts["tryton_products"] = {"product": {"read": 500, "created": len(rows("tryton_products.csv", day))}}
    facts["tryton_employees"] = {"employee": {"read": 61, "created": len(rows("tryton_employees.csv", day))}}
    sales = rows("tryton_sales.csv", day)
    party = ""
    lines: Counter[str] = Counter()
    for r in sales:
        party = r["Tiers/Code"] or party
        lines["skipped" if not r["Lignes/Quantité"] else "parked" if party in held else "created"] += 1
    heads = [r for r in sales if r["ID"]]
    facts["tryton_sales"] = {
        "document": {
            "read": len(sales),
            "skipped": len(sales) - len(heads),
            "parked": sum(r["Tiers/Code"] in held for r in heads),
            "created": sum(r["Tiers/Code"] not in held for r in heads),
        },
        "document_line": {"read": len(sales), **lines},
    }

    companies = dolibarr_companies(day)
    d = judge(companies, [r for r in tryton if r["key"] not in held], same)
    what = Counter(w for w, _ in d.values())
    facts["dolibarr_companies"] = {
        "company": {
            "read": len(companies),
            "created": what["new"],
            "updated": what["linked"],
            "review": what["review"],
            "rejected": what["rejected"],
        }
    }
    facts["why"] = {
        "tryton": Counter(" ".join(v) for v in t.values() if v[0] == "review"),
        "dolibarr": Counter(" ".join(v) for v in d.values() if v[0] == "review"),
    }
    out = {k for k, (w, _) in d.items() if w in ("review", "rejected")}
    facts["dolibarr_companies_iso_semicolon"] = {
        "company": {"read": len(companies), "parked": len(out), "updated": len(companies) - len(out)}
    }
    people = rows("dolibarr_contacts_iso_semicolon.csv", day)
    contacts = [r for r in people if r["Nom"] != "Adresse de livraison"]
    places = [r for r in people if r["Nom"] == "Adresse de livraison"]
    waiting = lambda some, column: sum(r[column] in out for r in some)  # noqa: E731 (one expression, used at once)
    facts["dolibarr_contacts"] = {
        "contact": {
            "read": len(people),
            "skipped": len(places),
            "parked": waiting(contacts, "Identifiant société"),
            "created, updated or review": len(contacts) - waiting(contacts, "Identifiant société"),
            **dolibarr_people(contacts, d, out, mails, mobiles),
        },
        "address": {
            "read": len(people),
            "skipped": len(contacts),
            "parked": waiting(places, "Identifiant société"),
            "created": len(places) - waiting(places, "Identifiant société"),
        },
    }
    for flow, name, head, head_id in (
        ("dolibarr_contracts", "dolibarr_contracts_iso_semicolon.csv", "contract", "Id"),
        ("dolibarr_interventions", "dolibarr_interventions_utf8_comma.csv", "work_order", "Id intervention"),
    ):
        table = rows(name, day)
        distinct = {r[head_id]: r for r in table}
        line = "document_line" if head == "contract" else "time_entry"
        facts[flow] = {
            head: {
                "read": len(table),
                "superseded": len(table) - len(distinct),
                "parked": waiting(distinct.values(), "Identifiant société"),
                "created": len(distinct) - waiting(distinct.values(), "Identifiant société"),
            },
            line: {
                "read": len(table),
                "parked": waiting(table, "Identifiant société"),
                "created": len(table) - waiting(table, "Identifiant société"),
            },
        }
    facts["dolibarr_products"] = {
        "product": {"read": 420, "updated": len(rows("dolibarr_products_iso_semicolon.csv", day))}
    }
    invoices = rows("dolibarr_invoices_payments_iso_comma.csv", day)
    waits = waiting(invoices, "Identifiant société")
    facts["dolibarr_invoices"] = {
        "document": {"read": len(invoices), "parked": waits, "created": len(invoices) - waits}
    }
    facts |= ledgers(
        day,
        {c["code"] for c in companies if c["key"] in out and c["code"]},
        {r["Réf. facture"] for r in invoices if r["Identifiant société"] in out},
    )
    facts["horilla_employees"] = {"employee": {"read": 61, "skipped": 1, "updated": 60}}
    return facts


def dolibarr_people(
    contacts: list[Row], companies: dict[str, tuple[str, str]], out: set[str], mails: list[Row], mobiles: list[Row]
) -> Row:
    """How many of Dolibarr's contacts are a person whom Tryton has at the same company."""
    by_mail = {(r["Tiers/Code"], r["Valeur"].lower()) for r in mails}
    by_name = {(r["Tiers/Code"], folded(r["Nom"])) for r in (*mails, *mobiles)}
    known = twice = 0
    seen: Counter[tuple[str, str]] = Counter()
    for r in contacts:
        if r["Identifiant société"] in out:
            continue
        state, party = companies[r["Identifiant société"]]
        name = folded(f"{r['Prénom']} {r['Nom']}")
        seen[(r["Identifiant société"], name)] += 1
        if state == "linked" and ((party, r["Email"].lower()) in by_mail or (party, name) in by_name):
            known += 1
    twice = sum(n for n in seen.values() if n > 1)
    return {"of these known from Tryton": known, "of these twice at one company": twice}  # type: ignore[dict-item]


def ledgers(day: str, codes: set[str], invoices: set[str]) -> Outcomes:
    """Lines wait for a customer, or an invoice, that was not taken in."""
    fec = rows("dolibarr_ledger_FEC.txt", day)
    waits = [r for r in fec if r["CompAuxNum"] in codes or r["PieceRef"] in invoices]
    facts: dict[str, Any] = {
        "dolibarr_ledger_fec": {
            "ledger_entry": {"read": len(fec), "parked": len(waits), "created": len(fec) - len(waits)}
        }
    }
    parked = {(r["EcritureNum"], r["CompteNum"]) for r in waits}
    folder = EXPORTS / day
    fixed = folder.joinpath("dolibarr_ledger_Quadratus_QuadraCompta.csv").read_text("utf-8").splitlines()
    facts["dolibarr_ledger_quadratus"] = {
        "lines": {
            "of kind M": sum(x[0] == "M" for x in fixed),
            "of kind C": sum(x[0] == "C" for x in fixed),
            "customer codes": len({x[1:9] for x in fixed if x[0] == "C"}),
        }
    }
    compta = [
        x.split(";")
        for x in folder.joinpath("dolibarr_ledger_LD_Compta_v10_et_superieure.csv").read_text("utf-8").splitlines()
    ]
    facts["dolibarr_ledger_ld_compta"] = {
        "lines": {
            "E": sum(x[0] == "E" for x in compta),
            "C": sum(x[0] == "C" for x in compta),
            "C of 48 columns": sum(x[0] == "C" and len(x) == 48 for x in compta),
            "C of 48 columns once entities are characters": sum(
                x[0] == "C" and len(x) - sum(bool(re.search(r"&\w+$", y)) for y in x) == 48 for x in compta
            ),
            "customers": len({x[1] for x in compta if x[0] == "C"}),
        }
    }
    facts["ledger lines that every format has"] = {
        "lines": {"FEC": len(fec), "others": sum(x[0] == "E" for x in compta), "FEC lines that wait": len(parked)}
    }
    return facts


if __name__ == "__main__":
    day_two = {name: changes(name, key) for name, key in KEYS.items()}
    json.dump({"day1": day_one(), "day2": day_two}, sys.stdout, ensure_ascii=False, indent=1)
