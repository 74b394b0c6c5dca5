"""A flow as an asset: materialising it runs the flow on what waits in its drop folder, or on a file that is named."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dagster import (
    AssetCheckResult,
    AssetExecutionContext,
    AssetMaterialization,
    AssetsDefinition,
    AssetSpec,
    Config,
    Failure,
    MaterializeResult,
    OpExecutionContext,
    RetryRequested,
    multi_asset,
)
from pydantic import Field

from mappings.errors import NavetteError, RetryLater
from mappings.language.flow import Flow
from mappings.language.project import Project
from pipelines.hub import Hub
from pipelines.orchestration.checks import check_results, check_specs, review_check
from pipelines.orchestration.describing import flow_description, flow_kinds, flow_metadata
from pipelines.orchestration.hub_resource import HubResource
from pipelines.orchestration.names import TAG_STATE, flow_key, flow_op
from pipelines.orchestration.standing import run_in_review
from pipelines.orchestration.telling import problem_text, run_metadata, run_tags, worst
from pipelines.runs.intake import HeldBack, run_flow
from pipelines.runs.result import RunResult

SAID_EVERY = 10.0
"""Seconds between two lines of progress in a run's log."""

_BUSY_RETRIES, _BUSY_SECONDS = 6, 10


class FlowConfig(Config):
    """What one run of a flow may be told; all of it may be left out."""

    file: str | None = Field(default=None, description="Read this file, wherever it lies (a path, absolute or from the "
                                               "project's folder), and leave it there. Default: what waits.")
    full: bool | None = Field(default=None, description="The source holds everything (true) or only changes (false). "
                                                "Default: as the mapping says.")
    supersede: bool = Field(default=False, description="Drop a run of this flow that waits in review.")


def flow_asset(project: Project, flow: Flow) -> AssetsDefinition:
    """The asset of a flow, in the group of its system, with its checks.

    Where nothing waits there is nothing to materialise and nothing to judge; Dagster allows that of assets that can be
    run in part, hence the multi_asset of one.
    """
    spec = AssetSpec(
        flow_key(flow), group_name=flow.system, kinds=flow_kinds(flow), description=flow_description(project, flow),
        metadata=flow_metadata(project, flow), owners=list(project.systems[flow.system].owners), skippable=True,
    )

    @multi_asset(name=flow_op(flow), specs=[spec], check_specs=check_specs(flow), can_subset=True)
    def bring_in(context: AssetExecutionContext, config: FlowConfig, hub: HubResource) -> Iterator[Any]:
        if not context.selected_asset_keys:
            context.log.info("these checks are judged when the flow runs: materialise the asset")
            return
        yield from run_and_tell(context.op_execution_context, hub, flow, config)

    return bring_in


def run_and_tell(context: OpExecutionContext, resource: HubResource, flow: Flow, config: FlowConfig
                 ) -> Iterator[MaterializeResult[Any] | AssetCheckResult]:
    """Runs the flow and yields what Dagster is to know of it. Raises Failure where a run failed."""
    with faults_told(context):
        hub = resource.open()
        try:
            results = run_flow(
                hub, flow.flow, file=_path(hub, config.file), full=config.full, supersede=config.supersede,
                trigger=trigger(context), progress=progress(context), tell=context.log.info,
                dagster_run=context.run_id,
            )
        except HeldBack as held:
            tag(context, flow, [], state="review")
            context.log.warning(str(held))
            yield review_check(flow, run_in_review(hub, flow.flow), held.message)
            return
        tag(context, flow, results)
        if not results:
            context.log.info(f"no new file waits for {flow.flow}: nothing to do")
            return
        yield from told(context, hub, flow, results)


def told(context: OpExecutionContext, hub: Hub, flow: Flow, results: Sequence[RunResult]
         ) -> Iterator[MaterializeResult[Any] | AssetCheckResult]:
    """The materialisation with its checks; where a run failed, the checks, what was done before, and Failure."""
    metadata = run_metadata(hub, results)
    checks = list(check_results(hub, flow, results))
    failed = [result for result in results if result.state not in ("done", "review", "refused")]
    if not failed:
        yield MaterializeResult(asset_key=flow_key(flow), metadata=metadata, check_results=checks)
        return
    if len(failed) < len(results):
        done = [result for result in results if result not in failed]
        context.log_event(AssetMaterialization(flow_key(flow), metadata=run_metadata(hub, done)))
    yield from checks
    raise Failure(problem_text(worst(failed)), metadata=metadata, allow_retries=False)


def tag(context: OpExecutionContext, flow: Flow, results: Sequence[RunResult], *, state: str | None = None) -> None:
    """Tags the Dagster run with what it was about; it then can be found by flow, file, run and state."""
    tags = run_tags(flow.system, flow.flow, results) | ({TAG_STATE: state} if state else {})
    context.instance.add_run_tags(context.run_id, tags)


def trigger(context: OpExecutionContext) -> str:
    """What started the Dagster run: a schedule, a sensor, or a person in Dagster."""
    tags = context.run.tags
    return "schedule" if "dagster/schedule_name" in tags else "sensor" if "dagster/sensor_name" in tags else "dagster"


def progress(context: OpExecutionContext) -> Callable[[str, int], None]:
    """Progress as a line in the log, now and then."""
    last = [time.monotonic()]

    def say(phase: str, rows: int) -> None:
        if time.monotonic() - last[0] >= SAID_EVERY:
            last[0] = time.monotonic()
            context.log.info(f"{phase}: {rows:,} rows")

    return say


@contextmanager
def faults_told(context: OpExecutionContext) -> Iterator[None]:
    """Errors that tell a person what to do become Dagster's failures; a busy flow is tried again."""
    try:
        yield
    except RetryLater as error:
        context.log.warning(str(error))
        raise RetryRequested(max_retries=_BUSY_RETRIES, seconds_to_wait=_BUSY_SECONDS) from error
    except NavetteError as error:
        raise Failure(str(error), allow_retries=False) from None


def _path(hub: Hub, file: str | None) -> Path | None:
    return None if file is None else hub.project.root / Path(file).expanduser()
