"""Ranked masters, the first of which is written to: what comes in when it clears its value, and what it gets."""

from __future__ import annotations

import pytest

from tests.both_ways_desk import SIRETS, Both, both

pytestmark = pytest.mark.slow

__all__ = ["both"]


def test_what_the_next_master_says_comes_in_and_goes_to_the_first_that_cleared_its_own(both: Both) -> None:
    desk = both.remade(("entities/company", "archived: crm", "phone: [erp, books], email: [erp, books], archived: crm"),
                       ("flows/books", "two-way", "in"), ("flows/books", "write: {create: true}\n", ""))
    desk.erp("INSERT INTO customer (name, siret) VALUES ('Anvil', %s)", SIRETS[0])
    desk.run("erp_companies")
    desk.books("INSERT INTO debtor (label, siret, tel) VALUES ('Anvil', %s, '+33141000001')", SIRETS[0])
    desk.run("books_companies")
    desk.push("erp_companies")
    assert desk.erp.one("SELECT phone FROM customer") == "+33141000001"
    desk.erp("UPDATE customer SET phone = '+33141000002'")
    desk.run("erp_companies")
    assert desk.one("SELECT phone FROM crm.company") == "+33141000002"
    desk.erp("UPDATE customer SET phone = NULL")
    desk.run("erp_companies")
    assert desk.one("SELECT phone FROM crm.company") == "+33141000001"
    desk.push("erp_companies")
    assert desk.erp.one("SELECT phone FROM customer") == "+33141000001"
    assert desk.sees("SELECT 1 FROM sync.conflict WHERE field = 'phone' AND winner = 'remote'") == []
    before = desk.erp.writes()
    for _ in range(2):
        desk.run("erp_companies", full=True)
        desk.run("books_companies", full=True)
        desk.push("erp_companies")
    assert (desk.erp.writes(), desk.one("SELECT phone FROM crm.company")) == (before, "+33141000001")


def test_what_the_first_clears_comes_back_where_the_next_has_it_from_us_unless_it_is_not_sent_there(both: Both) -> None:
    desk = both.remade(("entities/company", "archived: crm", "phone: [erp, books], archived: crm"))
    desk.erp("INSERT INTO customer (name, siret, phone) VALUES ('Anvil', %s, '+33141000001')", SIRETS[0])
    desk.rounds()
    desk.erp("UPDATE customer SET phone = NULL")
    desk.rounds()
    assert (desk.erp.one("SELECT phone FROM customer"), desk.books.one("SELECT tel FROM debtor")) == (
        "+33141000001", "+33141000001")
    desk = desk.remade(("flows/books", "{from: tel, region: FR}", "{from: tel, region: FR, out: false}"))
    desk.erp("INSERT INTO customer (name, siret, phone) VALUES ('Other', %s, '+33141000002')", SIRETS[1])
    desk.rounds()
    desk.erp("UPDATE customer SET phone = NULL WHERE name = 'Other'")
    desk.rounds()
    assert desk.sees("SELECT phone FROM crm.company WHERE name = 'Other'") == [(None,)]
    assert desk.erp("SELECT phone FROM customer WHERE name = 'Other'") == [(None,)]
