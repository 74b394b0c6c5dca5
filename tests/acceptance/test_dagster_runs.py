"""Flows run as Dagster runs them, in this process, on a store of their own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from dagster import (
    AssetKey,
    DagsterInstance,
    DagsterRunStatus,
    Definitions,
    ExecuteInProcessResult,
    RunConfig,
    RunRequest,
    SensorResult,
    SkipReason,
    build_schedule_context,
    build_sensor_context,
)
from sqlalchemy import select

from crm_store import hub_tables as tables
from crm_store.entity_tables import compile_entities
from crm_store.store import Store
from mappings.language.project import Project, require_project
from pipelines.hub import Hub
from pipelines.orchestration.hub_resource import HubResource
from pipelines.orchestration.inbound import FlowConfig
from pipelines.orchestration.jobs import ReplayConfig, ReviewConfig, RunFileConfig
from pipelines.orchestration.project_definitions import build_definitions
from tests.acceptance.dagster_project import customers, drop, write_project

CUSTOMERS = AssetKey(["erp", "customers"])


OPEN: dict[str, Hub] = {}
"""By project folder; Dagster wants resources that can be written as JSON."""


class _Opened(HubResource):
    """A hub that is open already."""

    def open(self) -> Hub:
        return OPEN[self.project]


@dataclass
class House:
    """A project, its definitions, a store and a Dagster of its own."""

    project: Project
    definitions: Definitions
    store: Store
    instance: DagsterInstance = field(default_factory=DagsterInstance.ephemeral)

    def __post_init__(self) -> None:
        self.root = self.project.root
        self.hub = Hub(self.project, self.root / ".navette", self.store, compile_entities(self.project.entities))
        OPEN[str(self.root)] = self.hub

    def edited(self, root: Path, name: str, before: str, after: str) -> House:
        """The same project with a change in one of its files, in another folder, on the same store."""
        path = write_project(root) / "mappings" / f"{name}.yaml"
        path.write_text(path.read_text().replace(before, after))
        return House(*_read(root), self.store, self.instance)

    def run(self, job: str, config: Any = None, **tags: str) -> Told:
        made = self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance, raise_on_error=False, tags=tags,
            run_config=None if config is None else RunConfig(ops={_op(job): config}),
        )
        return Told(made, self.instance)

    def look(self, cursor: str | None = None, sensor: str = "erp_folder") -> Any:
        with build_sensor_context(
            self.instance, cursor=cursor, resources={"hub": _Opened(project=str(self.root))},
            repository_def=self.definitions.get_repository_def(),
        ) as context:
            return self.definitions.get_repository_def().get_sensor_def(sensor)(context)

    def due(self, schedule: str) -> Any:
        with build_schedule_context(
            self.instance, scheduled_execution_time=datetime(2026, 11, 22, 6, tzinfo=UTC),
            resources={"hub": _Opened(project=str(self.root))},
        ) as context:  # left open, it stays the process's own instance after its folder is gone
            return self.definitions.get_repository_def().get_schedule_def(schedule)(context)


def _op(job: str) -> str:
    return {"customers": "erp__customers", "navette_approve_review": "approve_review",
            "navette_refuse_review": "refuse_review", "navette_replay_rejects": "replay_rejects",
            "navette_run_file": "run_file"}[job]


@dataclass
class Told:
    """What a Dagster run told."""

    result: ExecuteInProcessResult
    instance: DagsterInstance

    @property
    def success(self) -> bool:
        return self.result.success

    @property
    def tags(self) -> dict[str, str]:
        run = self.instance.get_run_by_id(self.result.run_id)
        assert run is not None
        return dict(run.tags)

    @property
    def metadata(self) -> dict[str, Any] | None:
        """Of the asset of the customers, if it was materialised."""
        return self.metadata_of(CUSTOMERS)

    def metadata_of(self, key: AssetKey) -> dict[str, Any] | None:
        for event in self.result.all_events:
            if event.event_type_value == "ASSET_MATERIALIZATION" and event.asset_key == key:
                return {name: value.value if not hasattr(value, "records") else [dict(r.data) for r in value.records]
                        for name, value in event.step_materialization_data.materialization.metadata.items()}
        return None

    @property
    def checks(self) -> dict[str, bool]:
        return {event.asset_check_evaluation_data.check_name: event.asset_check_evaluation_data.passed
                for event in self.result.all_events if event.event_type_value == "ASSET_CHECK_EVALUATION"}

    @property
    def failure(self) -> str:
        return " ".join(str(event.step_failure_data.user_failure_data.description) for event in self.result.all_events
                        if event.event_type_value == "STEP_FAILURE")


def _read(root: Path) -> tuple[Project, Definitions]:
    project = require_project(root, {})
    return project, build_definitions(project, _Opened(project=str(root)))


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Definitions]:
    """One project for the module: Dagster takes seconds to think about one."""
    return _read(write_project(tmp_path_factory.mktemp("project")))


@pytest.fixture
def house(read: tuple[Project, Definitions], new_store: Callable[[Project], Store]) -> House:
    shutil.rmtree(read[0].root / "drop")
    (read[0].root / "drop").mkdir()
    return House(*read, new_store(read[0]))


def test_a_file_that_waits_is_taken_in_and_told(house: House) -> None:
    drop(house.root, "customers_20261101.csv", customers(range(1, 31), bad=[3, 7]))
    told = house.run("customers")
    assert told.success
    metadata = told.metadata
    assert metadata is not None
    assert (metadata["rows_read"], metadata["created"], metadata["rejected"]) == (30, 28, 2)
    assert metadata["reject_ratio"] == pytest.approx(2 / 30, abs=1e-3)
    assert [row["where"] for row in metadata["held_rows"]] == ["customers_20261101.csv:4", "customers_20261101.csv:8"]
    assert all("category" in row["reason"] for row in metadata["held_rows"])
    assert Path(metadata["report"]).is_file()
    assert Path(metadata["rejects_file"]).is_file()
    assert Path(metadata["validation"]).name == "index.html"


def test_an_expectation_that_refused_rows_is_a_failed_check_and_the_others_are_met(house: House) -> None:
    drop(house.root, "customers_20261101.csv", customers(range(1, 31), bad=[3, 7]))
    told = house.run("customers")
    assert told.checks == {
        "conservation": True, "reject_ratio": True, "review": True, "freshness": True,
        "expect_column_values_to_be_in_set__category": False, "expect_column_values_to_be_in_set__sector": True,
        "expect_column_value_lengths_to_be_between": True, "expect_table_row_count_to_be_between": True,
    }


def test_an_expectation_of_the_whole_run_stops_it_and_is_the_failed_check(house: House) -> None:
    drop(house.root, "customers_20261101.csv", customers([1]))
    told = house.run("customers")
    assert not told.success
    assert "expect_table_row_count_to_be_between" in told.failure
    failed = {name for name, passed in told.checks.items() if not passed}
    assert failed == {"expect_table_row_count_to_be_between"}
    assert (house.root / ".navette" / "reports" / "run_1_validation" / "index.html").is_file()


def test_the_two_kinds_of_run_find_each_other(house: House) -> None:
    drop(house.root, "customers_20261101.csv", customers(range(1, 4)))
    told = house.run("customers", **{"dagster/sensor_name": "erp_folder"})
    with house.hub.engine.connect() as connection:
        run = connection.execute(select(tables.run)).mappings().one()
    assert run["dagster_run"] == told.result.run_id
    assert run["trigger"] == "sensor"
    assert told.tags["navette/run"] == str(run["id"])
    assert {name: told.tags[f"navette/{name}"] for name in ("flow", "system", "file", "state")} == {
        "flow": "customers", "system": "erp", "file": "customers_20261101.csv", "state": "done"}


def test_a_run_with_nothing_to_read_leaves_the_asset_as_it_was(house: House) -> None:
    told = house.run("customers")
    assert told.success
    assert told.metadata is None
    assert told.checks.get("conservation") is None


def test_a_file_named_in_the_launchpad_is_read_where_it_lies(house: House) -> None:
    (house.root / "elsewhere").mkdir(exist_ok=True)
    file = house.root / "elsewhere" / "customers_20261101.csv"
    file.write_text(customers(range(1, 4)))
    told = house.run("customers", FlowConfig(file="elsewhere/customers_20261101.csv"))
    assert told.success
    assert told.metadata is not None
    assert told.metadata["created"] == 3
    assert file.is_file()


def _shrunken(house: House) -> Told:
    drop(house.root, "customers_20261101.csv", customers(range(1, 41)))
    assert house.run("customers").success
    drop(house.root, "customers_20261102.csv", customers(range(1, 11)))
    return house.run("customers")


def test_a_run_that_waits_in_review_is_a_success_with_a_failed_check(house: House) -> None:
    told = _shrunken(house)
    assert told.success
    assert told.checks["review"] is False
    assert told.checks["conservation"] is True
    assert told.tags["navette/state"] == "review"
    assert told.metadata is not None
    assert told.metadata["archived"] == 30
    assert "navette_approve_review" in told.metadata["problem"]


def test_a_later_run_says_that_it_is_held_back(house: House) -> None:
    first = _shrunken(house)
    told = house.run("customers")
    assert told.success
    assert told.metadata is None
    assert told.checks["review"] is False
    assert told.tags["navette/state"] == "review"
    assert first.tags["navette/run"] == "2"


def test_a_replay_beside_a_run_that_waits_does_not_say_that_nothing_waits(house: House) -> None:
    drop(house.root, "customers_20261101.csv", customers(range(1, 42), bad=[41]))
    assert house.run("customers").success
    drop(house.root, "customers_20261102.csv", customers(range(1, 11)))
    assert house.run("customers").checks["review"] is False
    checks = house.run("navette_replay_rejects", ReplayConfig(flow="customers")).checks
    assert (checks["review"], checks["reject_ratio"]) == (False, True), "one row of one is no share that counts"


def test_approving_a_review_applies_it_and_tells_it_on_the_asset(house: House) -> None:
    number = int(_shrunken(house).tags["navette/run"])
    told = house.run("navette_approve_review", ReviewConfig(run=number))
    assert told.success
    assert told.checks["review"] is True
    assert told.metadata is not None
    assert told.metadata["archived"] == 30
    assert told.tags["navette/state"] == "done"
    counts = told.metadata_of(AssetKey(["crm", "company"]))
    assert counts is not None
    assert (counts["records"], counts["archived"]) == (40, 30)


def test_refusing_a_review_changes_nothing(house: House) -> None:
    number = int(_shrunken(house).tags["navette/run"])
    told = house.run("navette_refuse_review", ReviewConfig(run=number))
    assert told.success
    assert told.tags["navette/state"] == "refused"
    company = house.hub.tables.record["company"]
    with house.hub.engine.connect() as connection:
        assert len(connection.execute(select(company.c.id).where(company.c.archived_at.is_(None))).all()) == 40


def test_settling_a_run_that_does_not_wait_says_so(house: House) -> None:
    told = house.run("navette_approve_review", ReviewConfig(run=99))
    assert not told.success
    assert "run 99 does not exist" in told.failure


def test_a_file_that_cannot_be_read_fails_the_run_with_words(house: House) -> None:
    drop(house.root, "customers_20261101.csv", "")
    told = house.run("customers")
    assert not told.success
    assert "customers_20261101.csv" in told.failure
    assert "Traceback" not in told.failure
    assert told.tags["navette/state"] == "failed"


def test_rejects_are_replayed_by_a_job_once_the_mapping_is_right(house: House, tmp_path: Path) -> None:
    drop(house.root, "customers_20261101.csv", customers(range(1, 31), bad=[3, 7]))
    house.run("customers")
    mended = house.edited(tmp_path, "flows/customers", "[A, B]", "[A, B, Z]")
    told = mended.run("navette_replay_rejects", ReplayConfig(flow="customers"))
    assert told.success
    assert told.metadata is not None
    assert told.metadata["created"] == 2


def test_replaying_a_flow_that_does_not_exist_names_those_that_do(house: House) -> None:
    told = house.run("navette_replay_rejects", ReplayConfig(flow="custmers"))
    assert not told.success
    assert "contacts, customers" in told.failure


def test_a_flow_is_run_again_on_a_file_by_a_job(house: House) -> None:
    file = house.root / "customers_20261101.csv"
    file.write_text(customers(range(1, 4)))
    told = house.run("navette_run_file", RunFileConfig(flow="customers", file=str(file), full=False))
    assert told.success
    assert told.metadata is not None
    assert told.metadata["created"] == 3
    assert told.checks["conservation"] is True


def test_the_sensor_asks_once_for_a_file(house: House) -> None:
    assert isinstance(house.look(), SensorResult)
    assert house.look().skip_reason.skip_message == "no file waits"
    drop(house.root, "customers_20261101.csv", customers(range(1, 4)))
    first = house.look()
    (request,) = first.run_requests
    assert (request.job_name, request.tags["navette/file"]) == ("customers", "customers_20261101.csv")
    assert house.run("customers").success
    assert house.look(first.cursor).run_requests == []


def test_the_sensor_does_not_ask_again_while_a_run_is_under_way(house: House) -> None:
    drop(house.root, "customers_20261101.csv", customers(range(1, 4)))
    first = house.look()
    house.instance.create_run_for_job(house.definitions.resolve_job_def("customers"), status=DagsterRunStatus.STARTED,
                                      tags={"navette/flow": "customers"})
    assert "under way" in house.look(first.cursor).skip_reason.skip_message


def test_the_sensor_tries_a_file_again_whose_run_failed_but_not_for_ever(house: House) -> None:
    drop(house.root, "customers_20261101.csv", customers(range(1, 4)))
    cursor, keys = None, []
    for _ in range(5):
        looked = house.look(cursor)
        cursor = looked.cursor
        keys += [request.run_key for request in looked.run_requests or []]
        house.instance.create_run_for_job(
            house.definitions.resolve_job_def("customers"), status=DagsterRunStatus.FAILURE,
            tags={"navette/flow": "customers"},
        )
    assert len(keys) == len(set(keys)) == 3
    assert "by hand" in house.look(cursor).skip_reason.skip_message


def test_the_sensor_waits_for_a_review_and_asks_when_it_is_settled(house: House) -> None:
    number = int(_shrunken(house).tags["navette/run"])
    drop(house.root, "customers_20261103.csv", customers(range(1, 41)))
    looked = house.look()
    assert f"run {number} waits in review" in looked.skip_reason.skip_message
    house.run("navette_refuse_review", ReviewConfig(run=number))
    assert [request.job_name for request in house.look(looked.cursor).run_requests] == ["customers"]


def test_a_file_that_is_still_written_is_left_alone(house: House, tmp_path: Path) -> None:
    patient = house.edited(tmp_path, "systems", "stable_for: 0s", "stable_for: 1h")
    drop(patient.root, "customers_20261101.csv", customers(range(1, 4)))
    assert not patient.look().run_requests


def test_a_schedule_starts_a_run_only_when_a_file_waits_and_none_is_under_way(house: House) -> None:
    with DagsterInstance.local_temp() as house.instance:  # schedules want one that can be opened again
        assert isinstance(house.due("customers_full"), SkipReason)
        drop(house.root, "customers_20261101.csv", customers(range(1, 4)))
        request = house.due("customers_full")
        assert isinstance(request, RunRequest)
        assert request.run_config["ops"]["erp__customers"]["config"]["full"] is True
        assert house.due("customers_changes").run_config["ops"]["erp__customers"]["config"].get("full") is None
        house.instance.create_run_for_job(house.definitions.resolve_job_def("customers"),
                                          status=DagsterRunStatus.STARTED, tags={"navette/flow": "customers"})
        assert isinstance(house.due("customers_changes"), SkipReason)


def test_the_status_is_written_when_it_changes_and_not_again(house: House) -> None:
    drop(house.root, "customers_20261101.csv", customers(range(1, 31), bad=[3, 7]))
    house.run("customers")
    first = house.look(sensor="navette_status")
    events = {getattr(event, "check_name", "status"): event for event in first.asset_events}
    assert events["status"].metadata["open_rejects"].value == 2
    assert events["freshness"].passed
    assert isinstance(house.look(first.cursor, "navette_status"), SkipReason)


def test_the_status_job_looks_at_every_flow_now(house: House) -> None:
    told = house.run("navette_status")
    assert told.success
    assert told.checks == {"freshness": True}
