"""Live systems as long-running jobs, one a system, kept up by a sensor; what they do is told in summaries."""

import time
from collections import Counter
from threading import Event, Thread

from dagster import (
    AssetObservation,
    DefaultSensorStatus,
    JobDefinition,
    OpExecutionContext,
    RunRequest,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    job,
    op,
    sensor,
)

from mappings.errors import NavetteError
from mappings.language.project import Project
from pipelines.hub import Hub
from pipelines.ops.leaders import leaders
from pipelines.orchestration.flow_jobs import UNFINISHED
from pipelines.orchestration.hub_resource import HubResource
from pipelines.orchestration.inbound import faults_told
from pipelines.orchestration.names import TAG_SYSTEM, flow_key
from pipelines.runs.live import keep_live

TOLD_EVERY = 30.0
"""Seconds between two events of one job, and only if something happened."""
RENEWED_AFTER = 24 * 3600.0
"""Seconds until a job ends by itself, so that no run's log grows for ever; the sensor starts the next."""
LOOKED_EVERY = 30
LIVE_TAG = "navette/live"


def live_names(project: Project) -> list[str]:
    """The systems that have live flows."""
    return sorted({flow.system for flow in project.flows.values() if flow.schedule and flow.schedule.live})


def live_job(project: Project, system: str) -> JobDefinition:
    """`navette_live_SYSTEM`: runs for a day, or until it is cancelled; the scheduled runs carry on without it."""
    flows = project.flows

    @op(name=f"live_{system}", description=f"Keeps {system} and the CRM in step within moments.")
    def keep(context: OpExecutionContext, hub: HubResource) -> None:
        with faults_told(context):
            opened, stop = hub.open(), Event()
            sums: dict[str, Counter[str]] = {}
            failed: list[NavetteError] = []

            def said(flow: str, counts: Counter[str]) -> None:
                sums.setdefault(flow, Counter()).update(counts)

            def run() -> None:
                try:
                    keep_live(opened, system, stop, said, stand_by=True)
                except NavetteError as error:
                    failed.append(error)

            thread = Thread(target=run, name=f"live-{system}")
            thread.start()
            began = time.monotonic()
            try:
                while thread.is_alive() and time.monotonic() - began < RENEWED_AFTER:
                    thread.join(TOLD_EVERY)
                    _tell(context, opened, sums)
            finally:
                stop.set()
                thread.join()
                _tell(context, opened, sums)
            if failed:
                raise failed[0]

    def _tell(context: OpExecutionContext, hub: Hub, sums: dict[str, Counter[str]]) -> None:
        led: dict[str, str | int] = {}
        for one in leaders(hub, [system]) if sums else ():
            if one.led:
                led = {"led by": f"process {one.pid} on {one.host}", "epoch": one.epoch or 0}
        for name in list(sums):
            told = sums.pop(name)
            context.log_event(AssetObservation(flow_key(flows[name]), metadata={
                **{what.replace(": ", " "): count for what, count in told.items()}, **led
            }))

    @job(name=f"navette_live_{system}", tags={TAG_SYSTEM: system, LIVE_TAG: system},
         description=f"Small changes of {system} at once, in both directions.")
    def live() -> None:
        keep()

    return live


def live_sensor(project: Project, jobs: list[JobDefinition]) -> SensorDefinition:
    """`navette_live`: starts the job of every live system that has none under way."""
    systems = live_names(project)

    @sensor(name="navette_live", jobs=jobs, minimum_interval_seconds=LOOKED_EVERY,
            default_status=DefaultSensorStatus.RUNNING, description="Keeps the live jobs up.")
    def watch(context: SensorEvaluationContext) -> SensorResult | SkipReason:
        missing = [system for system in systems
                   if not context.instance.get_runs(RunsFilter(tags={LIVE_TAG: system}, statuses=UNFINISHED), limit=1)]
        if not missing:
            return SkipReason("every live system is kept live")
        return SensorResult([
            RunRequest(job_name=f"navette_live_{system}", tags={LIVE_TAG: system, TAG_SYSTEM: system})
            for system in missing
        ])

    return watch
