"""A create whose answer was lost, and whose row somebody changed before we looked for it, is not made again unasked."""

from __future__ import annotations

import pytest

from pipelines.ops.mending import link
from pipelines.runs.settling import settle_row
from tests.memory_desk import Three, module_three, siret, three

pytestmark = pytest.mark.slow

__all__ = ["module_three", "three"]


def lost_and_renamed(three: Three) -> str:
    """A record that `shop`, which keeps no id of ours, made without a word; its row has another name now."""
    three.systems["shop"].insert(name="Known", siret=siret(1))
    three.read("shop")
    three.crm("INSERT INTO crm.company (name) VALUES ('Atelier')")
    three.systems["shop"].answers.append("lost")
    three.push("shop")
    (key,) = (row["id"] for row in three.systems["shop"].made)
    three.systems["shop"].edit(key, name="Garage")
    return key


def of_shop(three: Three) -> list[tuple[str, str]]:
    return [(state, code) for flow, _, state, code in three.waiting() if flow == "shop"]


@pytest.mark.parametrize("tells", [True, False])
@pytest.mark.parametrize("read_first", [True, False])
def test_it_is_asked_about_and_linked_by_hand(three: Three, tells: bool, read_first: bool) -> None:
    three.systems["shop"].tells_makers = tells
    key = lost_and_renamed(three)
    for _ in range(2):
        if read_first:
            three.read("shop")
        three.push("shop")
        three.read("shop")
    assert (len(three.systems["shop"].rows), three.one("SELECT count(*) FROM crm.company")) == (2, 2)
    assert of_shop(three) == [("unclear", "create_unclear")]
    assert three.sees("SELECT key, code FROM sync.held WHERE state = 'open'") == [(key, "create_open")]
    link(three.hub, "shop", key, three.one("SELECT id FROM crm.company WHERE name = 'Atelier'"))
    three.rest()
    assert (len(three.systems["shop"].rows), of_shop(three)) == (2, [])


def test_a_row_that_is_another_record_lets_it_be_made(three: Three) -> None:
    three.systems["shop"].insert(name="Known", siret=siret(1))
    three.read("shop")
    three.systems["shop"].tells_makers = False
    three.crm("INSERT INTO crm.company (name) VALUES ('Atelier')")
    three.systems["shop"].answers.append("never")
    three.push("shop")
    three.systems["shop"].insert(name="Garage", siret=siret(2))
    three.push("shop")
    three.read("shop")
    assert of_shop(three) == [("unclear", "create_unclear")]
    settle_row(three.hub, three.one("SELECT id FROM sync.held WHERE state = 'open'"), create=True)
    three.push("shop")
    assert sorted(row["name"] for row in three.systems["shop"].rows.values()) == ["Atelier", "Garage", "Known"]
    assert three.one("SELECT count(*) FROM crm.company") == 3
    assert of_shop(three) == []


def test_what_somebody_else_has_made_meanwhile_keeps_nothing_where_the_system_says_so(three: Three) -> None:
    three.systems["shop"].insert(name="Known", siret=siret(1))
    three.read("shop")
    three.crm("INSERT INTO crm.company (name) VALUES ('Atelier')")
    three.systems["shop"].answers.append("never")
    three.push("shop")
    three.systems["shop"].insert(name="Garage", siret=siret(2))
    three.push("shop")
    three.read("shop")
    assert sorted(row["name"] for row in three.systems["shop"].rows.values()) == ["Atelier", "Garage", "Known"]
    assert three.one("SELECT count(*) FROM crm.company") == 3
