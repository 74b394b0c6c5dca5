"""Dagster and files for other systems: an asset and a job for each flow, started by its own schedules."""

from __future__ import annotations

from datetime import UTC, datetime

from dagster import AssetKey, DagsterInstance, Definitions, RunRequest, build_schedule_context

from pipelines.orchestration.project_definitions import build_definitions
from tests.acceptance.test_dagster_runs import OPEN, _Opened
from tests.file_desk import FLOW, FileDesk, desk

__all__ = ["desk"]


def definitions(desk: FileDesk) -> Definitions:
    desk.flow(FLOW + 'schedule: {changes: "0 * * * *", full: "0 3 * * 0"}\n')
    OPEN[str(desk.root)] = desk.hub
    return build_definitions(desk.project, _Opened(project=str(desk.root)))


def test_the_graph_reads_from_the_crm_to_the_files(desk: FileDesk) -> None:
    made = definitions(desk)
    Definitions.validate_loadable(made)
    keys = made.resolve_asset_graph().get(AssetKey(["shop", "customers_out_out"])).parent_keys
    assert keys == {AssetKey(["crm", "company"])}


def test_the_schedules_write_changes_and_everything(desk: FileDesk) -> None:
    made = definitions(desk)
    a, b = desk.company("A"), desk.company("B")
    desk.push()
    desk.rename(a, "A2")
    with DagsterInstance.local_temp() as instance:  # schedules want one that can be opened again
        for kind, rows in (("changes", 1), ("full", 2)):
            definition = made.resolve_schedule_def(f"customers_out_{kind}")
            with build_schedule_context(instance, scheduled_execution_time=datetime(2026, 1, 4, 3, tzinfo=UTC)) as context:
                asked = definition(context)
            assert isinstance(asked, RunRequest)
            went = made.resolve_job_def("customers_out_out").execute_in_process(
                instance=instance, run_config=asked.run_config)
            (event,) = went.asset_materializations_for_node("shop__customers_out_out")
            assert event.metadata["written"].value == rows
    assert desk.lines("customers_0003.csv")[1:] == [f"{a};A2;;", f"{b};B;;"]
