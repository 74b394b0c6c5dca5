"""Records that are converted, or hang on one another, while what they hang on is under way: each is made once."""

from __future__ import annotations

import pytest

from pipelines.runs.standing import pause, resume
from tests.both_ways_desk import SIRETS, Both, both

__all__ = ["both"]

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("edit", ["type = 'customer'", "type = 'customer', city = 'Lyon'"])
def test_a_prospect_that_becomes_a_customer_while_its_system_is_paused_is_made_once(both: Both, edit: str) -> None:
    both.crm("INSERT INTO crm.company (name, siret, type, city) VALUES ('Hervé', %s, 'prospect', 'Lyon')", SIRETS[0])
    assert both.push("erp_companies").counts["created"] == 0
    pause(both.hub, "erp", "moving")
    both.crm(f"UPDATE crm.company SET {edit}")
    resume(both.hub, "erp")
    both.rounds(2)
    assert both.erp("SELECT name, siret, city FROM customer") == [("Hervé", SIRETS[0], "Lyon")]
    assert both.outbox() == []


@pytest.mark.parametrize("into", ["a new company", "a company that is there"])
def test_a_lead_that_becomes_a_company_while_its_system_is_paused_is_made_once(both: Both, into: str) -> None:
    """What hung on the lead hangs on the company, and follows it."""
    [(lead,)] = both.crm("INSERT INTO crm.lead (company_name, siret, city) VALUES ('Hervé', %s, 'Lyon') RETURNING id",
                         SIRETS[0])
    there = None
    if into == "a company that is there":
        [(there,)] = both.crm("INSERT INTO crm.company (name, siret, city, type) VALUES ('Hervé', %s, 'Lyon', 'customer')"
                              " RETURNING id", SIRETS[0])
    pause(both.hub, "erp", "moving")
    [(company,)] = both.crm("SELECT crm.convert_lead(%s, %s)", lead, there)
    both.crm("UPDATE crm.company SET type = 'customer' WHERE id = %s", company)
    resume(both.hub, "erp")
    both.rounds(2)
    assert both.erp("SELECT name, siret, city, external_ref FROM customer") == [
        ("Hervé", SIRETS[0], "Lyon", str(company))]
    assert both.books("SELECT label FROM debtor") == [("Hervé",)]
    assert both.outbox() == []


def test_what_hangs_on_a_record_of_the_batch_under_way_follows_in_the_same_push(
        both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second batch is made ready while the first is under way, and does not know its keys yet."""
    monkeypatch.setattr("pipelines.runs.push.BATCH", 3)
    for number in range(1, 10):
        both.crm("INSERT INTO crm.company (name, type, parent) SELECT %s, 'customer', max(id) FROM crm.company",
                 f"Co {number}")
    result = both.push("erp_companies")
    assert result.counts["created"] == 9
    assert both.sees("SELECT o.state FROM sync.outbox o JOIN sync.feed f ON f.id = o.feed"
                     " WHERE f.flow = 'erp_companies'") == []
    found = both.erp("SELECT c.name, p.name FROM customer c LEFT JOIN customer p ON p.id = c.parent_id ORDER BY c.name")
    assert found == [("Co 1", None), *((f"Co {n}", f"Co {n - 1}") for n in range(2, 10))]
