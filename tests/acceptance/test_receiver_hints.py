"""Calls of a system that can be asked: without a version they only say that something changed, and it is read."""

from __future__ import annotations

import time
from threading import Event, Thread
from types import SimpleNamespace

import pytest

from mappings.language.project import require_project
from pipelines.runs.inbox import calls_wait
from pipelines.runs.intake import run_flow
from pipelines.runs.live import keep_live
from tests.acceptance.test_live import eventually
from tests.both_ways_desk import SIRETS, Both, both
from tests.http_desk import SECRET, serving

pytestmark = pytest.mark.slow

__all__ = ["both"]


@pytest.fixture
def hinted(both: Both) -> Both:
    """The ERP calls when something changed; it is asked once an hour else."""
    systems = both.root / "mappings" / "systems.yaml"
    text = systems.read_text()
    systems.write_text(text.replace("settle: 100ms}", f"settle: 100ms, hooks: {{secret: '${{ERP_SECRET:-{SECRET}}}'}}}}", 1))
    flow = both.root / "mappings" / "flows" / "erp.yaml"
    flow.write_text(flow.read_text().replace("changed_since: changed_at}", "changed_since: changed_at, hook: true}")
                    .replace("poll: 200ms", "poll: 1h"))
    both.project = require_project(both.root, {})
    both.__post_init__()
    return both


def test_a_hint_lets_a_live_process_read_at_once(hinted: Both) -> None:
    hinted.erp("INSERT INTO customer (name, siret) VALUES ('First', %s)", SIRETS[0])
    hinted.run("erp_companies")
    stop = Event()
    thread = Thread(target=keep_live, args=(hinted.hub, "erp", stop, lambda *_: None))
    thread.start()
    try:
        with serving(SimpleNamespace(hub=hinted.hub)) as caller:  # type: ignore[arg-type]
            eventually(lambda: hinted.one("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), 1)
            hinted.erp("UPDATE customer SET name = 'Renamed'")
            assert caller.post({"id": "nothing of this is taken in"}, path="/hooks/erp/erp_companies").status == 202
            eventually(lambda: hinted.one("SELECT name FROM crm.company"), "Renamed")
            eventually(lambda: hinted.one("SELECT state FROM sync.inbox"), "done")
            assert caller.post({"id": 1}, path="/hooks/erp/erp_companies").status == 202  # nothing changed
            eventually(lambda: hinted.sees("SELECT DISTINCT state FROM sync.inbox"), [("done",)])
    finally:
        stop.set()
        thread.join(60)
    assert hinted.one("SELECT count(*) FROM sync.held") == 0


def test_nothing_is_read_over_calls_of_the_same_turn_that_wait_for_a_person(hinted: Both) -> None:
    hinted.change_flow("erp", "hook: true}", "hook: true, version: writes}")  # calls are taken in, and it is read
    hinted.erp("INSERT INTO customer (name, siret) VALUES ('First', %s)", SIRETS[0])
    with serving(SimpleNamespace(hub=hinted.hub)) as caller:  # type: ignore[arg-type]
        nameless = [{"id": number, "writes": 1} for number in range(30)]
        assert caller.post(nameless, path="/hooks/erp/erp_companies").status == 202
    stop = Event()
    thread = Thread(target=keep_live, args=(hinted.hub, "erp", stop, lambda *_: None))
    thread.start()
    try:
        eventually(lambda: hinted.one("SELECT count(*) FROM sync.run WHERE state = 'review'"), 1)
        time.sleep(1)  # it would have read by now
    finally:
        stop.set()
        thread.join(60)
    assert hinted.sees("SELECT state FROM sync.run WHERE trigger <> 'desk'") == [("review",)]


def test_without_a_live_process_the_next_run_notes_the_hint(hinted: Both) -> None:
    hinted.erp("INSERT INTO customer (name, siret) VALUES ('First', %s)", SIRETS[0])
    with serving(SimpleNamespace(hub=hinted.hub)) as caller:  # type: ignore[arg-type]
        caller.post({"id": 1}, path="/hooks/erp/erp_companies")
    hinted.run("erp_companies")
    assert hinted.sees("SELECT state, run_id IS NOT NULL FROM sync.inbox") == [("done", True)]
    assert hinted.one("SELECT count(*) FROM crm.company") == 1


def test_a_hint_whose_read_failed_is_not_tried_every_moment_and_noted_by_the_next_good_one(hinted: Both) -> None:
    hinted.erp("INSERT INTO customer (name, siret) VALUES ('First', %s)", SIRETS[0])
    hinted.change_flow("erp", "  match: [siret]",
                       "  match: [siret]\n  expect: [{expect_table_row_count_to_be_between: {min_value: 2}}]")
    with serving(SimpleNamespace(hub=hinted.hub)) as caller:  # type: ignore[arg-type]
        caller.post({"id": 1}, path="/hooks/erp/erp_companies")
    assert run_flow(hinted.hub, "erp_companies")[-1].state == "failed"
    assert hinted.one("SELECT state FROM sync.inbox") == "failed"
    assert not calls_wait(hinted.hub, hinted.project.flows["erp_companies"])
    hinted.erp("INSERT INTO customer (name, siret) VALUES ('Second', %s)", SIRETS[1])
    hinted.run("erp_companies")
    assert hinted.one("SELECT state FROM sync.inbox") == "done"
