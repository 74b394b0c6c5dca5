"""Two rows of one system that are one record, after a merge or a link by hand: what is edited in either of them counts.

The record has the last news of both, and no edit is written over by what the record had before it.
"""

from __future__ import annotations

import pytest

from pipelines.ops.mending import link, unlink
from pipelines.ops.merging import merge
from pipelines.runs.reconcile import reconcile_flow
from tests.memory_desk import FLOWS, Three, module_three, siret, three
from tests.memory_systems import MemorySystem

pytestmark = pytest.mark.slow

__all__ = ["module_three", "three"]

EACH = ["erp", *(pytest.param(flow, marks=pytest.mark.slow) for flow in FLOWS[1:])]


def known(three: Three, flow: str) -> tuple[int, str, str]:
    """Two rows of one company in each system: the record, and the keys in this one, the primary one first."""
    first, second = (int(three.crm("INSERT INTO crm.company (name, siret, city) VALUES (%s, %s, 'Metz') RETURNING id",
                                   f"Co {number}", siret(number))[0][0]) for number in (1, 2))
    three.rest()
    merge(three.hub, "company", second, first)
    three.rest()
    keys = three.sees("SELECT x.key FROM sync.crosswalk_company x JOIN sync.feed f ON f.id = x.feed"
                      " WHERE f.flow = %s ORDER BY x.is_primary DESC", flow)
    return first, keys[0][0], keys[1][0]


def both_have(system: MemorySystem, **values: str) -> bool:
    return all(row[column] == cell for row in system.rows.values() for column, cell in values.items())


@pytest.mark.parametrize("flow", EACH)
def test_what_was_edited_in_each_of_them_before_one_read_comes_in_and_goes_to_the_other(
        three: Three, flow: str) -> None:
    record, primary, second = known(three, flow)
    three.systems[flow].edit(primary, city="Lyon")
    three.systems[flow].edit(second, phone="+33141000001")
    three.rest()
    assert three.sees("SELECT city, phone FROM crm.company WHERE id = %s", record) == [("Lyon", "+33141000001")]
    assert both_have(three.systems[flow], city="Lyon"), three.told()
    assert len({row["phone"] for row in three.systems[flow].rows.values()}) == 1, three.told()


def test_of_two_values_of_one_field_in_one_read_the_policy_decides_and_the_loser_stays_readable(three: Three) -> None:
    record, primary, second = known(three, "erp")
    three.systems["erp"].edit(primary, email="first@x.fr")
    three.systems["erp"].edit(second, email="second@x.fr")
    three.read("erp")
    assert three.sees("SELECT ours, theirs, winner FROM sync.conflict WHERE field = 'email'") == [
        ("first@x.fr", "second@x.fr", "remote")]
    three.rest()
    assert three.one("SELECT email FROM crm.company WHERE id = %s", record) == "second@x.fr"
    assert both_have(three.systems["erp"], email="second@x.fr"), three.told()


@pytest.mark.parametrize("flow", EACH)
def test_what_a_push_finds_edited_in_one_of_them_goes_to_the_other_with_it(three: Three, flow: str) -> None:
    record, primary, second = known(three, flow)
    for key, city, phone in ((second, "Lyon", "+33141000001"), (primary, "Nice", "+33141000002")):
        three.crm("UPDATE crm.company SET phone = %s WHERE id = %s", phone, record)
        three.systems[flow].edit(key, city=city)
        three.push(flow)
        assert both_have(three.systems[flow], city=city), three.told()
        assert three.one("SELECT city FROM crm.company WHERE id = %s", record) == city
        assert [told for told in three.waiting() if told[0] == flow] == [], three.told()


def test_what_a_row_that_was_linked_by_hand_brings_goes_to_the_other_row(three: Three) -> None:
    first, second = (three.systems["erp"].insert(name=f"Co {number}", siret=siret(number), email=f"{number}@x.fr")
                     for number in (1, 2))
    three.rest()
    record = three.one("SELECT record_id FROM sync.crosswalk_company WHERE key = %s", first)
    unlink(three.hub, "erp", second)
    link(three.hub, "erp", second, record)
    three.push("erp")
    assert three.one("SELECT email FROM crm.company WHERE id = %s", record) == "2@x.fr"
    assert both_have(three.systems["erp"], email="2@x.fr"), three.told()
    assert [told for told in three.waiting() if told[0] == "erp"] == [], three.told()


