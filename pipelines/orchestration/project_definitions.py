"""A project as Dagster definitions: its flows, entities, schedules and drop folders; built from the YAML alone."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

from dagster import AssetsDefinition, Definitions, SensorDefinition, in_process_executor

from mappings.language.flow import Flow
from mappings.language.project import Project
from pipelines.orchestration.entities import entity_asset, filled_entities
from pipelines.orchestration.flow_jobs import FlowJob, flow_job
from pipelines.orchestration.folders import folder_sensor
from pipelines.orchestration.hub_resource import HubResource
from pipelines.orchestration.inbound import flow_asset
from pipelines.orchestration.jobs import service_jobs
from pipelines.orchestration.live import live_job, live_names, live_sensor
from pipelines.orchestration.outbound import out_asset, out_job
from pipelines.orchestration.schedules import flow_schedules, out_schedules
from pipelines.orchestration.status import freshness_checks, status_asset, status_job, status_sensor
from pipelines.runs.order import order_of_flows


def build_definitions(project: Project, hub: HubResource | None = None) -> Definitions:
    """Everything that Dagster shows and runs of a project; opens no store.

    `hub` is how it is opened later; default: from the project's folder.
    Steps of a run share its process: they are short beside the start of another one.
    """
    flows = [flow for flow in project.flows.values() if flow.direction != "out"]
    assets: list[AssetsDefinition] = [flow_asset(project, flow) for flow in flows]
    assets += [entity_asset(project, entity) for entity in filled_entities(project)]
    writing = [flow for flow in project.flows.values() if flow.direction != "in"]
    assets += [out_asset(project, flow) for flow in writing]
    places = {name: place for place, name in enumerate(order_of_flows(project))}
    jobs = {flow.flow: flow_job(flow, places[flow.flow]) for flow in flows}
    out_jobs = {flow.flow: out_job(flow) for flow in writing}
    live = [live_job(project, system) for system in live_names(project)]
    return Definitions(
        assets=[*assets, status_asset()],
        asset_checks=[freshness_checks(flows)] if flows else [],
        jobs=[*jobs.values(), status_job(flows), *service_jobs(), *live,
              *out_jobs.values()],
        schedules=[*(made for flow in flows for made in flow_schedules(flow, jobs[flow.flow])),
                   *(made for flow in writing if flow.direction == "out"
                     for made in out_schedules(flow, out_jobs[flow.flow]))],
        sensors=[*_folder_sensors(project, flows, jobs), status_sensor(flows),
                 *([live_sensor(project, live)] if live else [])],
        resources={"hub": hub or HubResource(project=str(project.root.resolve()))},
        executor=in_process_executor,
    )


def _folder_sensors(project: Project, flows: list[Flow], jobs: Mapping[str, FlowJob]) -> list[SensorDefinition]:
    watched = [flow for flow in flows if flow.read.files and project.systems[flow.system].folder]
    watched.sort(key=_system)
    return [folder_sensor(project, system, list(of), jobs) for system, of in groupby(watched, key=_system)]


def _system(flow: Flow) -> str:
    return flow.system
