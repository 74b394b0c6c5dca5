"""What a run tells beside its counters is kept with the run, and told wherever the run is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from crm_store.store import Store
from mappings.language.project import Project
from pipelines.cli.traced import event_lines
from pipelines.ops.reviews import reviews
from pipelines.ops.status import status
from pipelines.ops.trace import trace
from pipelines.orchestration.telling import run_metadata
from pipelines.runs.intake import run_flow
from pipelines.runs.settling import settle_run
from pipelines.runs.standing import pause
from tests.acceptance.ops_desk import OpsDesk, customer, make_desk
from tests.both_ways_desk import Both, both

__all__ = ["both"]

UNREAD = ("company: one key could not be read, so that what is absent was left as it is; correct this row, or the mapping,"
          " and run the file again")


@pytest.fixture
def desk(tmp_path: Path, new_store: Callable[[Project], Store]) -> OpsDesk:
    return make_desk(tmp_path, new_store)


def test_a_notice_stays_with_its_run_through_its_review_and_after(desk: OpsDesk) -> None:
    waits = desk.customers(customer("C1"), customer(""), *[customer(f"X{n}", siret="123") for n in range(30)])
    assert (waits.state, waits.notices) == ("review", [UNREAD])
    (run,) = reviews(desk.hub).runs
    assert run.notices == (UNREAD,)
    settled = settle_run(desk.hub, waits.run_id, approve=True)
    assert (settled.state, settled.notices) == ("done", [UNREAD])
    assert settled.as_json()["notices"] == [UNREAD]
    assert UNREAD in Path(str(settled.report)).read_text()
    assert run_metadata(desk.hub, [settled])["notices"].value == f"- {UNREAD}"
    stands = {flow.flow: flow for flow in status(desk.hub)}["customers"]
    assert stands.last_run is not None
    assert stands.last_run.notices == (UNREAD,)
    told = [line for event in trace(desk.hub, "erp", "FR|C1").events for line in event_lines(event)]
    assert told[-1].endswith(f"customers run {waits.run_id}: {UNREAD}")


def test_the_next_run_has_no_notice_and_the_status_tells_none(desk: OpsDesk) -> None:
    desk.customers(customer("C1"), customer(""))
    assert desk.customers(customer("C1"), day="20261121").notices == []
    stands = {flow.flow: flow for flow in status(desk.hub)}["customers"]
    assert stands.last_run is not None
    assert stands.last_run.notices == ()


def test_what_was_not_sent_behind_a_run_is_a_notice_of_it(both: Both) -> None:
    both.erp("INSERT INTO customer (name) VALUES ('Petit')")
    told = run_flow(both.hub, "erp_companies", progress=lambda phase, _: pause(both.hub, "erp", "the backup runs")
                    if phase == "applying" else None)[-1]
    unsent = "erp: nothing was sent: the system is paused: the backup runs"
    assert (told.state, told.notices) == ("done", [unsent])
    stands = {flow.flow: flow for flow in status(both.hub)}["erp_companies"]
    assert stands.last_run is not None
    assert stands.last_run.notices == (unsent,)
    assert unsent in Path(str(told.report)).read_text()
