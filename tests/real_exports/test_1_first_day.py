"""The first day: every row's outcome is the one worked out from the raw files, and reading it twice changes nothing."""

from __future__ import annotations

import pytest

from tests.real_exports.expected import Facts, day_one, differences
from tests.real_exports.raw_exports import rows
from tests.real_exports.story import Story

pytestmark = pytest.mark.slow

LEDGERS = ("fec", "ld_compta", "cegid", "ebp", "quadratus")


@pytest.fixture(scope="module")
def facts() -> Facts:
    return Facts()


def test_every_row_comes_to_what_the_raw_files_say(first_day: Story, facts: Facts) -> None:
    expected = day_one(facts)
    assert {result.flow for result in first_day.results["first"]} == set(expected) == set(first_day.project.flows)
    assert differences(expected, first_day.results["first"]) == {}


def test_the_same_files_again_change_nothing(first_day: Story) -> None:
    after, upto = first_day.runs["first again"]
    moved = {
        (result.flow, into): counts for result in first_day.results["first again"]
        for into, counts in result.into.items()
        if any(counts[name] for name in ("created", "updated", "archived", "unlinked", "conflicts"))
    }
    assert moved == {}
    assert first_day.ask("SELECT count(*) FROM sync.journal WHERE run_id > :a AND run_id <= :b", a=after, b=upto) == [(0,)]


def test_companies_of_tryton_and_dolibarr_meet_in_one_record(first_day: Story, facts: Facts) -> None:
    parties, third = first_day.links("company", "party"), first_day.links("company", "third_party")
    met = {(key, other) for key, record in third.items() for other in [known for known, it in parties.items() if it == record]}
    assert met == {(key, party) for key, (what, party) in facts.dolibarr_said.items() if what == "linked"}
    assert len(met) > 700


def test_what_hangs_on_a_company_hangs_on_the_right_one(first_day: Story) -> None:
    third = first_day.links("company", "third_party")
    for entity, space, name, column in (
        ("contact", "contact", "dolibarr_contacts_iso_semicolon.csv", "Identifiant contact"),
        ("contract", "contract", "dolibarr_contracts_iso_semicolon.csv", "Id"),
        ("work_order", "intervention", "dolibarr_interventions_utf8_comma.csv", "Id intervention"),
        ("document", "invoice", "dolibarr_invoices_payments_iso_comma.csv", "Id facture"),
    ):
        companies = dict(tuple(row) for row in first_day.ask(f"SELECT id, company FROM crm.{entity}"))
        links = first_day.links(entity, space)
        said = {row[column]: row["Identifiant société"] for row in rows(name, "day1")}
        assert links
        assert {key: companies[record] for key, record in links.items()} == {key: third[said[key]] for key in links}, entity


def test_a_ledger_line_hangs_on_the_customer_and_the_invoice_that_it_names(first_day: Story) -> None:
    lines = {
        tuple(row[:2]): tuple(row[2:]) for row in first_day.ask(
            "SELECT l.number, l.account, c.customer_code, d.number, l.debit, l.credit, l.side, l.amount"
            " FROM crm.ledger_entry l LEFT JOIN crm.company c ON c.id = l.company LEFT JOIN crm.document d ON d.id = l.document")
    }
    fec = {(row["EcritureNum"], row["CompteNum"]): row for row in rows("dolibarr_ledger_FEC.txt", "day1")}
    assert len(lines) == 1484
    for key, (code, invoice, debit, credit, side, amount) in lines.items():
        if key not in fec:
            assert (invoice, side, amount) == ("FA2607-0229", "C", 0)
            continue
        row = fec[key]
        assert (code or "", invoice) == (row["CompAuxNum"], row["PieceRef"])
        assert [f"{value:.2f}".replace(".", ",") for value in (debit, credit)] == [row["Debit"], row["Credit"]]
        assert amount == debit + credit
        assert side == ("D" if debit else "C")


@pytest.mark.parametrize("ledger", LEDGERS[1:])
def test_a_further_form_of_the_ledger_finds_nothing_to_change(first_day: Story, ledger: str) -> None:
    counts = first_day.counts("first", f"dolibarr_ledger_{ledger}", "ledger_entry")
    assert counts.get("updated", 0) == 0
    assert counts["unchanged"] > 1400


def test_employees_of_horilla_are_those_of_tryton(first_day: Story) -> None:
    assert first_day.ask("SELECT count(*), count(number), count(hired_on) FROM crm.employee") == [(61, 60, 61)]
