"""What a system answers now is what stands there, also where an order mark from before was ahead of it."""

from __future__ import annotations

import pytest

from mappings.language.flow import Guard
from pipelines.runs.lock import flow_lock
from pipelines.runs.reconcile import reconcile_flow
from pipelines.runs.remote import read_remote
from pipelines.runs.settling import settle_run
from tests.memory_desk import Three, module_three, siret, three

pytestmark = pytest.mark.slow

__all__ = ["module_three", "three"]


def known(three: Three, number: int = 1) -> str:
    """A company of the ERP that was read in its fifth version; its key."""
    key = three.systems["erp"].insert(name="Atelier", siret=siret(number), city="Lyon", closed="false")
    for version in range(4):
        three.systems["erp"].edit(key, website=f"https://{version}.example.org")
    three.read("erp")
    return key


def restored(three: Three, key: str, **values: str) -> None:
    """The row as a backup brings it back: with the version that it had then."""
    three.systems["erp"].edit(key, **values)
    three.systems["erp"].rows[key]["rev"] = "2"


def city(three: Three, number: int = 1) -> object:
    return three.one("SELECT city FROM crm.company WHERE siret = %s", siret(number))


def test_a_state_that_a_backup_brought_back_is_taken_in(three: Three) -> None:
    restored(three, known(three), city="Metz")
    result = three.read("erp")
    assert result is not None
    assert (result.total("updated"), result.total("superseded"), city(three)) == (1, 0, "Metz")
    three.rest()
    assert three.differences() == []


def test_a_push_reads_such_a_row_and_writes_what_was_edited_here(three: Three) -> None:
    key = known(three)
    restored(three, key, city="Metz")
    three.crm("UPDATE crm.company SET email = 'new@example.org', city = 'Brest'")
    pushed = three.push("erp")
    assert pushed is not None
    assert (pushed.counts["updated"], pushed.counts["waiting"]) == (1, 0)
    assert three.systems["erp"].rows[key]["email"] == "new@example.org"
    assert three.sees("SELECT field, state FROM sync.conflict") == [("city", "open")]  # as it would be in any version


def test_a_reject_closes_with_the_row_as_it_stands_and_a_later_one_takes_its_place(three: Three) -> None:
    one, key = three.systems["erp"], known(three)
    refusals = "SELECT raw->>'phone' FROM sync.held WHERE state = 'open'"
    one.edit(key, phone="call me")
    three.read("erp")
    restored(three, key, phone="ask her")
    three.read("erp")
    assert three.sees(refusals) == [("ask her",)]
    one.rows[key]["rev"] = "900"
    three.read("erp", full=True)
    restored(three, key, phone="01 41 00 00 01")
    three.read("erp")
    assert three.sees(refusals) == []
    assert three.one("SELECT phone FROM crm.company") == "+33141000001"


def test_a_read_that_waited_for_a_person_is_as_new_as_it_was_where_nothing_was_read_since(three: Three) -> None:
    keys = [known(three, number) for number in range(25)]
    for key in keys:
        restored(three, key, city="Metz")
    mapped = three.hub.flow("erp")
    with flow_lock(three.hub, "erp"):
        waits = read_remote(three.hub, mapped.model_copy(update={"guard": Guard(updates=0.1)}), full=False,
                            trigger="test", progress=lambda *_: None)
    assert waits.state == "review"
    three.systems["erp"].edit(keys[0], city="Brest")
    three.crm("UPDATE crm.company SET email = 'new@example.org' WHERE siret = %s", siret(0))
    three.push_again("erp")
    result = settle_run(three.hub, waits.run_id, approve=True)
    assert (result.total("updated"), result.total("superseded")) == (24, 1)
    assert (city(three, 0), city(three)) == ("Brest", "Metz")


def test_of_rows_of_one_read_that_have_one_key_reconcile_names_the_older(three: Three) -> None:
    key = known(three)
    three.rest()
    three.systems["erp"].repeats = True  # this read brings old images of the row too
    found = reconcile_flow(three.hub, "erp", repair=True)
    assert set(found.totals) == {"superseded"}
    assert {(one["key"], one["why"]) for one in found.differences} == {(key, None)}
    assert (found.queued, found.taken, found.exit_code) == (0, 0, 4)
