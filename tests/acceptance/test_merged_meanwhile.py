"""Records that are merged or converted while something of theirs is to be sent, or its answer is not known yet.

Afterwards each system has what it is to have once, with the values of the record that is left, and no marker is left
over without saying why.
"""

from __future__ import annotations

import pytest

from pipelines.ops.merging import merge
from pipelines.ops.undoing import undo
from pipelines.runs.standing import pause
from tests.memory_desk import FLOWS, Three, module_three, siret, three
from tests.memory_systems import Answer

__all__ = ["module_three", "three"]

ENDS: tuple[Answer, ...] = ("lost", "never", "late", "killed_before", "killed_after")
EACH = [pytest.param(flow, answer, marks=[] if (flow, answer) == ("erp", "lost") else
                     pytest.mark.slow if flow == "erp" or answer in ("lost", "killed_after") else pytest.mark.long)
        for flow in FLOWS for answer in ENDS]
"""Each system, and each way in which the answer to a write is lost."""


def company(three: Three, number: int, city: str) -> int:
    return int(three.crm("INSERT INTO crm.company (name, siret, city) VALUES (%s, %s, %s) RETURNING id",
                         f"Co {number}", siret(number), city)[0][0])


def merged(three: Three, loser: int, winner: int) -> int:
    """The locks of a process that was killed are given back a moment later."""
    three.life.reborn()
    return merge(three.hub, "company", loser, winner).id


def holds(three: Three, flow: str, winner: int, *, rows: int) -> None:
    """In this system everything that is ours is of the winner, with its values; nothing is anybody else's, or waits."""
    system = three.systems[flow]
    assert len(system.rows) == rows, three.told()
    assert {row["city"] for row in system.rows.values()} == {"Metz"}, three.told()
    known = three.sees("SELECT x.key, x.record_id FROM sync.crosswalk_company x JOIN sync.feed f ON f.id = x.feed"
                       " WHERE f.flow = %s", flow)
    assert sorted(known) == sorted((key, winner) for key in system.rows), three.told()
    assert three.waiting() == [], three.told()
    assert three.one("SELECT count(*) FROM sync.intent WHERE state IN ('open', 'unclear')") == 0
    assert three.sees("SELECT id FROM crm.company WHERE archived_at IS NULL") == [(winner,)], three.told()


@pytest.mark.parametrize("flow", ["shop", *(pytest.param(flow, marks=pytest.mark.slow) for flow in ("erp", "books"))])
def test_what_was_never_sent_is_made_once(three: Three, flow: str) -> None:
    loser, winner = company(three, 1, "Lyon"), company(three, 2, "Metz")
    merged(three, loser, winner)
    three.push(flow)
    three.rest()
    holds(three, flow, winner, rows=1)


@pytest.mark.parametrize("flow", ["books", *(pytest.param(flow, marks=pytest.mark.slow) for flow in ("erp", "shop"))])
def test_what_waits_for_a_system_that_is_paused_is_sent_to_both_rows_afterwards(three: Three, flow: str) -> None:
    loser, winner = company(three, 1, "Lyon"), company(three, 2, "Nice")
    three.rest()
    pause(three.hub, flow, "moving")
    three.crm("UPDATE crm.company SET city = 'Brest' WHERE id = %s", loser)
    three.crm("UPDATE crm.company SET city = 'Metz' WHERE id = %s", winner)
    merged(three, loser, winner)
    three.rest()
    holds(three, flow, winner, rows=2)


@pytest.mark.parametrize(("flow", "answer"), EACH)
def test_a_create_of_the_loser_whose_answer_was_lost_is_not_made_again(three: Three, flow: str, answer: Answer) -> None:
    """The system may have made the loser's row: then it is the winner's, whose values it gets."""
    loser = company(three, 1, "Lyon")
    three.systems[flow].answers.append(answer)
    three.push(flow)
    winner = company(three, 2, "Metz")
    merged(three, loser, winner)
    three.push(flow)
    three.rest()
    holds(three, flow, winner, rows=1)


@pytest.mark.parametrize(("flow", "answer"), EACH)
def test_a_create_of_the_loser_whose_answer_was_lost_is_a_second_row_of_a_winner_that_is_known(
        three: Three, flow: str, answer: Answer) -> None:
    winner = company(three, 2, "Metz")
    three.rest()
    loser = company(three, 1, "Lyon")
    three.systems[flow].answers.append(answer)
    three.push(flow)
    merged(three, loser, winner)
    three.push(flow)
    three.rest()
    holds(three, flow, winner, rows=1 if answer in ("never", "killed_before") else 2)


@pytest.mark.parametrize(("flow", "answer"), EACH)
def test_an_update_of_the_loser_whose_answer_was_lost_does_not_come_back_as_an_edit(
        three: Three, flow: str, answer: Answer) -> None:
    loser, winner = company(three, 1, "Lyon"), company(three, 2, "Metz")
    three.rest()
    three.crm("UPDATE crm.company SET city = 'Brest' WHERE id = %s", loser)
    three.systems[flow].answers.append(answer)
    three.push(flow)
    merged(three, loser, winner)
    three.rest()
    holds(three, flow, winner, rows=2)
    assert three.one("SELECT count(*) FROM sync.conflict WHERE state = 'open'") == 0


@pytest.mark.slow
@pytest.mark.parametrize("flow", FLOWS)
def test_undone_a_merge_leaves_two_rows_of_two_records(three: Three, flow: str) -> None:
    loser, winner = company(three, 1, "Lyon"), company(three, 2, "Metz")
    three.systems[flow].answers.append("lost")
    three.push(flow)
    number = merged(three, loser, winner)
    undo(three.hub, number)
    three.rest()
    assert sorted(row["city"] for row in three.systems[flow].rows.values()) == ["Lyon", "Metz"], three.told()
    assert three.differences() == []
    assert three.waiting() == []


def test_a_create_that_is_unclear_stays_so_for_the_winner_until_a_person_says_which_row_it_is(three: Three) -> None:
    loser = company(three, 1, "Lyon")
    three.systems["shop"].answers.append("lost")
    three.push("shop")
    three.systems["shop"].insert(name="Co 1", siret=siret(1), city="Lyon")
    three.time_passes()
    three.push("shop")
    assert ("shop", loser, "unclear") in [told[:3] for told in three.waiting()]
    winner = company(three, 2, "Metz")
    merged(three, loser, winner)
    for _ in range(2):
        three.time_passes()
        three.push("shop")
    assert ("shop", winner, "unclear") in [told[:3] for told in three.waiting()], three.told()
    assert len(three.systems["shop"].rows) == 2
