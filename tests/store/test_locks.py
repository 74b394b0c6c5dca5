"""A mastered field of a linked record is nobody's to edit but its master's; everything else stays free."""

from __future__ import annotations

import psycopg
import pytest

from tests.store.conftest import Desk


def test_a_record_that_no_master_knows_is_edited_freely(desk: Desk) -> None:
    made = desk.company(name="Prospect", credit_limit=5, credit_limit_currency="EUR")
    desk.crm.execute("UPDATE crm.company SET name = 'Other', archived_at = now() WHERE id = %s", [made])
    assert desk.one("SELECT name FROM crm.company WHERE id = %s", made) == "Other"


def test_the_refusal_names_the_field_its_master_and_what_to_do(desk: Desk) -> None:
    made = desk.company(name="Linked")
    desk.link(made, "sage")
    refusal = desk.refused("UPDATE crm.company SET name = 'Mine' WHERE id = %s", made)
    assert refusal.sqlstate == "42501"
    assert refusal.diag.message_primary == f"name of company {made} is mastered by sage and locked"
    assert f"C{made}" in (refusal.diag.message_hint or "")
    assert refusal.diag.column_name == "name"
    assert desk.one("SELECT name FROM crm.company WHERE id = %s", made) == "Linked"


def test_fields_of_others_on_a_linked_record_stay_free(desk: Desk) -> None:
    made = desk.company(name="Linked", credit_limit=5)
    desk.link(made, "sage")
    desk.crm.execute(
        "UPDATE crm.company SET city = 'Lyon', payment_terms = '45 days', name = name WHERE id = %s", [made])
    assert desk.one("SELECT city FROM crm.company WHERE id = %s", made) == "Lyon"


def test_a_link_to_a_system_that_masters_nothing_locks_nothing(desk: Desk) -> None:
    made = desk.company(name="Known to accounting alone")
    desk.link(made, "accounting")
    desk.crm.execute("UPDATE crm.company SET name = 'Renamed' WHERE id = %s", [made])
    refusal = desk.refused("UPDATE crm.company SET vat_number = 'FR1' WHERE id = %s", made)
    assert refusal.diag.column_name == "vat_number"


def test_masters_by_type_are_those_of_the_type_the_record_had(desk: Desk) -> None:
    prospect, customer, supplier = (desk.company(name=it, type=it) for it in ("prospect", "customer", "supplier"))
    for made in (prospect, customer, supplier):
        desk.link(made, "sage")
    change = "UPDATE crm.company SET credit_limit = 9 WHERE id = %s"
    desk.crm.execute(change, [prospect])
    desk.crm.execute(change, [supplier])
    assert desk.refused(change, customer).diag.column_name == "credit_limit"
    desk.link(supplier, "accounting")
    assert "accounting" in str(desk.refused("UPDATE crm.company SET credit_limit = 8 WHERE id = %s", supplier))


def test_changing_the_type_is_no_way_out_of_a_lock(desk: Desk) -> None:
    customer = desk.company(name="Customer", type="customer", credit_limit=1)
    desk.link(customer, "sage")
    both = "UPDATE crm.company SET type = 'prospect', credit_limit = 1000000 WHERE id = %s"
    assert desk.refused(both, customer).sqlstate == "42501"
    assert desk.refused("UPDATE crm.company SET type = 'partner' WHERE id = %s", customer).diag.column_name == "type"
    prospect = desk.company(name="Prospect")
    desk.link(prospect, "sage")
    desk.crm.execute("UPDATE crm.company SET type = 'customer' WHERE id = %s", [prospect])
    assert desk.refused("UPDATE crm.company SET credit_limit = 9 WHERE id = %s", prospect).sqlstate == "42501"


def test_the_currency_belongs_to_the_amount_and_archiving_to_its_own_master(desk: Desk) -> None:
    made = desk.company(name="Customer", type="customer", credit_limit=1, credit_limit_currency="EUR")
    desk.link(made, "sage")
    refusal = desk.refused("UPDATE crm.company SET credit_limit_currency = 'USD' WHERE id = %s", made)
    assert refusal.diag.column_name == "credit_limit"
    assert desk.refused("UPDATE crm.company SET archived_at = now() WHERE id = %s", made).diag.column_name == "archived"


def test_one_locked_record_refuses_the_whole_statement(desk: Desk) -> None:
    free, linked = desk.company(name="Free"), desk.company(name="Linked")
    desk.link(linked, "sage")
    desk.refused("UPDATE crm.company SET name = 'x' || name WHERE id IN (%s, %s)", free, linked)
    assert desk.one("SELECT name FROM crm.company WHERE id = %s", free) == "Free"


def test_the_hub_writes_what_it_is_told_and_the_lock_ends_with_the_link(desk: Desk) -> None:
    made = desk.company(name="Linked")
    desk.link(made, "sage")
    desk.hub.execute("UPDATE crm.company SET name = 'From sage' WHERE id = %s", [made])
    desk.hub.execute("DELETE FROM sync.crosswalk_company WHERE record_id = %s", [made])
    desk.crm.execute("UPDATE crm.company SET name = 'Free again' WHERE id = %s", [made])
    assert desk.one("SELECT name FROM crm.company WHERE id = %s", made) == "Free again"


def test_an_edit_that_waited_for_the_link_meets_the_lock(desk: Desk) -> None:
    """The hub holds the record while it links it; the user's edit waits, and then sees the link."""
    made = desk.company(name="Wanted")
    with desk.store.connect(desk.store.roles.hub) as linking:
        linking.execute("SELECT FROM crm.company WHERE id = %s FOR UPDATE", [made])
        with psycopg.connect(desk.store.crm_url) as user:
            user.execute("SET statement_timeout = '60s'")
            with user.pipeline():
                edit = user.execute("UPDATE crm.company SET name = 'Mine' WHERE id = %s", [made])
                assert _waits(desk, user.info.backend_pid)
                desk.link(made, "sage")
                linking.commit()
                with pytest.raises(psycopg.errors.InsufficientPrivilege, match="mastered by sage"):
                    edit.fetchone()


def _waits(desk: Desk, backend: int) -> bool:
    return any(desk.one("SELECT cardinality(pg_blocking_pids(%s)) > 0", backend) for _ in range(1000))
