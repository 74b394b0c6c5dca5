"""What the first day must come to, worked out from the raw files with the csv module alone (no part of Navette).

`python -m tests.real_exports.expected` prints it, and what changes on the second day.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.real_exports.companies import company_name, dolibarr_companies, folded, judge, tryton_companies
from tests.real_exports.ledgers import ledgers
from tests.real_exports.raw_exports import KEYS, Row, changes, rows

Outcomes = dict[str, dict[str, dict[str, int]]]  # flow -> into -> outcome -> rows; zeros left out
DAY = "day1"


@dataclass
class Facts:
    """Which companies are taken in: of Tryton by code, of Dolibarr by number; the rest waits for somebody."""

    tryton: list[Row] = field(default_factory=lambda: tryton_companies(DAY))
    dolibarr: list[Row] = field(default_factory=lambda: dolibarr_companies(DAY))
    tryton_said: dict[str, tuple[str, str]] = field(init=False)
    dolibarr_said: dict[str, tuple[str, str]] = field(init=False)

    def __post_init__(self) -> None:
        self.tryton_said = judge(self.tryton, [], company_name)
        known = [row for row in self.tryton if row["key"] not in self.held]
        self.dolibarr_said = judge(self.dolibarr, known, company_name)

    @property
    def held(self) -> set[str]:
        return {key for key, (what, _) in self.tryton_said.items() if what != "new"}

    @property
    def out(self) -> set[str]:
        return {key for key, (what, _) in self.dolibarr_said.items() if what in ("review", "rejected")}

    @property
    def why(self) -> dict[str, Counter[str]]:
        return {
            system: Counter(" ".join(verdict) for verdict in said.values() if verdict[0] == "review")
            for system, said in (("tryton", self.tryton_said), ("dolibarr", self.dolibarr_said))
        }


def told(read: int, **outcomes: int) -> dict[str, int]:
    return {"rows_read": read, **{name: count for name, count in outcomes.items() if count}}


def split(all_rows: int, mine: list[Row], column: str, waiting: set[str], outcome: str) -> dict[str, int]:
    """`mine` of the rows are taken (as `outcome`) or parked, by the company in `column`; the others are skipped."""
    parked = sum(row[column] in waiting for row in mine)
    return told(all_rows, skipped=all_rows - len(mine), parked=parked, **{outcome: len(mine) - parked})


def day_one(facts: Facts | None = None) -> Outcomes:
    facts = facts or Facts()
    return tryton(facts) | dolibarr(facts) | ledgers(DAY, facts.dolibarr, facts.out) | {
        "horilla_employees": {"employee": told(61, skipped=1, updated=60)},
    }


def tryton(facts: Facts) -> Outcomes:
    held, party = facts.held, "Tiers/Code"
    parties = rows("tryton_parties_fr_semicolon.csv", DAY)
    companies, employees = len(facts.tryton), sum(1 for row in parties if not row["Catégories"])
    plain = rows("tryton_parties.csv", DAY)
    client = rows("tryton_parties_client_cp1252.csv", DAY)
    numbers = rows("tryton_identifiers.csv", DAY)
    places = rows("tryton_addresses.csv", DAY)
    means = rows("tryton_contact_mechanisms.csv", DAY)
    mails, mobiles = persons(means)
    mailed = {(row[party], row["Nom"]) for row in mails}
    taken = [row for row in mobiles if row[party] not in held]
    again = sum((row[party], row["Nom"]) in mailed for row in taken)
    kinds = {"siren": ["fr_siren"], "siret": ["fr_siret"], "vat_number": ["eu_vat", ""]}
    return {
        "tryton_parties_fr_semicolon": {"company": told(
            len(parties), skipped=employees, review=len(held), created=companies - len(held))},
        "tryton_parties": {"company": split(
            len(plain), [row for row in plain if row["Catégories"]], "Code", held, "unchanged")},
        "tryton_parties_client_cp1252": {"company": split(
            len(client), [row for row in client if row["Code"]], "Code", held, "updated")},
        "tryton_identifiers": {
            into: split(len(numbers), [row for row in numbers if row["Type"] in types], party, held, "unchanged")
            for into, types in kinds.items()
        },
        "tryton_addresses": {
            "company": split(len(places), [row for row in places if row["Séquence"] == "1"], party, held, "updated"),
            "address": split(len(places), places, party, held, "created"),
        },
        "tryton_contact_mechanisms": {
            "person_email": split(len(means), mails, party, held, "created"),
            "person_mobile": told(len(means), skipped=len(means) - len(mobiles), parked=len(mobiles) - len(taken),
                                  updated=again, created=len(taken) - again),
            "phone": split(len(means), [row for row in means if not row["Nom"] and row["Type"] == "phone"], party, held,
                           "unchanged"),
        },
        "tryton_products": {"product": told(500, created=len(rows("tryton_products.csv", DAY)))},
        "tryton_employees": {"employee": told(61, created=len(rows("tryton_employees.csv", DAY)))},
        "tryton_sales": sales(held),
    }


def persons(means: list[Row]) -> tuple[list[Row], list[Row]]:
    """The lines that tell a person's e-mail, and those that tell a person's mobile number."""
    return tuple([row for row in means if row["Nom"] and row["Type"] == kind] for kind in ("email", "mobile"))  # type: ignore[return-value]


def sales(held: set[str]) -> dict[str, dict[str, int]]:
    table = rows("tryton_sales.csv", DAY)
    party = ""
    lines: Counter[str] = Counter()
    for row in table:
        party = row["Tiers/Code"] or party
        lines["skipped" if not row["Lignes/Quantité"] else "parked" if party in held else "created"] += 1
    heads = [row for row in table if row["ID"]]
    return {"document": split(len(table), heads, "Tiers/Code", held, "created"),
            "document_line": told(len(table), **lines)}


def dolibarr(facts: Facts) -> Outcomes:
    out, company = facts.out, "Identifiant société"
    what = Counter(verdict for verdict, _ in facts.dolibarr_said.values())
    invoices = rows("dolibarr_invoices_payments_iso_comma.csv", DAY)
    return {
        "dolibarr_companies": {"company": told(
            len(facts.dolibarr), created=what["new"], updated=what["linked"], review=what["review"],
            rejected=what["rejected"])},
        "dolibarr_companies_iso_semicolon": {"company": completed(facts)},
        "dolibarr_parents": {"parent": parents(facts)},
        "dolibarr_contacts": contacts(facts),
        "dolibarr_contracts": heads_and_lines(
            "dolibarr_contracts_iso_semicolon.csv", ("contract", "Id"), "document_line", out),
        "dolibarr_interventions": heads_and_lines(
            "dolibarr_interventions_utf8_comma.csv", ("work_order", "Id intervention"), "time_entry", out),
        "dolibarr_products": {"product": told(420, updated=len(rows("dolibarr_products_iso_semicolon.csv", DAY)))},
        "dolibarr_invoices": {"document": split(len(invoices), invoices, company, out, "created")},
    }


def heads_and_lines(name: str, head: tuple[str, str], line: str, out: set[str]) -> dict[str, dict[str, int]]:
    table = rows(name, DAY)
    heads = {row[head[1]]: row for row in table}
    parked = sum(row["Identifiant société"] in out for row in heads.values())
    return {
        head[0]: told(len(table), superseded=len(table) - len(heads), parked=parked, created=len(heads) - parked),
        line: split(len(table), table, "Identifiant société", out, "created"),
    }


def completed(facts: Facts) -> dict[str, int]:
    """The CSV adds notes, and street and phone where Tryton says none. What has a `?` says nothing."""
    phones = {row["Code"] for row in rows("tryton_parties_fr_semicolon.csv", DAY) if row["Téléphone"]}
    streets = {row["Tiers/Code"] for row in rows("tryton_addresses.csv", DAY) if row["Séquence"] == "1" and row["Rue"]}
    counts: Counter[str] = Counter()
    for row in rows("dolibarr_companies_iso_semicolon.csv", DAY):
        verdict, party = facts.dolibarr_said[row["Id"]]
        adds = row["Note (privée)"] and "?" not in row["Note (privée)"]
        adds = adds or (row["Téléphone"] and party not in phones)
        adds = adds or (row["Adresse"] and "?" not in row["Adresse"] and party not in streets)
        counts["parked" if row["Id"] in facts.out else "updated" if adds else "unchanged"] += 1
    return told(len(facts.dolibarr), **counts) if verdict else {}


def parents(facts: Facts) -> dict[str, int]:
    """Linked where exactly one company has the parent's name."""
    names = {row["key"]: row["name"] for row in facts.tryton if row["key"] not in facts.held}
    names |= {f"d{row['key']}": row["name"] for row in facts.dolibarr if facts.dolibarr_said[row["key"]][0] == "new"}
    known = Counter(company_name(name) for name in names.values())
    counts: Counter[str] = Counter()
    for row in rows("dolibarr_companies.xlsx", DAY):
        one = known[company_name(row["Maison mère"])] == 1
        counts["skipped" if not row["Maison mère"] else "parked" if row["Id"] in facts.out
               else "updated" if one else "unchanged"] += 1
    return told(len(facts.dolibarr), **counts)


