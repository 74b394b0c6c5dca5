"""Two flows of one system about the same rows: what one of them agreed on, the other one goes by.

`erp_companies` writes; `erp_contacts` reads the same customers, and notices what changed by itself.
"""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.ops.conflicts import open_conflicts, settle_conflict
from tests.acceptance.test_both_ways import filled
from tests.both_ways_desk import SIRETS, Both
from tests.both_ways_desk import both as desk

pytestmark = pytest.mark.slow

__all__ = ["desk"]

CONTACTS = """
flow: erp_contacts
system: erp
after: erp_companies
read: {resource: customer, changed_since: changed_at}
into: {entity: company, ids: customers, key: id, create: false, fields: {city: city, phone: {from: phone, region: FR}, email: email}}
"""


@pytest.fixture
def both(desk: Both) -> Both:
    (desk.root / "mappings" / "flows" / "contacts.yaml").write_text(CONTACTS)
    desk.change_flow("erp", "  entity: company\n", "  entity: company\n  ids: customers\n")
    filled(desk)
    desk.run("erp_contacts")
    return desk


def here(both: Both, column: str) -> Any:
    return both.one(f"SELECT {column} FROM crm.company WHERE siret = %s", SIRETS[0])


def there(both: Both, column: str) -> Any:
    return both.erp.one(f"SELECT {column} FROM customer WHERE siret = %s", SIRETS[0])


def edit_here(both: Both, column: str, value: str) -> None:
    both.crm(f"UPDATE crm.company SET {column} = %s WHERE siret = %s", value, SIRETS[0])


def edit_there(both: Both, column: str, value: str) -> None:
    both.erp(f"UPDATE customer SET {column} = %s WHERE siret = %s", value, SIRETS[0])


def conflicts(both: Both) -> list[tuple[Any, ...]]:
    return both.sees("SELECT f.flow, c.field, c.winner FROM sync.conflict c JOIN sync.feed f ON f.id = c.feed ORDER BY c.id")


@pytest.mark.parametrize(("column", "values"), [
    ("phone", ("+33141000011", "+33141000012")),  # whose conflicts the CRM wins
    ("city", ("Lyon", "Metz")),  # whose conflicts a person decides
])
def test_what_one_flow_has_sent_is_no_edit_for_the_other(both: Both, column: str, values: tuple[str, str]) -> None:
    ours, theirs = values
    edit_here(both, column, ours)
    both.push("erp_companies")
    edit_there(both, column, theirs)
    both.run("erp_contacts")
    assert (here(both, column), conflicts(both)) == (theirs, [])
    both.rounds(2)
    assert (here(both, column), there(both, column), conflicts(both)) == (theirs, theirs, [])


def test_what_one_flow_has_read_is_no_edit_for_the_other(both: Both) -> None:
    edit_there(both, "city", "Metz")
    both.run("erp_contacts")
    edit_here(both, "city", "Lyon")
    both.run("erp_companies")
    both.push("erp_companies")
    assert (there(both, "city"), conflicts(both)) == ("Lyon", [])
    both.rounds(2)
    assert (here(both, "city"), there(both, "city"), conflicts(both)) == ("Lyon", "Lyon", [])


def test_an_edit_here_that_the_other_flow_sees_first_is_still_sent(both: Both) -> None:
    edit_here(both, "city", "Lyon")
    both.run("erp_contacts", full=True)
    both.push("erp_companies")
    assert (here(both, "city"), there(both, "city"), conflicts(both)) == ("Lyon", "Lyon", [])


def test_what_the_system_cuts_stays_whole_here_whoever_reads_it(both: Both) -> None:
    edit_here(both, "city", "Villeneuve-sur-Lot")
    both.push("erp_companies")
    both.run("erp_contacts")
    both.rounds(2)
    assert (here(both, "city"), there(both, "city")) == ("Villeneuve-sur-Lot", "Villeneuve")
    edit_there(both, "city", "Metz")
    both.run("erp_contacts")
    assert (here(both, "city"), conflicts(both)) == ("Metz", [])


def test_what_was_not_read_again_is_no_edit_for_the_other(both: Both) -> None:
    edit_here(both, "city", "Villeneuve-sur-Lot")
    both.push("erp_companies")
    both.sees("UPDATE sync.crosswalk_company SET sent = ARRAY['city'], remote = NULL FROM sync.feed f"
              " WHERE f.id = feed AND f.flow = 'erp_companies'")  # as after a push that was killed before it read again
    both.sees("UPDATE sync.crosswalk_company SET remote = NULL FROM sync.feed f WHERE f.id = feed AND f.flow = 'erp_contacts'")
    both.run("erp_contacts")
    assert here(both, "city") == "Villeneuve-sur-Lot"
    both.rounds(2)
    assert (here(both, "city"), there(both, "city"), conflicts(both)) == ("Villeneuve-sur-Lot", "Villeneuve", [])


@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_a_conflict_that_the_reading_flow_found_is_settled_and_sent_by_the_one_that_writes(both: Both, side: Any) -> None:
    edit_here(both, "city", "Lyon")
    edit_there(both, "city", "Metz")
    both.run("erp_contacts")
    with both.hub.engine.connect() as connection:
        (conflict,) = open_conflicts(both.hub, connection)
    assert conflict.flow == "erp_contacts"
    settle_conflict(both.hub, conflict.id, side)
    both.push("erp_companies")
    wanted = {"ours": "Lyon", "theirs": "Metz"}[side]
    both.rounds(2)
    assert (here(both, "city"), there(both, "city")) == (wanted, wanted)
    with both.hub.engine.connect() as connection:
        assert open_conflicts(both.hub, connection) == []
    both.run("erp_companies", full=True)
    assert here(both, "city") == wanted


def test_a_marker_of_a_flow_that_only_adds_goes_with_the_row_too(both: Both) -> None:
    desk = both.remade(("flows/contacts", "after:", "direction: two-way\nafter:"),
                       ("flows/erp", "absent: ignore", "absent: unlink"))
    desk.sees("DELETE FROM sync.outbox")
    edit_here(desk, "phone", "+33141000011")
    desk.erp("DELETE FROM customer WHERE siret = %s", SIRETS[0])
    assert desk.push("erp_contacts").counts["refused"] == 1
    assert ("refused", "gone_there") in desk.outbox()
    desk.run("erp_companies", full=True)
    assert ("refused", "gone_there") not in desk.outbox()
