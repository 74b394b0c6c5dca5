"""What Dagster shows of a project before anything has run: graph, checks, schedules, folders, jobs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp

import pytest
import yaml
from dagster import (
    AssetCheckKey,
    AssetKey,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    Definitions,
    validate_run_config,
)

from crm_store.store import Store
from mappings.language.project import Project, require_project
from pipelines.ops.due import last_due
from pipelines.orchestration.instance_folder import DEFAULT
from pipelines.orchestration.project_definitions import build_definitions
from tests.acceptance.dagster_project import write_project

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "dagster.md").read_text("utf-8")
CUSTOMERS, COMPANY = AssetKey(["erp", "customers"]), AssetKey(["crm", "company"])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return require_project(write_project(tmp_path_factory.mktemp("project")), {})


@pytest.fixture(scope="module")
def definitions(project: Project) -> Definitions:
    made = build_definitions(project)
    Definitions.validate_loadable(made)
    return made


@pytest.mark.parametrize(("was", "wrong"), [('"0 2 * * *"', '"0 26 * * *"'), ("Europe/Paris", "Europe/Pari")])
def test_a_schedule_that_check_refuses_keeps_no_other_from_being_shown(tmp_path: Path, was: str, wrong: str) -> None:
    root = write_project(tmp_path)
    flow = root / "mappings" / "flows" / "customers.yaml"
    text = flow.read_text("utf-8")
    assert was in text
    flow.write_text(text.replace(was, wrong), "utf-8")
    (flow.parent / "contacts.yaml").open("a").write('schedule: "0 7 * * *"\n')
    project = require_project(root, {})
    made = build_definitions(project)
    Definitions.validate_loadable(made)
    names = {one.name for one in made.get_repository_def().schedule_defs}
    assert names == {"contacts_changes", *({"customers_changes"} if "26" in wrong else ())}
    assert last_due(project.flows["customers"].schedule, datetime.now(UTC)).keys() == {
        name.removeprefix("customers_") for name in names - {"contacts_changes"}}


def test_the_graph_reads_from_system_to_crm(definitions: Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    assert graph.get(CUSTOMERS).group_name == "erp"
    assert graph.get(CUSTOMERS).owners == ["team:erp"]
    assert graph.get(COMPANY).group_name == "crm"
    assert graph.get(COMPANY).parent_keys == {CUSTOMERS}
    assert graph.get(AssetKey(["crm", "contact"])).parent_keys == {AssetKey(["erp", "contacts"])}
    assert graph.get(AssetKey(["navette", "status"])).group_name == "navette"


def test_entities_that_no_flow_fills_are_not_shown(definitions: Definitions) -> None:
    keys = {key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys()}
    assert keys == {"erp/customers", "erp/contacts", "crm/company", "crm/contact", "navette/status"}


def test_every_expectation_is_a_check_under_its_own_name(definitions: Definitions) -> None:
    checks = {key.name for key in definitions.resolve_asset_graph().asset_check_keys if key.asset_key == CUSTOMERS}
    assert checks == {
        "conservation", "reject_ratio", "review", "freshness",
        "expect_column_value_lengths_to_be_between", "expect_table_row_count_to_be_between",
        "expect_column_values_to_be_in_set__category", "expect_column_values_to_be_in_set__sector",
    }


def test_a_check_says_what_is_asked(definitions: Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    key = AssetCheckKey(CUSTOMERS, "expect_column_values_to_be_in_set__category")
    assert graph.get_check_spec(key).description == "company: A or B"


def test_the_catalogue_shows_the_mapping(definitions: Definitions) -> None:
    node = definitions.resolve_asset_graph().get(CUSTOMERS)
    assert "customers_{day:%Y%m%d}.csv" in (node.description or "")
    columns = {column.name: column for column in node.metadata["dagster/column_schema"].columns}
    assert columns["name"].description == "from NAME"
    assert not columns["name"].constraints.nullable
    assert "CODE" in node.metadata["mapping"].md_str
    assert node.metadata["written_in"] == "mappings/flows/customers.yaml"
    assert node.kinds == {"csv"}


def test_schedules_are_those_of_the_yaml_and_run_from_the_start(definitions: Definitions) -> None:
    schedules = {one.name: one for one in definitions.get_repository_def().schedule_defs}
    assert set(schedules) == {"customers_changes", "customers_full"}
    assert schedules["customers_full"].cron_schedule == "0 2 * * *"
    assert schedules["customers_full"].execution_timezone == "Europe/Paris"
    assert all(one.default_status == DefaultScheduleStatus.RUNNING for one in schedules.values())


def test_each_drop_folder_has_a_sensor_and_a_system_without_one_has_none(definitions: Definitions) -> None:
    sensors = {one.name: one for one in definitions.get_repository_def().sensor_defs}
    assert set(sensors) == {"erp_folder", "navette_status"}
    assert {target.job_name for target in sensors["erp_folder"].targets} == {"customers", "contacts"}
    assert all(one.default_status == DefaultSensorStatus.RUNNING for one in sensors.values())


def test_there_are_jobs_for_every_flow_and_for_every_decision(definitions: Definitions) -> None:
    names = {one.name for one in definitions.get_repository_def().get_all_jobs()}
    assert names >= {"customers", "contacts", "navette_status", "navette_replay_rejects", "navette_approve_review",
                     "navette_refuse_review", "navette_run_file"}


def test_a_flows_job_brings_in_and_counts_what_it_fills(definitions: Definitions) -> None:
    job = definitions.resolve_job_def("customers")
    assert job.asset_layer.executable_asset_keys == {CUSTOMERS, COMPANY}
    assert job.tags["navette/flow"] == "customers"


def test_of_runs_that_queue_those_go_first_that_others_refer_to(definitions: Definitions) -> None:
    customers, contacts = (definitions.resolve_job_def(name).tags for name in ("customers", "contacts"))
    assert int(customers["dagster/priority"]) > int(contacts["dagster/priority"])


def test_a_project_without_flows_loads(write_project: Callable[..., Project]) -> None:
    made = build_definitions(write_project())
    Definitions.validate_loadable(made)
    keys = {key.to_user_string() for key in made.resolve_asset_graph().get_all_asset_keys()}
    assert keys == {"navette/status"}


@pytest.mark.parametrize("folder", ["demo", "tests/real_exports/project"])
def test_the_projects_of_this_repository_load(folder: str) -> None:
    Definitions.validate_loadable(build_definitions(require_project(ROOT / folder, {})))


def test_dagster_dev_and_navette_up_are_configured_alike() -> None:
    assert (ROOT / "dagster.yaml").read_text() == DEFAULT.read_text()
    told = yaml.safe_load(DEFAULT.read_text())
    assert told["telemetry"] == {"enabled": False}
    assert told["storage"]["custom"]["module"] == "pipelines.orchestration.storage"


@pytest.fixture(scope="module")
def demo() -> Definitions:
    return build_definitions(require_project(ROOT / "demo", {}))


def test_every_job_that_the_documents_name_exists(demo: Definitions) -> None:
    named = set(re.findall(r"`(navette_[a-z_]+)`", PAGE))
    assert named >= {"navette_approve_review", "navette_refuse_review", "navette_replay_rejects", "navette_run_file"}
    there = {one.name for one in demo.get_repository_def().get_all_jobs()}
    assert named - {"navette_live"} <= there  # a sensor, of projects with live flows


def test_every_configuration_that_the_documents_show_is_taken(demo: Definitions) -> None:
    jobs = {node.name: job for job in demo.get_repository_def().get_all_jobs() if job.name != "__ASSET_JOB"
            for node in job.nodes}
    blocks = re.findall(r"^ *```yaml\n(.*?)^ *```", PAGE, re.MULTILINE | re.DOTALL)
    shown = [yaml.safe_load(textwrap.dedent(text)) for text in blocks]
    assert shown
    for config in shown:
        (step,) = config["ops"]
        assert validate_run_config(jobs[step], config)


def test_every_check_that_a_flow_has_is_told_in_the_documents(definitions: Definitions) -> None:
    names = {key.name for key in definitions.resolve_asset_graph().asset_check_keys}
    assert {name for name in names if not name.startswith("expect_")} <= set(re.findall(r"`([a-z_]+)`", PAGE))


def test_plain_dagster_starts_the_store_by_itself_and_keeps_its_state_in_it() -> None:
    home = Path(mkdtemp(prefix="nvt-", dir="/tmp"))
    env = {name: value for name, value in os.environ.items() if name not in ("DAGSTER_HOME", "NAVETTE_DATABASE_URL")}
    env |= {"NAVETTE_HOME": str(home), "NAVETTE_PROJECT": str(ROOT / "demo")}
    try:
        done = subprocess.run([Path(sys.executable).with_name("dagster"), "definitions", "validate"], cwd=ROOT, env=env,
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert (home / "pg" / "PG_VERSION").is_file()
    finally:
        Store.stop(home)
        shutil.rmtree(home)
