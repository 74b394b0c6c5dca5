"""Small runs share temporary tables, one run after the other: none sees a row of another, also where one was undone."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.runs import small
from pipelines.runs.executing import execute
from pipelines.runs.lock import flow_lock
from pipelines.runs.orders import Order
from pipelines.runs.remote import FetchedSource, page_of
from pipelines.runs.result import RunResult
from tests.both_ways_desk import Both, both  # noqa: F401 - a fixture


def took(both: Both, *rows: dict[str, str]) -> RunResult:  # noqa: F811
    """A small run on these rows of the erp."""
    flow = both.project.flows["erp_companies"]
    with flow_lock(both.hub, flow.flow):
        result = execute(both.hub, Order(flow=flow, source=FetchedSource(page_of(rows)), name="customer", guarded=False,
                                         trigger="live"))
    assert result.state == "done", result.problem
    return result


def told(result: RunResult) -> dict[str, int]:
    return {name: count for name, count in result.into["company"].items() if isinstance(count, int) and count}


def row(number: int, name: str, **said: str) -> dict[str, str]:
    return {"id": str(number), "name": name, "city": "Lille", **said}


def ended_small(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What came of each run that went this way to its end."""
    ended: list[Any] = []
    real = small.apply_small
    monkeypatch.setattr(small, "apply_small", lambda *given: ended.append(real(*given)) or ended[-1])
    return ended


@pytest.mark.parametrize("most", [small.MOST_DEAD, 0])
def test_a_run_finds_its_tables_empty(both: Both, most: int, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(small, "MOST_DEAD", most)
    small_ones = ended_small(monkeypatch)
    assert told(took(both, row(1, "Anvil"), row(2, "Bolt"))) == {"rows_read": 2, "created": 2}
    assert told(took(both, row(3, ""), row(4, "Drill"))) == {"rows_read": 2, "created": 1, "rejected": 1}
    assert told(took(both, row(1, "Anvil Ltd"))) == {"rows_read": 1, "updated": 1}
    assert told(took(both, row(2, "Bolt"), row(3, "Cog"))) == {"rows_read": 2, "created": 1, "unchanged": 1}
    assert len(small_ones) == 4  # all of them went this way to its end
    assert both.sees("SELECT count(*) FROM sync.held WHERE state = 'open'") == [(0,)]
    assert [name for name, in both.sees("SELECT name FROM crm.company ORDER BY name")] == ["Anvil Ltd", "Bolt", "Cog", "Drill"]


def test_what_was_undone_leaves_nothing_to_the_next(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    small_ones = ended_small(monkeypatch)
    took(both, row(1, "Anvil"))
    real, tries = small.decide_landed, []

    def fails(*given: Any) -> Any:
        tries.append(given)
        raise small._Asks if len(tries) == 1 else AssertionError

    with monkeypatch.context() as patch:
        patch.setattr(small, "decide_landed", fails)
        assert told(took(both, row(1, "Anvil Ltd"), row(2, "Bolt"))) == {"rows_read": 2, "created": 1, "updated": 1}
    assert (len(tries), small.decide_landed) == (1, real)
    assert told(took(both, row(3, "Cog"))) == {"rows_read": 1, "created": 1}
    assert len(small_ones) == 2  # the first and the last
