"""Rows that were read before a write and that no run could take in: what is edited here goes out or waits."""

from __future__ import annotations

import pytest

from tests.memory_desk import Three, module_three, siret, three

pytestmark = pytest.mark.slow

__all__ = ["module_three", "three"]


def spoilt(three: Three, flow: str, **values: str) -> str:
    """A company that this one system and the CRM know, whose row somebody spoils there; its key."""
    key = three.systems[flow].insert(name="Atelier", siret=siret(1), city="Lyon", phone="01 41 00 00 01")
    three.read(flow)
    three.systems[flow].edit(key, siret="123", **values)
    return key


def of(three: Three, flow: str) -> list[tuple[str, str]]:
    """(state, code) of the markers of a flow."""
    return [(state, code) for name, _, state, code in three.waiting() if name == flow]


@pytest.mark.parametrize("flow", ["erp", "shop"])
def test_what_is_edited_here_goes_out_to_a_row_that_cannot_be_taken_in(three: Three, flow: str) -> None:
    key = spoilt(three, flow)
    three.crm("UPDATE crm.company SET city = 'Metz', phone = '+33141000002'")
    three.push(flow)
    row = three.systems[flow].rows[key]
    assert (row["city"], row["siret"], row["phone"].replace(" ", "")[-9:]) == ("Metz", "123", "141000002")
    assert of(three, flow) == []
    three.crm("UPDATE crm.company SET city = 'Brest'")  # what the write before came to was never read
    three.push(flow)
    assert three.systems[flow].rows[key]["city"] == "Brest"
    three.systems[flow].edit(key, siret=siret(1))
    three.rest()
    assert three.differences() == []


def test_what_was_changed_in_such_a_row_too_waits_and_is_decided_once_the_row_is_right(three: Three) -> None:
    key = spoilt(three, "shop", city="Brest")
    three.crm("UPDATE crm.company SET city = 'Metz', siret = %s, email = 'a@example.org'", siret(2))
    three.push("shop")
    row = three.systems["shop"].rows[key]
    assert (row["city"], row["siret"], row["email"]) == ("Brest", "123", "a@example.org")
    assert of(three, "shop") == [("waiting", "unread_there")]
    three.systems["shop"].edit(key, siret=siret(1))
    three.rest()
    assert three.systems["shop"].rows[key]["siret"] == siret(2)
    assert three.sees("SELECT field, state FROM sync.conflict") == [("city", "open")]
