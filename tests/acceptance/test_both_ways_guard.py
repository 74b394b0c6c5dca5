"""What a flow's guard holds of what goes out: changes, new records and ends there, and not what says nothing new."""

from __future__ import annotations

import pytest

from pipelines.runs.pushing import push_flow
from tests.both_ways_desk import Both, both

__all__ = ["both"]

ROWS = "INSERT INTO customer (name, city) SELECT 'C' || n, 'Nice' FROM generate_series(1, 40) n"


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
