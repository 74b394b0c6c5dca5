"""Creates on their way: cut or killed at any moment, each comes to one row, also where no row tells whose it is."""

from __future__ import annotations

import time
from collections import Counter
from threading import Lock
from typing import Any

import pytest

from connectors.remote import RemoteDown
from tests.memory_desk import Three, module_three, siret, three
from tests.memory_systems import MemoryRemote, cutting

pytestmark = pytest.mark.slow

__all__ = ["module_three", "three"]


def test_killed_at_any_statement_a_create_is_made_once_without_reading_in_between(three: Three) -> None:
    """No SIRET and no reference: only the hub's own notes can tell that the row was made."""
    for statements in range(1, 50):
        three.crm("INSERT INTO crm.company (name, city) VALUES (%s, 'Lyon')", f"Company {statements}")
        three.life.left = statements
        three.push("shop")
        three.life.left = None
        three.time_passes()
        three.push("shop")
    names = Counter(row["name"] for row in three.systems["shop"].rows.values())
    assert {name: times for name, times in names.items() if times > 1} == {}
    assert len(names) == 49


def test_of_a_halved_batch_that_is_cut_what_was_made_is_known(three: Three) -> None:
    """Refused whole for one bad row; the first half is made, and the system goes down before the second."""
    three.crm("INSERT INTO crm.company (name, siret, segment_note) VALUES ('One', %s, 'good'), ('Two', %s, 'good'),"
              " ('Three', %s, 'FORBIDDEN'), ('Four', %s, 'good')", *map(siret, range(1, 5)))
    books = three.systems["books"]
    books.refused = "FORBIDDEN"
    books.answers.extend(["well", "well", "down"])
    assert three.push("books") is None
    assert [row["name"] for row in books.rows.values()] == ["One"]
    assert three.one("SELECT count(*) FROM sync.intent WHERE state = 'delivered'") == 1
    three.time_passes()
    three.push("books")
    assert sorted(row["name"] for row in books.rows.values()) == ["Four", "One", "Two"]


def test_a_killed_push_is_closed_with_what_is_true_of_it(three: Three) -> None:
    three.crm("INSERT INTO crm.company (name, siret) VALUES ('One', %s)", siret(1))
    three.systems["shop"].answers.append("killed_after")
    assert three.push("shop") is None
    assert three.sees("SELECT state FROM sync.run WHERE trigger = 'push'") == [("applying",)]
    three.time_passes()
    three.push("shop")
    assert three.sees("SELECT state, problem->>'message', problem->>'todo' FROM sync.run WHERE source = 'outbox'"
                      " ORDER BY id LIMIT 1") == [(
        "failed", "interrupted while sending",
        "nothing to do: what was not delivered waits in the outbox, and is sent by the next push")]
    assert three.sees("SELECT count(*) FROM sync.run WHERE state = 'applying'") == [(0,)]
    assert len(three.systems["shop"].rows) == 1


def test_a_create_whose_answer_was_lost_is_found_where_the_system_cut_every_text(three: Three) -> None:
    """No SIRET, no reference, and no cell as it was sent."""
    shop = three.systems["shop"]
    shop.tidy = cutting
    three.push("shop")
    three.read("shop")
    three.crm("INSERT INTO crm.company (name, city) VALUES ('Atelier du Grand Large', 'Villeneuve-sur-Lot')")
    shop.insert(name="Somebody else", city="Lyon")
    shop.answers.append("lost")
    three.push("shop")
    three.time_passes()
    three.push("shop")
    three.rest()
    assert Counter(row["name"] for row in shop.rows.values()) == {"Atelier du": 1, "Somebody e": 1}
    assert three.differences() == []
    assert three.one("SELECT count(*) FROM crm.company WHERE name = 'Atelier du Grand Large'") == 1


def test_an_edit_made_after_an_update_whose_answer_was_lost_is_no_conflict(three: Three) -> None:
    erp = three.systems["erp"]
    three.crm("INSERT INTO crm.company (name, siret, city) VALUES ('Atelier', %s, 'Lyon')", siret(1))
    three.rest()
    three.crm("UPDATE crm.company SET city = 'Villeneuve-sur-Lot'")  # stored as Villeneuve
    erp.answers.append("lost")
    three.push("erp")
    assert [row["city"] for row in erp.rows.values()] == ["Villeneuve"]
    three.crm("UPDATE crm.company SET city = 'Metz'")
    three.read("erp")
    three.rest()
    assert three.sees("SELECT field FROM sync.conflict") == []
    assert {row["city"] for one in three.systems.values() for row in one.rows.values()} == {"Metz"}
    assert three.sees("SELECT city FROM crm.company") == [("Metz",)]


