"""A process that is killed while it lands leaves nothing that stops the next one."""

from __future__ import annotations

import os
import signal
from multiprocessing import get_context
from typing import Any

import pytest

from pipelines.runs.intake import run_flow
from pipelines.stages.expect import RunExpectations
from tests.road_desk import Road, roads

COMPANIES = """
flow: companies
system: erp
into:
  entity: company
  key: CODE
  fields: {name: NAME}
  expect: [{expect_table_row_count_to_be_between: {min_value: 1}}]
"""
module_road, road = roads({"companies": COMPANIES})


def _dies(road: Road, path: Any) -> None:
    """The run of a process that is killed while it asks what the whole run is expected to be."""
    RunExpectations.check = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment,method-assign]
    road.hub.engine.dispose(close=False)
    run_flow(road.hub, "companies", file=path)


def test_a_run_killed_while_it_asks_of_the_whole_is_cleared_away(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    path = road.write("one.csv", ["CODE;NAME", "A;Alpha"])
    killed = get_context("fork").Process(target=_dies, args=(road, path))
    killed.start()
    killed.join(60)
    assert killed.exitcode == -signal.SIGKILL
    assert any(name.endswith("_rows") for name in road.staging())
    assert road.counts("companies", "CODE;NAME", "A;Alpha") == {"created": 1}
    assert road.staging() == []
    assert road.one("SELECT count(*) FROM pg_views WHERE schemaname = 'staging'") == 0
