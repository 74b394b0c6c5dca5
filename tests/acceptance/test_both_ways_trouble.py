"""What goes wrong between the sides: lost answers, kills, duplicates, rows that are gone; each is found and put right."""

from __future__ import annotations

import pytest

from pipelines.ops.conflicts import open_conflicts, settle_conflict
from pipelines.runs.settling import settle_row
from tests.memory_desk import Three, module_three, siret, three

pytestmark = pytest.mark.slow

__all__ = ["module_three", "three"]


def test_three_systems_come_to_rest_and_agree(three: Three) -> None:
    three.systems["erp"].insert(name="Company number 1", siret=siret(1), city="Villeneuve-sur-Lot", phone="01 41 00 00 01")
    three.systems["shop"].insert(name="Company number 2", siret=siret(2), city="Lyon", email="a@example.org")
    three.crm("INSERT INTO crm.company (name, siret, segment_note, phone) VALUES ('Three', %s, 'a long enough note', '+33141000003')",
              siret(3))
    three.rest()
    assert three.differences() == []
    assert three.strangers() == []
    assert {name: len(one.rows) for name, one in three.systems.items()} == {"erp": 3, "shop": 3, "books": 3}
    before = three.moved()
    three.round()
    three.round(full=True)
    assert three.moved() == before


def test_a_row_that_the_system_says_was_deleted_is_unlinked_by_a_read_of_changes(three: Three) -> None:
    key = three.systems["shop"].insert(name="Atelier", siret=siret(1))
    three.read("shop")
    three.systems["shop"].delete(key)
    three.read("shop")
    assert three.one("SELECT count(*) FROM sync.crosswalk_company") == 0
    assert three.one("SELECT count(*) FROM crm.company WHERE archived_at IS NULL") == 1


def known_to(three: Three, flow: str, number: int, **values: str) -> str:
    """A company of this one system that the CRM knows; its key there."""
    key = three.systems[flow].insert(name="Atelier", siret=siret(number), **values)
    three.read(flow)
    return key


@pytest.mark.parametrize("flow", ["erp", "shop", "books"])
def test_a_row_deleted_there_while_its_record_had_something_to_send_is_told(three: Three, flow: str) -> None:
    key = known_to(three, flow, 1, city="Lyon")
    three.rest()
    three.crm("UPDATE crm.company SET city = 'Metz'")
    three.systems[flow].delete(key)
    three.push(flow)
    record = three.one("SELECT id FROM crm.company")
    assert (flow, record, "refused", "gone_there") in three.waiting()
    three.rest()
    assert three.one("SELECT count(*) FROM crm.company") == 1
    kept = three.sees("SELECT f.flow, x.key FROM sync.crosswalk_company x JOIN sync.feed f ON f.id = x.feed")
    told = {(name, code) for name, _, _, code in three.waiting()}
    assert (flow, key) not in kept or (flow, "gone_there") in told


def test_what_was_archived_here_while_it_had_something_to_send_ends_there_and_agrees(three: Three) -> None:
    known_to(three, "erp", 1, city="Lyon")
    three.rest()
    three.crm("UPDATE crm.company SET city = 'Metz'")
    three.crm("UPDATE crm.company SET archived_at = now()")
    three.rest()
    assert three.systems["books"].rows == {}
    assert [(row["city"], row["closed"]) for row in three.systems["shop"].rows.values()] == [("Metz", "true")]
    assert [(row["city"], row["closed"]) for row in three.systems["erp"].rows.values()] == [("Metz", "1")]
    assert three.waiting() == []


def test_a_row_whose_create_is_under_way_is_not_taken_for_another_company(three: Three) -> None:
    """The answer to a create was lost; the row is read before anybody looked for it."""
    three.crm("INSERT INTO crm.company (name, city) VALUES ('Atelier', 'Lyon')")
    three.systems["erp"].answers.append("lost")
    three.push("erp")
    assert three.waiting()[-1][2] in ("unclear", "waiting")
    three.read("erp")
    assert three.one("SELECT count(*) FROM crm.company") == 1
    three.rest()
    assert three.one("SELECT count(*) FROM crm.company") == 1
    assert len(three.systems["erp"].rows) == 1


