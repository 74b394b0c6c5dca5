"""The second day after the first: exactly what the files say differently, and reading it twice changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from mappings.language.flow import Into
from tests.real_exports.companies import company_name
from tests.real_exports.raw_exports import EXPORTS, Row, rows
from tests.real_exports.story import Story

pytestmark = pytest.mark.slow

Content = tuple[tuple[str, str], ...]


def contents(name: str, day: str, key: Callable[[Row], str]) -> dict[str, Counter[Content]]:
    """By key, the rows of a file."""
    found: dict[str, Counter[Content]] = {}
    for row in rows(name, day):
        found.setdefault(key(row), Counter())[tuple(row.items())] += 1
    return found


def key_of(into: Into) -> Callable[[Row], str] | None:
    columns = [str(column) for column in into.key]
    return lambda row: "|".join(row.get(column, "") for column in columns)


def intos(story: Story) -> Iterator[tuple[str, str, Into]]:
    for name, flow in story.project.flows.items():
        file = str(flow.read.files)
        if (EXPORTS / "day2" / file).is_file() and file != "tryton_sales.csv":
            for into in flow.into:
                yield name, file, into


def test_the_same_files_again_change_nothing(second_day: Story) -> None:
    after, upto = second_day.runs["second again"]
    assert second_day.ask("SELECT count(*) FROM sync.journal WHERE run_id > :a AND run_id <= :b", a=after, b=upto) == [(0,)]


def test_nothing_changes_but_what_the_files_say_differently(second_day: Story) -> None:
    """Or what was held until now: its twin is gone, or its company came."""
    after, upto = second_day.runs["second"]
    checked = 0
    for flow, file, into in intos(second_day):
        before, later = (contents(file, day, key_of(into)) for day in ("day1", "day2"))
        touched = {key for key in before.keys() | later.keys() if before.get(key) != later.get(key)}
        touched |= {row[0] for row in second_day.ask(
            "SELECT h.key FROM sync.held h JOIN sync.feed f ON f.id = h.feed"
            " WHERE f.flow = :flow AND h.closed_by > :a AND h.closed_by <= :b", flow=flow, a=after, b=upto)}
        links = second_day.links(into.entity, into.ids or flow)
        allowed = {record for key, record in links.items() if key in touched}
        changed = {row[0] for row in second_day.ask(
            "SELECT DISTINCT j.record_id FROM sync.journal j JOIN sync.run r ON r.id = j.run_id"
            " WHERE r.flow = :flow AND j.entity = :entity AND r.id > :a AND r.id <= :b",
            flow=flow, entity=into.entity, a=after, b=upto)}
        others = {
            record for other in second_day.project.flows[flow].into if other.entity == into.entity and other is not into
            for record in second_day.links(other.entity, other.ids or flow).values()
        }
        unlinked = {key for key in touched if key not in later and key not in links}
        surplus = changed - allowed - others
        assert len(surplus) <= len(unlinked), (flow, into.name, surplus)
        checked += len(changed)
    assert checked > 200


def test_simple_files_change_as_many_records_as_rows(second_day: Story) -> None:
    products = changed("dolibarr_products_iso_semicolon.csv", "Id")
    assert second_day.counts("second", "dolibarr_products", "product") == {
        "rows_read": 420, "updated": len(products), "unchanged": 420 - len(products)}
    assert second_day.counts("second", "horilla_employees", "employee") == {
        "rows_read": 62, "created": 1, "updated": 1, "unchanged": 59, "skipped": 1}
    for flow in ("dolibarr_contracts", "dolibarr_interventions", "dolibarr_invoices"):
        (result,) = [result for result in second_day.results["second"] if result.flow == flow]
        assert (result.total("created"), result.total("updated")) == (0, 0)  # only their company's address changed


def test_contacts_and_addresses_change_as_their_rows_do(second_day: Story) -> None:
    mine = ("Prénom", "Nom", "Poste/fonction", "Téléphone", "Mobile", "Email", "Note (privée)", "État")
    names = {"Prénom", "Nom"}
    links, known = second_day.links("contact", "contact"), set(second_day.links("contact", "party_person").values())
    moved = {
        key for key, columns in changed("dolibarr_contacts_iso_semicolon.csv", "Identifiant contact", mine).items()
        if key in links and not (columns <= names and links[key] in known)  # Tryton masters the names it knows
    }
    gone = {row["Identifiant contact"] for row in rows("dolibarr_contacts_iso_semicolon.csv", "day1")}
    gone -= {row["Identifiant contact"] for row in rows("dolibarr_contacts_iso_semicolon.csv", "day2")}
    told = second_day.counts("second", "dolibarr_contacts", "contact")
    assert (told["updated"], told["archived"]) == (len(moved), len(gone & links.keys()))
    places = second_day.links("address", "party_address")
    moved = {key for key in changed("tryton_addresses.csv", "ID", ("Rue", "Code postal", "Ville")) if key in places}
    told = second_day.counts("second", "tryton_addresses", "address")
    days = [{row["ID"]: row for row in rows("tryton_addresses.csv", day)} for day in ("day1", "day2")]
    assert told["updated"] == len(moved)
    assert told["archived"] == len((days[0].keys() - days[1].keys()) & places.keys())
    assert told["created"] == len((days[1].keys() - days[0].keys()) & places.keys())


def changed(name: str, key: str, columns: tuple[str, ...] = ()) -> dict[str, set[str]]:
    """By key, the columns that say something else on the second day."""
    before = {row[key]: row for row in rows(name, "day1")}
    found: dict[str, set[str]] = {}
    for row in rows(name, "day2"):
        old = before.get(row[key])
        differ = {column for column in columns or row if old is not None and old[column] != row[column]}
        if differ:
            found[row[key]] = differ
    return found


def test_records_say_what_the_files_of_the_second_day_say(second_day: Story) -> None:
    parties, third = second_day.links("company", "party"), second_day.links("company", "third_party")
    columns = "id, name, siret, city, postal_code, customer_code, archived_at IS NOT NULL"
    records = {row[0]: row for row in second_day.ask(f"SELECT {columns} FROM crm.company")}
    tryton = {row["Code"]: row for row in rows("tryton_parties.csv", "day2")}
    places = {row["Tiers/Code"]: row for row in rows("tryton_addresses.csv", "day2") if row["Séquence"] == "1"}
    sirets = {row["Tiers/Code"]: row["Code Compact"] for row in rows("tryton_identifiers.csv", "day2")
              if row["Type"] == "fr_siret"}
    for key, record in parties.items():
        _, name, siret, city, postal_code, _, archived = records[record]
        if key not in tryton:
            assert archived, key  # Tryton has it no longer
            continue
        assert (name, archived) == (" ".join(tryton[key]["Nom"].split()), tryton[key]["Actif"] == "0"), key
        if key in sirets:
            assert siret == sirets[key], key
        if key in places:
            assert (city, postal_code) == (places[key]["Ville"], places[key]["Code postal"]), key
    known = set(parties.values())
    dolibarr = {row["Id"]: row for row in rows("dolibarr_companies.xlsx", "day2")}
    for key, record in third.items():
        if key in dolibarr:
            assert (records[record][5] or "") == dolibarr[key]["Code client"], key
            if record not in known:
                assert records[record][1] == " ".join(dolibarr[key]["Nom"].split()), key
                assert records[record][6] == (dolibarr[key]["État"] == "0"), key
        elif record not in known:  # where Tryton still has the company, Dolibarr only lets go of it
            assert records[record][6], key
    emails = dict(tuple(row) for row in second_day.ask("SELECT id, email FROM crm.contact"))
    people = {row["Identifiant contact"]: row for row in rows("dolibarr_contacts_iso_semicolon.csv", "day2")}
    for key, record in second_day.links("contact", "contact").items():
        if key in people and people[key]["Email"]:
            assert (emails[record] or "").lower() == people[key]["Email"].lower(), key


def test_no_record_joins_two_companies_that_share_nothing(second_day: Story) -> None:
    """Told from the raw files of either day: another name, another postal code and another SIREN is another company."""
    tryton: dict[str, list[tuple[str, str, str]]] = {}
    dolibarr: dict[str, list[tuple[str, str, str]]] = {}
    for day in ("day1", "day2"):
        places = {row["Tiers/Code"]: row["Code postal"] for row in rows("tryton_addresses.csv", day) if row["Séquence"] == "1"}
        for row in rows("tryton_parties.csv", day):
            tryton.setdefault(row["Code"], []).append(
                (company_name(row["Nom"]), places.get(row["Code"], ""), row["SIREN"].replace(" ", "")))
        for row in rows("dolibarr_companies.xlsx", day):
            dolibarr.setdefault(row["Id"], []).append(
                (company_name(row["Nom"]), row["Code postal"], row["Identifiant professionnel 1"].replace(" ", "")))
    records: dict[int, list[list[tuple[str, str, str]]]] = {}
    for space, known in (("party", tryton), ("third_party", dolibarr)):
        for key, record in second_day.links("company", space).items():
            records.setdefault(record, []).append(known[key])
    pairs = [(one, other) for told in records.values() for place, one in enumerate(told) for other in told[place + 1:]]
    strangers = [
        (one, other) for one, other in pairs
        if all(mine != theirs for first in one for second in other for mine, theirs in zip(first, second, strict=True))
    ]
    assert len(pairs) > 700
    assert strangers == []
