"""What a flow's guard holds of what goes out: changes, new records and ends there, and not what says nothing new."""

from __future__ import annotations

import pytest

from pipelines.runs.intake import adopt_flow
from pipelines.runs.preview import preview_flow
from pipelines.runs.pushing import push_flow
from tests.both_ways_desk import Both, both

__all__ = ["both"]

ROWS = "INSERT INTO customer (name, city) SELECT 'C' || n, 'Nice' FROM generate_series(1, 40) n"
CITIES = "SELECT city, count(*) FROM customer GROUP BY city ORDER BY city"


def guarded(both: Both, guard: str, *changes: tuple[str, str, str]) -> Both:
    """Forty rows there, each linked to its record."""
    desk = both.remade(("flows/erp", "write:", f"guard: {{{guard}}}\nwrite:"), *changes)
    desk.erp(ROWS)
    desk.run("erp_companies")
    desk.push("erp_companies")
    return desk


@pytest.mark.parametrize("ends", ["delete", "archive"])
def test_a_mass_of_records_that_are_archived_here_ends_nothing_there_unasked(both: Both, ends: str) -> None:
    both.erp("ALTER TABLE customer ADD closed text")
    closes = "settle: 100ms, archived: {customer: {column: closed, value: Y}}}\n  books"
    desk = guarded(both, "creates: 30%", ("flows/erp", "write: {", f"write: {{archived: {ends}, "),
                   ("systems", "settle: 100ms}\n  books", closes))
    desk.crm("UPDATE crm.company SET archived_at = now() WHERE type = 'customer'")
    held = desk.push("erp_companies")
    assert [(trip.what, trip.count, trip.of) for trip in held.tripped] == [("archives", 40, 40)]
    assert (held.exit_code, desk.erp.one("SELECT count(*) FROM customer WHERE closed IS NULL")) == (3, 40)
    assert push_flow(desk.hub, "erp_companies", full=True).exit_code == 3
    done = push_flow(desk.hub, "erp_companies", approved=True).counts
    assert done["deleted" if ends == "delete" else "archived"] == 40


def test_few_records_that_are_archived_here_end_there(both: Both) -> None:
    desk = guarded(both, "creates: 30%", ("flows/erp", "write: {", "write: {archived: delete, "))
    desk.crm("UPDATE crm.company SET archived_at = now() WHERE id IN (SELECT id FROM crm.company ORDER BY id LIMIT 8)")
    assert desk.push("erp_companies").counts["deleted"] == 8


def test_what_was_changed_here_and_back_is_no_change(both: Both) -> None:
    desk = guarded(both, "updates: 30%")
    for city in ("X", "Nice"):
        desk.crm("UPDATE crm.company SET city = %s", city)
    desk.crm("UPDATE crm.company SET city = 'Metz' WHERE name = 'C1'")
    assert preview_flow(desk.hub, "erp_companies").result.exit_code == 0
    sent = desk.push("erp_companies")
    assert (sent.tripped, sent.counts["updated"], sent.counts["unchanged"]) == ([], 1, 39)
    assert desk.erp(CITIES) == [("Metz", 1), ("Nice", 39)]


def test_what_a_run_found_to_be_sent_and_was_changed_back_since_is_no_change(both: Both) -> None:
    desk = guarded(both, "updates: 30%")
    desk.crm("UPDATE crm.company SET city = 'X'")
    assert desk.run("erp_companies", full=True).sent["tripped"][0]["count"] == 40
    assert desk.one("SELECT count(*) FROM sync.crosswalk_company WHERE pending IS NOT NULL") == 40
    desk.crm("UPDATE crm.company SET city = 'Nice'")
    assert desk.push("erp_companies").exit_code == 0


def test_what_is_to_be_put_right_there_counts(both: Both) -> None:
    desk = guarded(both, "updates: 30%")
    desk.crm("UPDATE crm.company SET segment_note = 'ours'")
    push_flow(desk.hub, "erp_companies", approved=True)
    desk.erp("UPDATE customer SET note = 'theirs'")
    told = desk.run("erp_companies").sent
    assert [(trip["what"], trip["count"]) for trip in told["tripped"]] == [("updates", 40)]
    assert desk.push("erp_companies").exit_code == 3
    assert desk.erp.one("SELECT count(*) FROM customer WHERE note = 'theirs'") == 40


def test_records_that_are_not_for_the_system_are_none_that_would_be_made_there(both: Both) -> None:
    desk = guarded(both, "creates: 30%")
    desk.crm("INSERT INTO crm.company (name, type) SELECT 'P' || n, 'prospect' FROM generate_series(1, 100) n")
    desk.crm("INSERT INTO crm.company (name, type) VALUES ('New', 'customer')")
    sent = desk.push("erp_companies")
    assert (sent.tripped, sent.counts["created"]) == ([], 1)
    desk.crm("UPDATE crm.company SET type = 'customer' WHERE type = 'prospect'")
    held = desk.push("erp_companies")
    assert [(trip.what, trip.count, trip.of) for trip in held.tripped] == [("creates", 100, 41)]


def test_records_that_rows_may_be_which_wait_are_none_that_would_be_made_there(both: Both) -> None:
    desk = guarded(both, "creates: 30%", ("flows/erp", "match: [siret]", "match: [siret, [name, city]]"))
    desk.crm("INSERT INTO crm.company (name, type, city) "
             "SELECT 'H' || n, 'customer', 'Lyon' FROM generate_series(1, 20) n")
    parent = desk.erp.one("INSERT INTO customer (name) VALUES ('') RETURNING id")
    desk.erp("INSERT INTO customer (name, city, parent_id) "
             "SELECT 'H' || n, 'Lyon', %s FROM generate_series(1, 20) n", parent)
    result = desk.run("erp_companies")
    assert (result.total("parked"), result.sent["tripped"], result.sent["waiting"]) == (20, [], 20)


def test_what_differs_of_a_system_that_was_adopted_is_all_that_counts(both: Both) -> None:
    desk = both.remade(("flows/erp", "write:", "guard: {updates: 30%}\nwrite:"),
                       ("flows/erp", "match: [siret]", "match: [name]"))
    desk.erp(ROWS)
    desk.crm("INSERT INTO crm.company (name, type, city) "
             "SELECT 'C' || n, 'customer', 'Nice' FROM generate_series(1, 40) n")
    desk.crm("UPDATE crm.company SET website = 'https://one.example' WHERE name = 'C1'")
    adopt_flow(desk.hub, "erp_companies")
    assert desk.push("erp_companies").tripped == []
    assert desk.erp("SELECT name FROM customer WHERE website IS NOT NULL") == [("C1",)]
