"""Several who want one flow: a command waits and has its turn, who comes again by itself only tries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest

from pipelines.runs import patience
from pipelines.runs.lock import FlowBusy, flow_lock
from pipelines.runs.patience import patient
from tests.road_desk import Road, roads
from tests.store.test_road_races import FLOW, HEAD, row, waits_for_a_lock

module_road, road = roads({name: FLOW.format(flow=name, system="erp") for name in ("first", "second")})


@contextmanager
def waiting(road: Road, flow: str, work: Callable[[], Any], told: list[str]) -> Iterator[Future[Any]]:
    """A command that wants the flow, which is held; the block runs when it stands in the queue."""

    def command() -> Any:
        with patient(told.append), flow_lock(road.hub, flow):
            return work()

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(command)
        waits_for_a_lock(road)
        yield asked


def test_who_tries_gets_nothing_while_a_command_waits_for_its_turn(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    """Live, which takes the lock again and again, lets it go and tries at once."""
    monkeypatch.setattr(patience, "MOMENT", patience.LONGEST)
    go, told, held = Event(), list[str](), flow_lock(road.hub, "first")
    held.__enter__()
    with waiting(road, "first", lambda: go.wait(30), told) as command:
        held.__exit__(None, None, None)
        try:
            for _ in range(100):
                with pytest.raises(FlowBusy), flow_lock(road.hub, "first"):
                    pass
        finally:
            go.set()
        assert command.result()
    assert told == [], "a moment is not worth a word"
    with flow_lock(road.hub, "first"):
        pass


def test_the_second_command_waits_says_so_and_then_runs(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "MOMENT", 0.01)
    said, told = Event(), list[str]()

    def command() -> None:
        with patient(lambda sentence: (told.append(sentence), said.set())):
            road.run("first", HEAD, row(1))

    with ThreadPoolExecutor(1) as pool:
        with flow_lock(road.hub, "first"):
            second = pool.submit(command)
            assert said.wait(30)
            assert road.names() == []
        second.result()
    assert road.names() == ["Company 1"]
    assert told == ["flow first: another run of it is under way; waiting for it to end"]


def test_who_waited_in_vain_is_told_and_does_not_wait_for_other_flows_as_long_again(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "LONGEST", 0.2)
    with flow_lock(road.hub, "first"), flow_lock(road.hub, "second"), patient(lambda _: None):
        for flow in ("first", "second"):
            with pytest.raises(FlowBusy, match="another run of this flow is under way"):
                road.run(flow, HEAD, row(1))
            mine = patience.patience()
            assert mine is not None
            assert mine.left <= 0
    assert road.one("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND database ="
                    " (SELECT oid FROM pg_database WHERE datname = current_database())") == 0
    with flow_lock(road.hub, "first"), flow_lock(road.hub, "second"):
        pass
