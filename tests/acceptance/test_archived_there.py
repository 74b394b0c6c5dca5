"""Records that are archived here, and what becomes of their rows where the mapping has no field `archived`."""

from __future__ import annotations

import pytest

from pipelines.runs.preview import preview_flow
from pipelines.runs.reconcile import reconcile_flow
from tests.memory_desk import Three, module_three, siret, three

pytestmark = pytest.mark.slow

__all__ = ["module_three", "three"]


def known(three: Three) -> str:
    """A company of the shop, which is told what is archived here."""
    key = three.systems["shop"].insert(name="Atelier", siret=siret(1), city="Lyon")
    three.read("shop")
    return key


def of_shop(three: Three) -> list[tuple[str, str]]:
    """(state, code) of the shop's markers."""
    return [(state, code) for name, _, state, code in three.waiting() if name == "shop"]


def test_what_is_edited_and_archived_goes_out_in_one_write(three: Three) -> None:
    key = known(three)
    three.crm("UPDATE crm.company SET archived_at = now(), city = 'Metz'")
    before = three.systems["shop"].writes
    three.push("shop")
    row = three.systems["shop"].rows[key]
    assert (row["city"], row["closed"], three.systems["shop"].writes) == ("Metz", "true", before + 1)
    assert of_shop(three) == []
    assert three.one("SELECT pending FROM sync.crosswalk_company x JOIN sync.feed f ON f.id = x.feed WHERE flow = 'shop'") is None


def test_a_field_that_cannot_go_out_keeps_its_marker_and_not_the_archive(three: Three) -> None:
    key = known(three)
    three.crm("UPDATE crm.company SET archived_at = now(), phone = '12'")
    three.push("shop")
    row = three.systems["shop"].rows[key]
    assert (row["phone"], row["closed"]) == ("", "true")
    assert of_shop(three) == [("refused", "not_phone")]
    three.crm("UPDATE crm.company SET phone = '+33141000001'")
    three.push("shop")
    assert (three.systems["shop"].rows[key]["phone"], of_shop(three)) == ("+33141000001", [])


def test_what_is_brought_back_here_is_brought_back_there(three: Three) -> None:
    key = known(three)
    three.crm("UPDATE crm.company SET archived_at = now()")
    three.rest()
    assert three.systems["shop"].rows[key]["closed"] == "true"
    three.crm("UPDATE crm.company SET archived_at = NULL, city = 'Metz'")
    three.read("shop", full=True)  # it is there, which is no news
    found = reconcile_flow(three.hub, "shop").differences
    assert [(one["cause"], one["field"], one["here"], one["there"]) for one in found] == [
        ("pending", "archived", False, True), ("pending", "city", "Metz", "Lyon")]
    assert [one["operation"] for one in preview_flow(three.hub, "shop").sends] == ["bring back"]
    before = three.systems["shop"].writes
    three.push("shop")
    row = three.systems["shop"].rows[key]
    assert (row["closed"], row["city"], three.systems["shop"].writes) == ("", "Metz", before + 1)
    three.rest()
    assert (reconcile_flow(three.hub, "shop").totals, of_shop(three)) == ({}, [])
    assert three.systems["shop"].writes == before + 1
    three.crm("UPDATE crm.company SET archived_at = now()")  # and once more
    three.rest()
    three.crm("UPDATE crm.company SET archived_at = NULL")
    three.rest()
    assert three.systems["shop"].rows[key]["closed"] == ""


def test_a_row_that_is_gone_is_told_until_it_is_unlinked_or_its_record_archived(three: Three) -> None:
    key = known(three)
    three.crm("UPDATE crm.company SET city = 'Metz'")
    three.systems["shop"].delete(key)
    three.push("shop")
    assert of_shop(three) == [("refused", "gone_there")]
    three.read("shop")
    assert of_shop(three) == []
    key = three.systems["shop"].insert(name="Atelier", siret=siret(1), city="Metz")
    three.read("shop")
    three.systems["shop"].rows.pop(key)  # and the system tells nobody
    three.crm("UPDATE crm.company SET city = 'Brest', archived_at = now()")
    three.push("shop")
    assert of_shop(three) == []
    three.crm("UPDATE crm.company SET city = 'Nice'")
    three.push("shop")
    assert of_shop(three) == []
    three.crm("UPDATE crm.company SET archived_at = NULL")
    three.push("shop")
    assert of_shop(three) == [("refused", "gone_there")]
