"""Jobs that a person launches: replay rejects, approve or refuse a run in review, run a flow on a file again."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from dagster import (
    AssetCheckResult,
    AssetMaterialization,
    Config,
    JobDefinition,
    MaterializeResult,
    OpDefinition,
    OpExecutionContext,
    job,
    op,
)
from pydantic import Field

from mappings.language.flow import Flow
from pipelines.hub import Hub
from pipelines.orchestration.checks import evaluation
from pipelines.orchestration.entities import entity_counts
from pipelines.orchestration.hub_resource import HubResource
from pipelines.orchestration.inbound import FlowConfig, faults_told, progress, run_and_tell, tag, told
from pipelines.orchestration.names import entity_key, flow_key
from pipelines.runs.replay import replay
from pipelines.runs.result import RunResult
from pipelines.runs.settling import settle_run

REPLAY, APPROVE, REFUSE, RUN_FILE = (
    "navette_replay_rejects", "navette_approve_review", "navette_refuse_review", "navette_run_file"
)


class ReplayConfig(Config):
    """Which held rows go down the road again."""

    flow: str | None = Field(default=None, description="Only rows of this flow. Default: of every flow.")
    ids: list[int] | None = Field(default=None, description="Only rows with these ids (`navette rejects list --rows`). "
                                                    "Default: all that are open.")


class ReviewConfig(Config):
    """Which run is decided on."""

    run: int = Field(description="The hub's own number of the run: the tag navette/run, the check `review`.")


class RunFileConfig(FlowConfig):
    """A flow, and what it reads."""

    flow: str = Field(description="The flow.")


@op(description="Admits open rejected and parked rows again, flows in the order of their references.")
def replay_rejects(context: OpExecutionContext, config: ReplayConfig, hub: HubResource) -> None:
    with faults_told(context):
        opened = hub.open()
        if config.flow is not None:
            opened.flow(config.flow)  # says which flows there are, where this is none
        results = replay(opened, config.flow, config.ids, progress(context))
        if not results:
            context.log.info("no open row fits: nothing to do")
        _tell(context, opened, results)


@op(description="Applies a run that waits in review, deciding again on the store as it is now.")
def approve_review(context: OpExecutionContext, config: ReviewConfig, hub: HubResource) -> None:
    _settle(context, config, hub, approve=True)


@op(description="Drops a run that waits in review; nothing of it is applied.")
def refuse_review(context: OpExecutionContext, config: ReviewConfig, hub: HubResource) -> None:
    _settle(context, config, hub, approve=False)


@op(description="Runs a flow on a file, wherever it lies, or on what waits for it.")
def run_file(context: OpExecutionContext, config: RunFileConfig, hub: HubResource) -> None:
    with faults_told(context):
        flow = hub.open().flow(config.flow)
        _log(context, flow, run_and_tell(context, hub, flow, config))
        _count(context, hub.open(), {into.entity for into in flow.into})


def _settle(context: OpExecutionContext, config: ReviewConfig, hub: HubResource, *, approve: bool) -> None:
    with faults_told(context):
        opened = hub.open()
        _tell(context, opened, [settle_run(opened, config.run, approve, progress(context))])


def _tell(context: OpExecutionContext, hub: Hub, results: Sequence[RunResult]) -> None:
    """Reports the runs of each flow on the asset of that flow."""
    for name, of_flow in groupby(sorted(results, key=lambda result: result.flow), key=lambda result: result.flow):
        mine = list(of_flow)
        flow = hub.flow(name)
        tag(context, flow, mine)
        _log(context, flow, told(context, hub, flow, mine))
    _count(context, hub, {str(counts["entity"]) for result in results for counts in result.into.values()})


def _count(context: OpExecutionContext, hub: Hub, entities: set[str]) -> None:
    """The counters of what was filled."""
    for name in sorted(entities):
        context.log_event(AssetMaterialization(entity_key(name), metadata=entity_counts(hub, name)))


def _log(context: OpExecutionContext, flow: Flow, events: Iterable[MaterializeResult[Any] | AssetCheckResult]) -> None:
    """Events of assets, from a job that has none of its own."""
    for event in events:
        checks = [event] if isinstance(event, AssetCheckResult) else event.check_results or ()
        if isinstance(event, MaterializeResult):
            context.log_event(AssetMaterialization(flow_key(flow), metadata=event.metadata))
        for check in checks:
            # it takes evaluations too; only its annotation does not
            context.log_event(evaluation(flow_key(flow), check))  # type: ignore[arg-type]


def service_jobs() -> list[JobDefinition]:
    """Each is one op; what it needs to know is its configuration in the launchpad."""
    steps = {REPLAY: replay_rejects, APPROVE: approve_review, REFUSE: refuse_review, RUN_FILE: run_file}
    return [_job(name, step) for name, step in steps.items()]


def _job(name: str, step: OpDefinition) -> JobDefinition:
    @job(name=name, description=step.description)
    def one() -> None:
        step()

    return one
