"""What is sent without reading the row again: only over what the base says is there, and nothing is lost otherwise."""

from __future__ import annotations

import pytest

from tests.acceptance.test_both_ways import filled
from tests.both_ways_desk import SIRETS, Both, both

pytestmark = pytest.mark.slow

__all__ = ["both"]


def reads(both: Both, trigger: str, resource: str = "customer") -> int:
    return int(both.one("SELECT count(*) FROM sync.run WHERE trigger = %s AND source = %s", trigger, resource))


def in_both(both: Both) -> None:
    filled(both)
    both.rounds(2)


def test_a_row_that_is_as_it_was_is_not_read_before_it_is_written(both: Both) -> None:
    filled(both)
    both.crm("UPDATE crm.company SET city = 'Lyon' WHERE siret = %s", SIRETS[0])
    assert both.push("erp_companies").counts["updated"] == 1
    assert both.erp.one("SELECT city FROM customer WHERE siret = %s", SIRETS[0]) == "Lyon"
    assert reads(both, "push") == 0
    both.rounds()
    assert both.outbox() == []


def test_what_was_edited_there_meanwhile_is_not_written_over(both: Both) -> None:
    filled(both)
    both.erp("UPDATE customer SET city = 'Metz' WHERE siret = %s", SIRETS[0])
    both.crm("UPDATE crm.company SET city = 'Lyon' WHERE siret = %s", SIRETS[0])
    pushed = both.push("erp_companies")
    assert (pushed.counts["updated"], reads(both, "push")) == (0, 1)
    assert both.erp.one("SELECT city FROM customer WHERE siret = %s", SIRETS[0]) == "Metz"
    [(ours, theirs, state)] = both.sees("SELECT ours, theirs, state FROM sync.conflict WHERE field = 'city'")
    assert (ours, theirs, state) == ("Lyon", "Metz", "open")
    both.crm("UPDATE crm.company SET email = 'a@example.org' WHERE siret = %s", SIRETS[0])
    both.push("erp_companies")
    assert both.erp("SELECT city, email FROM customer WHERE siret = %s", SIRETS[0]) == [("Metz", "a@example.org")]


def test_who_wins_is_decided_as_ever(both: Both) -> None:
    filled(both)
    both.erp("UPDATE customer SET phone = '+33142000000' WHERE siret = %s", SIRETS[0])
    both.crm("UPDATE crm.company SET phone = '+33143000000' WHERE siret = %s", SIRETS[0])
    assert both.push("erp_companies").counts["updated"] == 1
    assert both.erp.one("SELECT phone FROM customer WHERE siret = %s", SIRETS[0]) == "+33143000000"
    assert both.sees("SELECT ours, theirs, winner FROM sync.conflict WHERE field = 'phone'") == [
        ("+33143000000", "+33142000000", "crm")]


def test_an_edit_there_of_another_field_stays_and_comes_in(both: Both) -> None:
    in_both(both)
    both.books("UPDATE debtor SET tel = '+33144000000' WHERE siret = %s", SIRETS[0])
    both.crm("UPDATE crm.company SET city = 'Lyon' WHERE siret = %s", SIRETS[0])
    assert both.push("books_companies").counts["updated"] == 1
    assert reads(both, "push", "debtor") == 0
    assert both.books("SELECT town, tel FROM debtor WHERE siret = %s", SIRETS[0]) == [("Lyon", "+33144000000")]
    assert both.one("SELECT phone FROM crm.company WHERE siret = %s", SIRETS[0]) == "+33144000000"


def test_a_row_that_comes_back_as_it_had_to_is_not_taken_in_again(both: Both) -> None:
    in_both(both)
    before = reads(both, "readback", "debtor")
    both.crm("UPDATE crm.company SET city = 'Lyon' WHERE siret = %s", SIRETS[0])
    assert both.push("books_companies").counts["updated"] == 1
    assert reads(both, "readback", "debtor") == before
    assert both.one("SELECT sent FROM sync.crosswalk_company x JOIN sync.feed f ON f.id = x.feed"
                    " JOIN crm.company c ON c.id = x.record_id WHERE f.flow = 'books_companies' AND c.siret = %s",
                    SIRETS[0]) is None
    both.books("UPDATE debtor SET town = 'LYON' WHERE siret = %s", SIRETS[0])
    both.run("books_companies")
    assert both.one("SELECT city FROM crm.company WHERE siret = %s", SIRETS[0]) == "LYON"


def test_a_row_that_is_gone_there_is_told(both: Both) -> None:
    filled(both)
    both.erp("DELETE FROM customer WHERE siret = %s", SIRETS[0])
    both.crm("UPDATE crm.company SET city = 'Lyon' WHERE siret = %s", SIRETS[0])
    assert both.push("erp_companies").counts["refused"] == 1
    assert ("refused", "gone_there") in both.outbox()


def test_what_the_system_refuses_is_refused_once_it_was_read(both: Both) -> None:
    in_both(both)
    both.erp("CREATE FUNCTION no_lyon() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
             " IF new.city = 'Lyon' THEN RAISE EXCEPTION 'not Lyon'; END IF; RETURN new; END $$")
    both.erp("CREATE TRIGGER zz_no_lyon BEFORE UPDATE ON customer FOR EACH ROW EXECUTE FUNCTION no_lyon()")
    both.crm("UPDATE crm.company SET city = 'Lyon' WHERE siret = %s", SIRETS[0])
    pushed = both.push("erp_companies")
    assert (pushed.counts["refused"], pushed.counts["updated"]) == (1, 0)
    assert any(state == "refused" for state, _ in both.outbox())
