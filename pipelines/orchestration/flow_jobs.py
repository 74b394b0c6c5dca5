"""A job for each flow: the flow, then the counters of what it fills; bears the flow's name."""

from __future__ import annotations

from dagster import AssetSelection, DagsterInstance, DagsterRunStatus, RunsFilter, define_asset_job
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.storage.tags import PRIORITY_TAG

from mappings.language.flow import Flow
from pipelines.orchestration.names import TAG_FLOW, TAG_SYSTEM, entity_key, flow_key

FlowJob = UnresolvedAssetJobDefinition
_Status = DagsterRunStatus
UNFINISHED = [_Status.QUEUED, _Status.NOT_STARTED, _Status.STARTING, _Status.STARTED, _Status.CANCELING]


def flow_job(flow: Flow, place: int = 0) -> FlowJob:
    """`place` among all flows, by their references: of runs that queue, those go first that others refer to."""
    entities = {into.entity for into in flow.into}
    selection = AssetSelection.assets(flow_key(flow), *[entity_key(name) for name in sorted(entities)])
    return define_asset_job(
        flow.flow, selection=selection, tags={TAG_SYSTEM: flow.system, TAG_FLOW: flow.flow, PRIORITY_TAG: str(-place)},
        description=f"{flow.description or flow.flow}: take in what waits, or the file that the configuration names.",
    )


def last_run(instance: DagsterInstance, flow: Flow, job: str | None = None) -> DagsterRunStatus | None:
    """How the latest run of the flow's job (or of its other one) ended, or how far it is; None before the first."""
    name = job or flow.flow
    runs = instance.get_runs(RunsFilter(tags={TAG_FLOW: name}, job_name=name), limit=1)
    return runs[0].status if runs else None
