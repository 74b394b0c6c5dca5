"""What live tells of problems: a line when one begins and when it is over, not one for each turn."""

from __future__ import annotations

from collections import Counter

from pipelines.runs.problems import AGAIN, Problems

COLUMN, LOCKED = "problem: no such column", "problem: another run holds the lock"


def test_a_problem_is_told_when_it_begins_now_and_then_and_when_it_is_over() -> None:
    now = [0.0]
    problems = Problems(lambda: now[0])
    told = []
    for now[0], counts in ((0.0, {COLUMN: 1}), (1.0, {COLUMN: 1, "created": 2}), (AGAIN, {COLUMN: 1}), (AGAIN + 1, {})):
        told.append(dict(problems.fresh("reads", Counter(counts))))
    assert told == [{COLUMN: 1}, {"created": 2}, {COLUMN: 1}, {"problem over: no such column": 1}]
    assert not problems.fresh("reads", Counter())


def test_another_problem_and_that_of_another_flow_are_told_for_themselves() -> None:
    problems = Problems()
    assert problems.fresh("reads", Counter({COLUMN: 1}))
    assert problems.fresh("sends", Counter({COLUMN: 1}))
    assert dict(problems.fresh("reads", Counter({LOCKED: 1}))) == {LOCKED: 1, "problem over: no such column": 1}
    assert not problems.fresh("sends", Counter({COLUMN: 1}))


def test_a_system_that_is_down_for_ever_changing_reasons_is_down_once() -> None:
    problems = Problems()
    assert problems.news("erp", {"down": "it did not answer: port 1"})
    assert not problems.news("erp", {"down": "it did not answer: port 2"})
    assert dict(problems.news("erp", {"paused": "it is paused"})) == {
        "problem: it is paused": 1, "problem over: it did not answer: port 1": 1}