def name_of(three: Three, record: int) -> str:
    return str(three.one("SELECT name FROM crm.company WHERE id = %s", record))


def test_of_what_their_system_masters_the_last_change_counts_in_whichever_of_them(three: Three) -> None:
    record, primary, second = known(three, "erp")
    erp = three.systems["erp"]
    for key, name in ((second, "News"), (primary, "Later"), (second, "Last"), (second, "Very last")):
        erp.edit(key, name=name)
        other = erp.rows[second if key == primary else primary]["name"]
        three.push_again("erp")
        three.rest()
        assert name_of(three, record) == name
        three.crm("UPDATE crm.company SET phone = %s WHERE id = %s", f"+3314100000{len(name)}", record)
        three.rest()
        assert name_of(three, record) == name
        assert both_have(three.systems["books"], name=name)
        assert erp.rows[second if key == primary else primary]["name"] == other, "it is the system's own"
    assert three.one("SELECT count(*) FROM sync.journal WHERE record_id = %s AND op = 'update' AND new ? 'name'",
                     record) == 4
    found = reconcile_flow(three.hub, "erp")
    assert (found.totals, found.exit_code) == ({"other_row": 1}, 0)


def test_where_two_rows_meet_the_one_with_the_primary_key_speaks(three: Three) -> None:
    first, second = (three.systems["erp"].insert(name=f"Co {number}") for number in (1, 2))
    three.rest()
    record = three.one("SELECT record_id FROM sync.crosswalk_company WHERE key = %s", first)
    unlink(three.hub, "erp", second)
    told = link(three.hub, "erp", second, record)
    three.rest()
    assert name_of(three, record) == "Co 1"
    assert reconcile_flow(three.hub, "erp").totals == {"never_sent": 1, "other_row": 1}
    three.systems["erp"].edit(second, name="News")
    three.rest()
    assert name_of(three, record) == "News"
    unlink(three.hub, "erp", told.key or "")
    three.rest()
    assert name_of(three, record) == "Co 1", "nothing is left that says otherwise"


def test_where_the_row_with_the_primary_key_is_gone_the_other_one_takes_its_place(three: Three) -> None:
    record, primary, second = known(three, "shop")
    three.systems["shop"].delete(primary)
    three.rest()
    assert three.sees("SELECT x.key, x.record_id, x.is_primary FROM sync.crosswalk_company x"
                      " JOIN sync.feed f ON f.id = x.feed WHERE f.flow = 'shop'") == [(second, record, True)]


def test_a_row_that_got_another_key_there_is_the_record_that_its_old_key_leaves(three: Three) -> None:
    shop = three.systems["shop"]
    first = shop.insert(name="Co 1", siret=siret(1), city="Metz")
    three.rest()
    record = three.one("SELECT record_id FROM sync.crosswalk_company WHERE key = %s", first)
    was = {name: shop.rows[first][name] for name in shop.columns}
    shop.delete(first)
    second = shop.insert(**was)
    three.read("shop")
    assert three.sees("SELECT x.key, x.record_id, x.is_primary FROM sync.crosswalk_company x"
                      " JOIN sync.feed f ON f.id = x.feed WHERE f.flow = 'shop'") == [(second, record, True)]
    assert three.one("SELECT count(*) FROM sync.held WHERE state = 'open'") == 0
    three.crm("UPDATE crm.company SET city = 'Lyon' WHERE id = %s", record)
    three.rest()
    assert (list(shop.rows), shop.rows[second]["city"]) == ([second], "Lyon"), three.told()


@pytest.mark.parametrize("several", [False, True])
def test_what_no_row_ever_said_is_put_right_by_any_of_them(three: Three, several: bool) -> None:
    record = known(three, "erp")[0] if several else int(three.crm(
        "INSERT INTO crm.company (name, siret, city) VALUES ('Co 1', %s, 'Metz') RETURNING id", siret(1))[0][0])
    three.rest()
    three.sees("UPDATE crm.company SET name = 'Nobody said this' WHERE id = %s", record)  # by a login that no lock binds
    for key in list(three.systems["erp"].rows):
        three.systems["erp"].edit(key, city="Nice")  # so that it is read again
    three.rest()
    assert name_of(three, record) in {row["name"] for row in three.systems["erp"].rows.values()}