def test_somebody_s_edit_over_an_update_whose_answer_was_lost_is_a_conflict_still(three: Three) -> None:
    erp = three.systems["erp"]
    three.crm("INSERT INTO crm.company (name, siret, city) VALUES ('Atelier', %s, 'Lyon')", siret(1))
    three.rest()
    three.crm("UPDATE crm.company SET city = 'Nancy'")
    erp.answers.append("lost")
    three.push("erp")
    erp.edit(next(iter(erp.rows)), city="Brest")
    three.read("erp")
    assert three.sees("SELECT field, state FROM sync.conflict") == [("city", "open")]


def test_what_the_system_cut_of_a_lost_create_is_no_conflict(three: Three) -> None:
    three.crm("INSERT INTO crm.company (name, siret, city) VALUES ('Atelier', %s, 'Villeneuve-sur-Lot')", siret(1))
    three.systems["erp"].answers.append("lost")
    three.push("erp")
    three.time_passes()
    three.push("erp")
    three.rest()
    assert [row["city"] for row in three.systems["erp"].rows.values()] == ["Villeneuve"]
    assert three.sees("SELECT city FROM crm.company") == [("Villeneuve-sur-Lot",)]
    assert three.sees("SELECT field FROM sync.conflict") == []


def test_what_somebody_edits_after_a_lost_create_was_found_is_an_edit(three: Three) -> None:
    """The system answers to the search and goes away again before the flow is read."""
    three.crm("INSERT INTO crm.company (name, siret, city) VALUES ('Atelier', %s, 'Lyon')", siret(1))
    erp = three.systems["erp"]
    erp.answers.append("lost")
    three.push("erp")
    three.time_passes()
    three.crm("UPDATE crm.company SET email = 'new@example.org'")
    erp.answers.append("down")
    assert three.push("erp") is None
    erp.edit(next(iter(erp.rows)), city="Brest")
    three.rest()
    assert three.sees("SELECT city FROM crm.company") == [("Brest",)]


def test_as_many_batches_are_on_their_way_at_once_as_the_system_takes(three: Three, monkeypatch: pytest.MonkeyPatch
                                                                      ) -> None:
    """The shop takes two rows a call, and here three calls at a time."""
    shop = three.project.systems["shop"]
    limits = shop.limits.model_copy(update={"parallel_writes": 3})
    monkeypatch.setitem(three.project.systems, "shop", shop.model_copy(update={"limits": limits}))  # type: ignore[arg-type]
    under_way, most, lock, write = 0, 0, Lock(), MemoryRemote.write

    def watched(remote: MemoryRemote, *said: Any) -> Any:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.05)
        with lock:
            under_way -= 1
            return write(remote, *said)

    monkeypatch.setattr(MemoryRemote, "write", watched)
    for number in range(1, 13):
        three.crm("INSERT INTO crm.company (name, siret) VALUES (%s, %s)", f"Company {number}", siret(number))
    three.push("shop")
    assert most == 3
    assert sorted(row["siret"] for row in three.systems["shop"].rows.values()) == sorted(map(siret, range(1, 13)))
    three.round()
    assert three.differences() == []


def test_of_batches_at_once_one_that_is_not_reached_keeps_what_the_others_wrote(three: Three,
                                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    shop = three.project.systems["shop"]
    limits = shop.limits.model_copy(update={"parallel_writes": 2})
    monkeypatch.setitem(three.project.systems, "shop", shop.model_copy(update={"limits": limits}))  # type: ignore[arg-type]
    for number in range(1, 9):
        three.crm("INSERT INTO crm.company (name, siret) VALUES (%s, %s)", f"Company {number}", siret(number))
    three.systems["shop"].answers.extend(["well", "down"])
    assert three.push("shop") is None
    made = len(three.systems["shop"].rows)
    assert 0 < made < 8
    assert three.one("SELECT count(*) FROM sync.intent WHERE state = 'delivered'") == made
    three.time_passes()
    three.push("shop")
    assert sorted(row["siret"] for row in three.systems["shop"].rows.values()) == sorted(map(siret, range(1, 9)))


def test_what_somebody_edits_before_a_late_reading_is_an_edit(three: Three, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shop went away before its row was read back: cut or not, what it has by then may be another's."""
    three.crm("INSERT INTO crm.company (name, siret, city) VALUES ('One', %s, 'Villeneuve-sur-Lot')", siret(1))

    def down(*_: object) -> None:
        raise RemoteDown("gone", where="shop", todo="try again")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryRemote, "fetch", down)
        assert three.push("shop") is None
    [key] = three.systems["shop"].rows
    three.systems["shop"].edit(key, city="Marseille")
    three.time_passes()
    three.round()
    three.round()
    assert three.one("SELECT city FROM crm.company") == "Marseille"
    assert three.differences() == []
