"""Schedules as the flows' YAML says; a run is only started when a file waits."""

from collections.abc import Iterator

from dagster import (
    DefaultScheduleStatus,
    RunConfig,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    schedule,
)

from mappings.language.flow import Flow
from pipelines.orchestration.flow_jobs import UNFINISHED, FlowJob, last_run
from pipelines.orchestration.hub_resource import HubResource
from pipelines.orchestration.inbound import FlowConfig
from pipelines.orchestration.names import TAG_FLOW, TAG_SYSTEM, flow_op, out_name, out_op
from pipelines.orchestration.outbound import OutConfig
from pipelines.orchestration.standing import run_in_review
from pipelines.runs.waiting import folder_of, waiting


def flow_schedules(flow: Flow, job: FlowJob) -> Iterator[ScheduleDefinition]:
    """`FLOW_changes` and `FLOW_full`, as far as the flow declares them; they run from the start."""
    for kind, line, timezone in _declared(flow):
        yield _schedule(flow, job, kind, line, timezone)


def _declared(flow: Flow) -> Iterator[tuple[str, str, str]]:
    """Each kind that the flow is scheduled for, with its cron line and time zone."""
    if flow.schedule is not None:
        for kind, line in flow.schedule.lines.items():
            yield kind, line, flow.schedule.timezone


def _schedule(flow: Flow, job: FlowJob, kind: str, line: str, timezone: str) -> ScheduleDefinition:
    @schedule(
        job=job, name=f"{flow.flow}_{kind}", cron_schedule=line, execution_timezone=timezone,
        default_status=DefaultScheduleStatus.RUNNING,
        description=f"{flow.flow}: {'everything' if kind == 'full' else 'changes'} at {line} ({timezone}).",
    )
    def due(context: ScheduleEvaluationContext, hub: HubResource) -> RunRequest | SkipReason:
        opened = hub.open()
        held = run_in_review(opened, flow.flow)
        if held is not None:
            return SkipReason(f"run {held} of this flow waits in review")
        if folder_of(opened, flow) is not None and not waiting(opened, flow):
            return SkipReason("no file waits")
        if last_run(context.instance, flow) in UNFINISHED:
            return SkipReason("a run of this flow is under way or queued")
        config = FlowConfig(full=True) if kind == "full" else FlowConfig()
        return RunRequest(
            run_key=context.scheduled_execution_time.isoformat(), run_config=RunConfig(ops={flow_op(flow): config}),
            tags={TAG_FLOW: flow.flow, TAG_SYSTEM: flow.system},
        )

    return due


def out_schedules(flow: Flow, job: FlowJob) -> Iterator[ScheduleDefinition]:
    """The same for a flow that only writes: they start its way out."""
    for kind, line, timezone in _declared(flow):
        yield _out_schedule(flow, job, kind, line, timezone)


def _out_schedule(flow: Flow, job: FlowJob, kind: str, line: str, timezone: str) -> ScheduleDefinition:
    @schedule(
        job=job, name=f"{flow.flow}_{kind}", cron_schedule=line, execution_timezone=timezone,
        default_status=DefaultScheduleStatus.RUNNING,
        description=f"{flow.flow}: send {'everything' if kind == 'full' else 'what changed'} at {line} ({timezone}).",
    )
    def due(context: ScheduleEvaluationContext) -> RunRequest | SkipReason:
        if last_run(context.instance, flow, out_name(flow)) in UNFINISHED:
            return SkipReason("a run of this flow is under way or queued")
        return RunRequest(
            run_key=context.scheduled_execution_time.isoformat(),
            run_config=RunConfig(ops={out_op(flow): OutConfig(full=kind == "full")}),
            tags={TAG_FLOW: out_name(flow), TAG_SYSTEM: flow.system},
        )

    return due