def contacts(facts: Facts) -> dict[str, dict[str, int]]:
    table = rows("dolibarr_contacts_iso_semicolon.csv", DAY)
    people = [row for row in table if row["Nom"] != "Adresse de livraison"]
    places = [row for row in table if row["Nom"] == "Adresse de livraison"]
    verdicts = Counter(person_verdicts(facts, people).values())
    return {
        "contact": told(len(table), skipped=len(places), **verdicts),
        "address": split(len(table), places, "Identifiant société", facts.out, "created"),
    }


def person_verdicts(facts: Facts, people: list[Row]) -> dict[str, str]:
    """By contact: the person of Tryton with the same name at the same company, else the same e-mail and one name in
    common; two rows for one person, known or new, both wait."""
    mails, mobiles = persons(rows("tryton_contact_mechanisms.csv", DAY))
    by_name: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    by_mail: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in (*mails, *mobiles):
        first, last = row["Nom"].split(None, 1)
        by_name[row["Tiers/Code"], folded(first), folded(last)].add(row["Nom"])
    for row in mails:
        by_mail[row["Tiers/Code"], row["Valeur"].lower()].add(row["Nom"])
    found: dict[str, str] = {}
    claims: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for row in people:
        number, company = row["Identifiant contact"], row["Identifiant société"]
        if company in facts.out:
            found[number] = "parked"
            continue
        party = facts.dolibarr_said[company][1]
        first, last = folded(row["Prénom"]), folded(row["Nom"])
        hits = by_name.get((party, first, last), set()) if first and last else set()
        by = "name"
        if not hits and row["Email"]:
            hits, by = by_mail.get((party, row["Email"].lower()), set()), "mail"
        if len(hits) > 1 or (by == "mail" and hits and doubtful(next(iter(hits)), first, last)):
            found[number] = "review"
        elif hits:
            found[number] = "updated"
            claims["person", party, next(iter(hits))].append(number)
        else:
            found[number] = "created"
            if first and last:
                claims["name", company, first, last].append(number)
            if row["Email"]:
                claims["mail", company, row["Email"].lower()].append(number)
    for numbers in claims.values():
        if len(numbers) > 1:
            found |= dict.fromkeys(numbers, "review")
    return found


def doubtful(name: str, first: str, last: str) -> bool:
    """Neither name is the same. A name of nothing but `?` is no name: it neither agrees nor differs."""
    known_first, known_last = map(folded, name.split(None, 1))
    pairs = [pair for pair in ((known_first, first), (known_last, last)) if all(pair)]
    return bool(pairs) and all(one != other for one, other in pairs)


def differences(mine: Outcomes, theirs: Iterable[Any]) -> dict[str, tuple[Any, Any]]:
    """Where the runs `theirs` came to something else."""
    wrong: dict[str, tuple[Any, Any]] = {}
    for result in theirs:
        for into, counts in result.into.items():
            names = [name for name, count in counts.items() if isinstance(count, int) and count and name != "conflicts"]
            got = {name: counts[name] for name in names}
            if got != mine[result.flow][into]:
                wrong[f"{result.flow}/{into}"] = (mine[result.flow][into], got)
    return wrong


if __name__ == "__main__":
    second = {name: changes(name, key) for name, key in KEYS.items()}
    known = Facts()
    json.dump({"day1": day_one(known), "why review": known.why, "day2": second}, sys.stdout, ensure_ascii=False, indent=1)
