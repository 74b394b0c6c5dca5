"""Status: what is late, missing, waiting and open; told for a moment that the test chooses."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson
import pytest
from sqlalchemy import update

from crm_store import hub_tables as tables
from crm_store.store import Store
from mappings.errors import RetryLater
from mappings.language.project import Project
from pipelines.ops.status import FlowStatus, status, unnamed_of
from pipelines.runs.intake import run_flow
from pipelines.runs.lock import flow_lock
from tests.acceptance.ops_desk import HEADER, OpsDesk, customer, make_desk

PARIS = ZoneInfo("Europe/Paris")


@pytest.fixture
def desk(tmp_path: Path, new_store: Callable[[Project], Store]) -> OpsDesk:
    return make_desk(tmp_path, new_store)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=PARIS)


def customers(desk: OpsDesk, now: datetime | None = None) -> FlowStatus:
    return {flow.flow: flow for flow in status(desk.hub, now)}["customers"]


def test_before_anything_ran_every_flow_is_there_and_the_expected_file_is_late(desk: OpsDesk) -> None:
    assert [flow.flow for flow in status(desk.hub)] == ["clients", "contacts", "customers", "sites"]
    before, after = customers(desk, at(20, 5, 59)), customers(desk, at(20, 6))
    assert (before.last_run, before.last_good, before.waiting, before.activity) == (None, None, (), "idle")
    assert after.late == ("no file has come that was expected by 2026-11-20 06:00",)
    assert not any("2026-11-20" in line for line in before.late)


def test_a_flow_tells_its_last_runs_what_is_open_and_when_it_is_due(desk: OpsDesk) -> None:
    good = desk.customers(customer("C1"), customer("C2", siret="123"))
    now = customers(desk, at(20, 12))
    assert now.last_good is not None
    assert now.last_run is not None
    assert (now.last_good.run_id, now.last_run.run_id, now.last_run.state) == (good.run_id, good.run_id, "done")
    assert (now.rejected, now.parked, now.review, now.conflicts, now.late) == (1, 0, 0, 0, ())
    assert now.needs_someone
    assert now.next_due == at(21, 5)
    assert now.due == {"changes": at(21, 5)}


def test_holes_in_a_series_are_told_for_each_branch(desk: OpsDesk) -> None:
    for branch, day in (("FR", 20), ("BE", 20), ("FR", 23), ("BE", 21)):
        desk.customers(customer(f"{branch}{day}"), day=f"202611{day}", branch=branch, full=False)
    now = customers(desk, at(23, 7))
    assert [gap.sentence for gap in now.gaps] == ["missing of branch FR: 2026-11-21, 2026-11-22"]
    assert now.late == ("no file of branch BE has come that was expected by 2026-11-23 06:00",)


def test_of_many_holes_people_are_told_the_latest_and_scripts_all(desk: OpsDesk) -> None:
    for day in (10, 18):
        desk.customers(customer(f"C{day}"), day=f"202611{day}")
    (gap,) = customers(desk, at(18, 7)).gaps
    assert gap.sentence == (
        "missing of branch FR: 2026-11-13, 2026-11-14, 2026-11-15, 2026-11-16, 2026-11-17 and 2 more")
    assert customers(desk, at(18, 7)).as_json()["gaps"] == ({
        "part": "day", "series": {"branch": "FR"}, "missing": tuple(f"2026-11-{day}" for day in range(11, 18))},)


def test_files_that_wait_since_before_a_run_was_due_are_late(desk: OpsDesk) -> None:
    path = desk.drop("CLI_FR_20261120.csv", HEADER, customer("C1"))
    os.utime(path, (at(20, 4).timestamp(),) * 2)
    fresh = customers(desk, at(20, 5, 5))
    assert (fresh.waiting, fresh.late) == (("CLI_FR_20261120.csv",), ())  # not missed yet
    missed = customers(desk, at(20, 5, 30))
    assert len(missed.late) == 1
    assert missed.late[0].startswith("CLI_FR_20261120.csv waits since before the run that was due 2026-11-20")


def test_a_drop_folder_that_went_is_told_by_each_flow_that_reads_from_it(desk: OpsDesk) -> None:
    shutil.rmtree(desk.root / "drop/erp")
    told = {flow.flow: [line for line in flow.late if "drop folder" in line] for flow in status(desk.hub)}
    gone = [f"the drop folder {desk.root}/drop/erp does not exist; create it"]
    assert told == {"clients": [], "contacts": gone, "customers": gone, "sites": []}


def test_files_that_no_flow_names_are_told_once_for_their_folder(desk: OpsDesk) -> None:
    for number in range(7):
        desk.drop(f"customers ({number}).csv", HEADER)
    flows = status(desk.hub)
    assert {flow.flow: len(flow.unnamed) for flow in flows} == {"clients": 0, "contacts": 7, "customers": 7, "sites": 0}
    (told,) = unnamed_of(flows)
    assert told == ("no flow names these files of erp, so nobody reads them: " +
                    ", ".join(f"customers ({number}).csv" for number in range(5)) + " and 2 more")


def test_a_file_that_lies_there_for_a_persons_decision_does_not_wait(desk: OpsDesk) -> None:
    result = desk.customers(*[customer(f"C{n}", siret="123") for n in range(30)])
    now = customers(desk, at(20, 5, 30))
    assert (now.in_review, now.waiting) == ((result.run_id,), ())
    assert (desk.root / "drop/erp/CLI_FR_20261120.csv").exists()


def test_a_failed_run_makes_a_scheduled_flow_late_and_keeps_the_last_good_one(desk: OpsDesk) -> None:
    good = desk.customers(customer("C1"))
    desk.drop("CLI_FR_20261121.csv", "CODE;WRONG", "C1;x")
    (failed,) = run_flow(desk.hub, "customers")
    now = customers(desk, at(21, 7))
    assert now.last_good is not None
    assert now.last_run is not None
    assert (now.last_good.run_id, now.last_run.run_id, now.last_run.state) == (good.run_id, failed.run_id, "failed")
    assert [line for line in now.late if line.startswith("the last run failed: ") and "NAME" in line]


def test_a_file_that_failed_has_not_come_until_a_good_one_of_its_name_does(desk: OpsDesk) -> None:
    desk.customers(customer("C1", "On 20261118"), day="20261118")
    for day in ("20261119", "20261121"):
        desk.drop(f"CLI_FR_{day}.csv", "CODE;WRONG", "C1;x")
        assert run_flow(desk.hub, "customers")[-1].state == "failed"
    desk.customers(customer("C1", "On 20261120"), day="20261120")
    now = customers(desk, at(21, 7))
    assert now.late == ("no file of branch FR has come that was expected by 2026-11-21 06:00",)
    assert [gap.missing for gap in now.gaps] == [("2026-11-19",)]
    desk.customers(customer("C1", "On 20261119"), day="20261119")
    desk.customers(customer("C1", "On 20261121"), day="20261121")
    now = customers(desk, at(21, 7))
    assert (now.late, now.gaps) == ((), ())


def test_a_run_under_way_and_one_that_was_interrupted_are_told_apart(desk: OpsDesk) -> None:
    result = desk.customers(customer("C1"))
    with desk.hub.engine.begin() as connection:
        connection.execute(update(tables.run).where(tables.run.c.id == result.run_id).values(state="applying"))
    assert customers(desk).activity == "interrupted"
    with flow_lock(desk.hub, "customers"):
        assert customers(desk).activity == "running"
        with pytest.raises(RetryLater):
            run_flow(desk.hub, "customers")


def test_previews_and_replays_do_not_make_a_flow_fresh(desk: OpsDesk) -> None:
    result = desk.customers(customer("C1"))
    for trigger in ("preview", "replay"):
        with desk.hub.engine.begin() as connection:
            connection.execute(update(tables.run).where(tables.run.c.id == result.run_id).values(trigger=trigger))
        assert customers(desk).last_good is None


def test_the_status_is_json_through_and_through(desk: OpsDesk) -> None:
    desk.customers(customer("C1", siret="123"))
    flows = status(desk.hub, datetime(2026, 11, 20, 12, tzinfo=UTC))
    told = orjson.loads(orjson.dumps([flow.as_json() for flow in flows]))
    rejected = {flow["flow"]: flow["rejected"] for flow in told}
    assert rejected == {"clients": 0, "contacts": 0, "customers": 1, "sites": 0}
