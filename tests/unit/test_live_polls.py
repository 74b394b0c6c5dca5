"""When live reads again."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mappings.language.project import require_project
from pipelines.runs.live import _poll, next_poll
from tests.check_desk import flow_told

SYSTEMS = """
systems:
  erp: {connector: sql, connection: {url: "postgresql://h/d"}}
  hr: {connector: file, folder: drop}
"""
FLOW = """\
flow: customers
system: SYSTEM
direction: DIRECTION
read: READ
into: {entity: company, key: code, fields: {name: name}}
schedule: {live: {poll: POLL}}
"""


@pytest.mark.parametrize(("ended", "due"), [
    (100.0, 101.0),  # nothing to read
    (100.3, 101.0),  # the time it took is not added
    (100.9, 101.15),  # a quarter of the poll is left free
    (110.0, 110.25),  # longer than the poll itself
])
def test_polls_keep_their_time_and_leave_some_of_it(ended: float, due: float) -> None:
    assert next_poll(1.0, 100.0, ended) == pytest.approx(due)


@pytest.mark.parametrize(("direction", "poll"), [("two-way", 1.5), ("in", 1.5), ("out", None)])
def test_a_flow_that_only_writes_is_not_read_and_live_waits_for_its_outbox(
    tmp_path: Path, direction: str, poll: float | None
) -> None:
    text = FLOW.replace("SYSTEM", "erp").replace("DIRECTION", direction).replace("POLL", "1500ms")
    (tmp_path / "mappings" / "flows").mkdir(parents=True)
    (tmp_path / "mappings" / "systems.yaml").write_text(SYSTEMS, "utf-8")
    flows = tmp_path / "mappings" / "flows" / "customers.yaml"
    flows.write_text(text.replace("READ", "{resource: customers}"), "utf-8")
    project = require_project(tmp_path, {})
    hub: Any = SimpleNamespace(project=project)
    assert _poll(hub, project.flows["customers"]) == poll


@pytest.mark.parametrize(("poll", "good"), [("0s", False), ("0.0ms", False), ("0.25s", True), ("10ms", True), ("05s", True)])
def test_a_poll_without_a_pause_is_refused(tmp_path: Path, poll: str, good: bool) -> None:
    text = FLOW.replace("SYSTEM", "erp").replace("DIRECTION", "in").replace("READ", "{files: x.csv}")
    problems = [line for line in flow_told(tmp_path, text.replace("POLL", poll)) if "poll" in line]
    assert problems == ([] if good else [
        f"6:25: schedule.live.poll: expected a time such as 2s or 500ms, more than none, not '{poll}'"])