def test_a_killed_create_is_not_taken_for_another_company(three: Three) -> None:
    three.crm("INSERT INTO crm.company (name, city) VALUES ('Atelier', 'Lyon')")
    three.systems["erp"].answers.append("killed_after")
    three.push("erp")
    three.read("erp")
    three.rest()
    assert three.one("SELECT count(*) FROM crm.company") == 1
    assert len(three.systems["erp"].rows) == 1


def test_an_edit_between_our_look_and_our_write_is_not_lost(three: Three) -> None:
    key = known_to(three, "erp", 1, city="Lyon")
    three.crm("UPDATE crm.company SET city = 'Metz'")
    three.systems["erp"].meanwhile = lambda: three.systems["erp"].edit(key, city="Brest")
    three.push("erp")
    three.rest()
    assert three.one("SELECT count(*) FROM sync.conflict WHERE theirs = to_jsonb('Brest'::text)") == 1


def test_a_conflict_stays_open_when_something_else_is_sent(three: Three) -> None:
    key = known_to(three, "erp", 1, city="Lyon")
    three.crm("UPDATE crm.company SET city = 'Metz', website = 'https://one.example.org'")
    three.systems["erp"].edit(key, city="Brest")
    three.rest()
    assert three.systems["erp"].rows[key]["website"] == "https://one.example.org"
    assert three.systems["erp"].rows[key]["city"] == "Brest"
    assert three.sees("SELECT field, state FROM sync.conflict") == [("city", "open")]


def test_an_edit_between_our_write_and_our_reading_again_comes_in(three: Three) -> None:
    key = known_to(three, "erp", 1, city="Lyon")
    three.rest()
    three.crm("UPDATE crm.company SET city = 'Metz'")
    three.systems["erp"].afterwards = lambda: three.systems["erp"].edit(key, website="https://one.example.org")
    three.push("erp")
    three.rest()
    assert three.one("SELECT website FROM crm.company") == "https://one.example.org"
    assert three.systems["shop"].rows["101"]["website"] == "https://one.example.org"


@pytest.mark.parametrize("statements", range(2, 9))
def test_a_value_that_the_system_cuts_stays_whole_here_when_we_are_killed(three: Three, statements: int) -> None:
    key = known_to(three, "erp", 1, city="Lyon")
    three.crm("UPDATE crm.company SET city = 'Villeneuve-sur-Lot'")
    three.systems["erp"].afterwards = lambda: setattr(three.life, "left", statements)
    three.push("erp")
    three.rest()
    assert three.systems["erp"].rows[key]["city"] == "Villeneuve"
    assert three.one("SELECT city FROM crm.company") == "Villeneuve-sur-Lot"


def test_a_record_with_two_keys_in_a_system_agrees_with_both(three: Three) -> None:
    first = known_to(three, "erp", 1, city="Lyon")
    second = three.systems["erp"].insert(name="Atelier", siret=siret(1), city="Lyon")
    three.read("erp")
    held = three.one("SELECT id FROM sync.held WHERE key = %s AND state = 'open'", second)
    assert held is not None
    settle_row(three.hub, held, link=three.one("SELECT id FROM crm.company"))
    three.rest()
    three.crm("UPDATE crm.company SET city = 'Metz'")
    three.rest()
    assert [three.systems["erp"].rows[key]["city"] for key in (first, second)] == ["Metz", "Metz"]
    three.systems["erp"].edit(second, city="Brest")
    three.rest()
    assert [three.systems["erp"].rows[key]["city"] for key in (first, second)] == ["Brest", "Brest"]
    assert three.differences() == []


def test_a_conflict_settled_for_our_side_is_sent(three: Three) -> None:
    key = known_to(three, "erp", 1, city="Lyon")
    three.crm("UPDATE crm.company SET city = 'Metz'")
    three.systems["erp"].edit(key, city="Brest")
    three.rest()
    with three.hub.engine.connect() as connection:
        [waiting] = open_conflicts(three.hub, connection)
    settle_conflict(three.hub, waiting.id, "ours")
    three.rest()
    assert three.systems["erp"].rows[key]["city"] == "Metz"
    assert three.differences() == []


def test_what_a_system_says_of_a_field_that_is_not_its_own_can_still_be_read(three: Three) -> None:
    key = known_to(three, "shop", 1)
    three.rest()
    three.systems["shop"].edit(key, name="Its own idea")
    three.rest()
    assert three.systems["shop"].rows[key]["name"] == "Atelier"
    assert three.one("SELECT count(*) FROM sync.conflict WHERE theirs = to_jsonb('Its own idea'::text)") == 1
