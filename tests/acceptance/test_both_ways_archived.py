"""A system that masters `archived`: what becomes of a record and its marker when a full read no longer has its row."""

from __future__ import annotations

import pytest

from tests.acceptance.test_both_ways import filled
from tests.both_ways_desk import Both, both

pytestmark = pytest.mark.slow

__all__ = ["both"]


def test_a_record_that_a_run_archives_leaves_no_marker_that_its_row_is_gone(both: Both) -> None:
    desk = both.remade(("entities/company", "archived: crm", "archived: erp"),
                       ("flows/erp", "absent: ignore", "absent: archive"))
    filled(desk)
    desk.sees("DELETE FROM sync.outbox")
    desk.crm("UPDATE crm.company SET website = 'https://one.example' WHERE name = 'Company 1'")
    desk.erp("DELETE FROM customer WHERE name = 'Company 1'")
    desk.push("erp_companies")
    assert desk.outbox() == [("refused", "gone_there")]
    assert desk.run("erp_companies", full=True).into["company"]["archived"] == 1
    assert desk.outbox() == []


def test_a_row_that_is_there_again_and_says_nothing_on_it_brings_its_record_back(both: Both) -> None:
    desk = both.remade(("entities/company", "archived: crm", "archived: erp"),
                       ("flows/erp", "absent: ignore", "absent: archive"),
                       ("flows/erp", "website: website", "archived: {from: website, as: boolean, blank: keep}"))
    filled(desk)
    row = desk.erp("DELETE FROM customer WHERE name = 'Company 1' RETURNING id, name, siret")[0]
    assert desk.run("erp_companies", full=True).into["company"]["archived"] == 1
    desk.erp("INSERT INTO customer (id, name, siret) OVERRIDING SYSTEM VALUE VALUES (%s, %s, %s)", *row)
    desk.run("erp_companies", full=True)
    assert desk.sees("SELECT count(*) FROM crm.company WHERE archived_at IS NOT NULL") == [(0,)]
    writes = desk.erp.writes()
    assert (desk.push("erp_companies").as_json()["updated"], desk.erp.writes()) == (0, writes)
    assert desk.run("erp_companies", full=True).total("unchanged") == 3
