"""Many new records at once: batches that overlap are made once each, whatever ends the push."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.memory_desk import Three, module_three, three
from tests.memory_systems import Answer, MemoryRemote

pytestmark = pytest.mark.slow

__all__ = ["module_three", "three"]

COUNT = 11


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eleven records are four batches."""
    monkeypatch.setattr("pipelines.runs.push.BATCH", 3)


def new_companies(three: Three) -> None:
    three.crm("INSERT INTO crm.company (name, city, segment_note) SELECT 'Co ' || n, 'Villeneuve-sur-' || n, 'note ' || n"
              " FROM generate_series(1, %s) n", COUNT)


def each_is_there_once(three: Three) -> None:
    """Nothing twice, nothing lost, nothing waits, and what was cut there is whole here."""
    for one in three.systems.values():
        assert sorted(row["name"] for row in one.rows.values()) == sorted(f"Co {n}" for n in range(1, COUNT + 1))
    assert three.one("SELECT count(*) FROM crm.company") == COUNT
    assert three.one("SELECT count(*) FROM crm.company WHERE city LIKE 'Villeneuve-sur-%%'") == COUNT
    assert three.waiting() == [], three.told()
    assert three.one("SELECT count(*) FROM sync.intent WHERE state IN ('open', 'unclear')") == 0
    assert three.strangers() == []


@pytest.mark.parametrize("flow", ["erp", "shop", "books"])
def test_every_record_is_made_once_and_read_back(three: Three, flow: str) -> None:
    new_companies(three)
    result = three.push(flow)
    assert result is not None
    assert result.counts["created"] == COUNT
    assert three.one("SELECT count(*) FROM sync.crosswalk_company WHERE sent IS NOT NULL") == 0
    three.rest()
    each_is_there_once(three)


@pytest.mark.parametrize("left", [
    20, 40, 90, *(pytest.param(left, marks=pytest.mark.slow) for left in (60, 140, 200)),
    *(pytest.param(left, marks=pytest.mark.long) for left in (10, 30, 50, 70, 80, 100, 120, 170, 230))])
def test_killed_at_any_statement_everything_is_made_once(three: Three, left: int) -> None:
    new_companies(three)
    three.life.left = left
    three.push("erp")
    three.rest()
    each_is_there_once(three)


@pytest.mark.parametrize(("flow", "at", "answer"), [
    ("erp", 1, "lost"), ("erp", 1, "down"), ("erp", 2, "killed_after"),
    *(pytest.param(flow, at, answer, marks=pytest.mark.slow if (flow, at) == ("books", 1) else pytest.mark.long)
      for flow, at in (("erp", 0), ("books", 1), ("books", 2))
      for answer in ("lost", "never", "late", "down", "retry", "killed_before", "killed_after")),
])
def test_whatever_becomes_of_one_call_everything_is_made_once(three: Three, flow: str, at: int, answer: Answer) -> None:
    new_companies(three)
    three.systems[flow].answers.extend([*["well"] * at, answer])
    three.push(flow)
    assert three.one("SELECT count(*) FROM sync.outbox WHERE state = 'sending'") == 0 or answer.startswith("killed")
    three.rest()
    each_is_there_once(three)


@pytest.mark.parametrize("answer", ["lost", "late"])
@pytest.mark.parametrize(("flow", "at_once"), [("erp", 50), ("shop", 2)])  # overlapping, and call by call
def test_a_record_that_is_edited_while_its_answer_is_lost_is_not_made_again_by_the_same_push(
    three: Three, flow: str, at_once: int, answer: Answer
) -> None:
    one = three.systems[flow]
    one.batch = at_once
    new_companies(three)
    one.meanwhile = lambda: three.crm("UPDATE crm.company SET segment_note = 'edited' WHERE name = 'Co 1'") and None
    one.answers.append(answer)
    three.push(flow)
    three.rest()
    each_is_there_once(three)
    assert three.one("SELECT segment_note FROM crm.company WHERE name = 'Co 1'") == "edited"


OPEN = "FROM sync.intent WHERE state = 'open'"


def test_a_lost_answer_is_waited_for_from_the_write_on_however_long_the_last_batch_was_read_back(
    three: Three, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading back takes an hour, and the next batch's intents are noted at its beginning."""
    fetch, write, hours, written = MemoryRemote.fetch, MemoryRemote.write, list[float](), [0]

    def fetching(remote: MemoryRemote, *asked: Any) -> Any:
        for _ in range(100):  # a second, where no batch follows
            if three.one(f"SELECT count(*) {OPEN} AND id > %s", written[0]):
                break
            time.sleep(0.01)
        three.sees("UPDATE sync.intent SET at = at - interval '1 hour' WHERE state = 'open'")
        return fetch(remote, *asked)

    def writing(remote: MemoryRemote, *asked: Any) -> Any:
        [(age, written[0])] = three.sees(f"SELECT extract(epoch FROM max(now() - at)) / 3600, max(id) {OPEN}")
        hours.append(float(age))
        return write(remote, *asked)

    monkeypatch.setattr(MemoryRemote, "fetch", fetching)
    monkeypatch.setattr(MemoryRemote, "write", writing)
    new_companies(three)
    three.push("erp")
    assert len(hours) >= 4
    assert max(hours) < 0.5


def test_the_halves_of_a_refused_batch_count_from_their_own_write(three: Three, monkeypatch: pytest.MonkeyPatch) -> None:
    hours: list[float] = []
    write = MemoryRemote.write

    def writing(remote: MemoryRemote, resource: Any, changes: Any) -> Any:
        names = [change.values["name"] for change in changes]
        mine = f"{OPEN} AND values ->> 'name' = ANY(%s)"
        hours.append(float(three.one(f"SELECT extract(epoch FROM max(now() - at)) / 3600 {mine}", names)))
        three.sees("UPDATE sync.intent SET at = at - interval '1 hour' WHERE state = 'open'")
        return write(remote, resource, changes)

    monkeypatch.setattr(MemoryRemote, "write", writing)
    new_companies(three)
    three.crm("UPDATE crm.company SET segment_note = 'FORBIDDEN' WHERE name = 'Co 5'")
    three.push("books")
    assert len(hours) > 4
    assert max(hours) < 0.5


def test_one_bad_record_does_not_keep_its_batch(three: Three) -> None:
    new_companies(three)
    three.crm("UPDATE crm.company SET segment_note = 'FORBIDDEN' WHERE name = 'Co 5'")
    result = three.push("books")
    assert result is not None
    assert (result.counts["created"], result.counts["refused"]) == (COUNT - 1, 1)
    assert [(state, code) for flow, _, state, code in three.waiting() if flow == "books"] == [("refused", "value")]
