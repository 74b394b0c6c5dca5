"""What goes wrong between the sides: lost answers, kills, duplicates, rows that are gone; each is found and put right."""

from __future__ import annotations

import pytest

from tests.memory_desk import Three, module_three, siret, three

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
