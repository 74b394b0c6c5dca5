"""The way out of a flow as an asset: materialising it sends what the outbox holds to the flow's system."""

from collections.abc import Iterator
from typing import Any

from dagster import (
    AssetExecutionContext,
    AssetsDefinition,
    AssetSelection,
    AssetSpec,
    Config,
    MaterializeResult,
    multi_asset,
)
from dagster import define_asset_job as asset_job
from pydantic import Field

from mappings.language.flow import Flow
from mappings.language.project import Project
from pipelines.orchestration.flow_jobs import FlowJob
from pipelines.orchestration.hub_resource import HubResource
from pipelines.orchestration.inbound import faults_told
from pipelines.orchestration.names import TAG_FLOW, TAG_SYSTEM, entity_key, out_key, out_name, out_op
from pipelines.runs.pushing import push_flow


class OutConfig(Config):
    """What is sent."""

    full: bool = Field(default=False, description="To a folder: a file of everything, where else it would be of what "
                                                  "changed.")


def out_asset(project: Project, flow: Flow) -> AssetsDefinition:
    """What the flow's system receives of the entity, in the group of the system."""
    spec = AssetSpec(
        out_key(flow), group_name=flow.system, deps=[entity_key(flow.into[0].entity)], skippable=True,
        description=f"{flow.into[0].entity} records as {flow.system} receives them. Refused ones: `navette outbox`.",
        owners=list(project.systems[flow.system].owners),
    )

    @multi_asset(name=out_op(flow), specs=[spec], can_subset=True)
    def send(context: AssetExecutionContext, config: OutConfig, hub: HubResource) -> Iterator[MaterializeResult[Any]]:
        with faults_told(context.op_execution_context):
            result = push_flow(hub.open(), flow.flow, trigger="dagster", full=config.full)
            told = result.as_json() | ({"held": " ".join(result.held)} if result.held else {})
            yield MaterializeResult(asset_key=out_key(flow), metadata={
                name: value for name, value in told.items() if isinstance(value, int | float | str)
            })

    return send


def out_job(flow: Flow) -> FlowJob:
    """`FLOW_out`: sends what is due."""
    return asset_job(out_name(flow), selection=AssetSelection.assets(out_key(flow)),
                     tags={TAG_SYSTEM: flow.system, TAG_FLOW: out_name(flow)},
                     description=f"{flow.flow}: send what the outbox holds.")
