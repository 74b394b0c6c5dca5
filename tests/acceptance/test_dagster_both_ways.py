"""Dagster and the way out: the graph reads system, CRM, system; live jobs are kept up, and end when they are told."""

from __future__ import annotations

from dagster import (
    AssetKey,
    DagsterInstance,
    DagsterRunStatus,
    Definitions,
    SkipReason,
    build_sensor_context,
)

from pipelines.orchestration.project_definitions import build_definitions
from tests.acceptance.test_dagster_runs import OPEN, _Opened
from tests.both_ways_desk import SIRETS, Both, both

__all__ = ["both"]


def definitions(both: Both) -> Definitions:
    OPEN[str(both.root)] = both.hub
    return build_definitions(both.project, _Opened(project=str(both.root)))


def test_the_graph_reads_from_a_system_to_the_crm_and_back(both: Both) -> None:
    made = definitions(both)
    Definitions.validate_loadable(made)
    graph = made.resolve_asset_graph()
    company = AssetKey(["crm", "company"])
    assert graph.get(company).parent_keys == {AssetKey(["erp", "erp_companies"]), AssetKey(["books", "books_companies"])}
    assert graph.get(AssetKey(["erp", "erp_companies_out"])).parent_keys == {company}


def test_the_job_of_the_way_out_sends_and_counts(both: Both) -> None:
    both.erp("INSERT INTO customer (name, siret, city) VALUES ('A', %s, 'X')", SIRETS[0])
    with DagsterInstance.ephemeral() as instance:
        made = definitions(both)
        came = made.resolve_job_def("erp_companies").execute_in_process(instance=instance)
        both.crm("UPDATE crm.company SET city = 'Lyon'")
        went = made.resolve_job_def("erp_companies_out").execute_in_process(instance=instance)
    assert came.success
    assert went.success
    assert both.erp.one("SELECT city FROM customer") == "Lyon"
    (event,) = went.asset_materializations_for_node("erp__erp_companies_out")
    assert event.metadata["updated"].value == 1


def test_the_sensor_starts_a_live_job_for_each_system_that_has_none(both: Both) -> None:
    made = definitions(both)
    with DagsterInstance.ephemeral() as instance:
        sensor = made.get_repository_def().get_sensor_def("navette_live")
        with build_sensor_context(instance, repository_def=made.get_repository_def()) as context:
            asked = [request.job_name for request in sensor(context).run_requests]
            assert asked == ["navette_live_books", "navette_live_erp"]
            for name in asked:
                instance.create_run_for_job(made.resolve_job_def(name), status=DagsterRunStatus.STARTED,
                                            tags={"navette/live": name.removeprefix("navette_live_")})
            assert isinstance(sensor(context), SkipReason)
