"""A sensor for each drop folder: files that stand still start a run of the flows that read them, once.

::

    per flow   files waiting ─▶ one key of names, sizes and times
                 new key ───────────────────────────────▶ run
                 same key ── the last run ended well ───▶ nothing: the file stays for another flow, or for a person
                          ├─ it ended badly ────────────▶ run again, at most TRIES times
                          └─ a review was settled since ▶ run again: it had held the files back

The cursor keeps, per flow, the key, how many runs were asked for it, and a number that makes each run key new.
"""

import hashlib
from collections.abc import Mapping, Sequence

import orjson
from dagster import (
    DagsterRunStatus,
    DefaultSensorStatus,
    RunRequest,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)
from pydantic import BaseModel

from connectors.file.folder import DropFile, is_stable
from mappings.errors import ConfigurationError
from mappings.language.flow import Flow
from mappings.language.project import Project
from pipelines.hub import Hub
from pipelines.orchestration.flow_jobs import UNFINISHED, FlowJob, last_run
from pipelines.orchestration.hub_resource import HubResource
from pipelines.orchestration.names import TAG_FILE, TAG_FLOW, TAG_SYSTEM
from pipelines.orchestration.standing import run_in_review
from pipelines.runs.sources import seconds
from pipelines.runs.waiting import folder_of, waiting

EVERY_SECONDS = 15
TRIES = 3


class Seen(BaseModel):
    """What the sensor knows of one flow."""

    key: str = ""
    tries: int = 0
    number: int = 0
    review: int | None = None


def folder_sensor(project: Project, system: str, flows: Sequence[Flow], jobs: Mapping[str, FlowJob]
                  ) -> SensorDefinition:
    """`SYSTEM_folder`: watches the system's drop folder for every flow that reads from it; runs from the start."""
    folder = project.systems[system].folder

    @sensor(
        name=f"{system}_folder", jobs=[jobs[flow.flow] for flow in flows], minimum_interval_seconds=EVERY_SECONDS,
        default_status=DefaultSensorStatus.RUNNING,
        description=f"Watches `{folder}` for files of {', '.join(flow.flow for flow in flows)}.",
    )
    def watch(context: SensorEvaluationContext, hub: HubResource) -> SensorResult | SkipReason:
        opened = hub.open()
        path = folder_of(opened, flows[0])
        if path is None or not path.is_dir():
            return SkipReason(f"the drop folder {path} does not exist; create it")
        known = {name: Seen.model_validate(told) for name, told in orjson.loads(context.cursor or "{}").items()}
        requests, reasons = [], []
        for flow in flows:
            seen = known.setdefault(flow.flow, Seen())
            try:
                wanted = _look(context, opened, flow, seen)
            except ConfigurationError as error:  # its names, or the folder: nobody else's to wait for
                wanted = f"{flow.flow}: {error.message}"
            if isinstance(wanted, RunRequest):
                requests.append(wanted)
            elif wanted:
                reasons.append(wanted)
        cursor = orjson.dumps({name: seen.model_dump() for name, seen in known.items()}).decode()
        if requests:
            return SensorResult(run_requests=requests, cursor=cursor)
        return SensorResult(skip_reason="; ".join(reasons) or "no file waits", cursor=cursor)

    return watch


def _look(context: SensorEvaluationContext, hub: Hub, flow: Flow, seen: Seen) -> RunRequest | str:
    """The run to ask for, or why none; `seen` is brought up to date."""
    files = _still(hub, flow)
    held = run_in_review(hub, flow.flow)
    if held is not None:
        seen.review = held
        return f"{flow.flow}: run {held} waits in review" if files else ""
    if not files:
        seen.key, seen.review = "", None
        return ""
    last = last_run(context.instance, flow)
    if last in UNFINISHED:
        return f"{flow.flow}: a run is under way"
    key = _key(files)
    settled, seen.review = seen.review is not None, None
    if key == seen.key and not settled:
        if last == DagsterRunStatus.SUCCESS:
            return f"{flow.flow}: has taken {len(files)} files that still lie there"
        if seen.tries >= TRIES:
            return f"{flow.flow}: failed {TRIES} times on the same files; start {flow.flow} by hand when it is mended"
    seen.tries = 1 if key != seen.key or settled else seen.tries + 1
    seen.key, seen.number = key, seen.number + 1
    return RunRequest(
        run_key=f"{flow.flow}:{key}:{seen.number}", job_name=flow.flow,
        tags={TAG_FLOW: flow.flow, TAG_SYSTEM: flow.system, TAG_FILE: ", ".join(file.name for file in files[:5])},
    )


def _still(hub: Hub, flow: Flow) -> list[DropFile]:
    """Files that wait and are written no more."""
    system = hub.project.systems[flow.system]
    return [file for file in waiting(hub, flow) if is_stable(file, seconds(system.stable_for), system.marker)]


def _key(files: Sequence[DropFile]) -> str:
    told = [(file.name, file.size, file.mtime) for file in files]
    return hashlib.sha256(orjson.dumps(told)).hexdigest()[:16]
