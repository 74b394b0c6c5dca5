"""`navette push`: one flow, or every flow that writes, those first whose records others link to."""

from __future__ import annotations

from mappings.errors import ConfigurationError, NavetteError, RetryLater, RunStopped
from mappings.language.flow import Flow
from pipelines.hub import Hub
from pipelines.runs.due import due
from pipelines.runs.lock import flow_lock
from pipelines.runs.order import order_of_flows
from pipelines.runs.orders import Progress, quiet
from pipelines.runs.planning import kept_plan
from pipelines.runs.push import push_locked
from pipelines.runs.push_file import file_is_left, push_file_locked
from pipelines.runs.push_result import PushResult
from pipelines.runs.replay import retry_after_creates
from pipelines.runs.unfinished import finish_unfinished
from pipelines.stages.outbox import try_again


def push_flow(hub: Hub, name: str, progress: Progress = quiet, trigger: str = "push", *, approved: bool = False,
              full: bool = False) -> PushResult:
    """Sends what the flow's outbox holds, and again what the system was not able to do; `approved`: also where the
    guard would ask. `full`: the system is filled with everything; to a folder, one file of it.

    Raises ConfigurationError, RetryLater, LoginRefused, RunStopped (a file that cannot be written).
    """
    flow = hub.flow(name)
    if writes_files(hub, flow):
        with flow_lock(hub, name):
            return push_file_locked(hub, flow, progress, trigger, full=full, approved=approved)
    with flow_lock(hub, name):
        if flow.direction != "in":
            finish_unfinished(hub, flow, progress)
            with hub.engine.begin() as connection:
                try_again(connection, kept_plan(hub, flow).feed)
        result = push_locked(hub, flow, progress, trigger, approved=approved, filling=full)
    retry_after_creates(hub, progress)
    return result


def writes_files(hub: Hub, flow: Flow) -> bool:
    """Whether the flow writes files to a folder."""
    return flow.direction == "out" and hub.project.systems[flow.system].connector == "file"


def push_all(hub: Hub, progress: Progress = quiet, trigger: str = "push") -> list[PushResult]:
    """Every flow that has something to send; a system that is down, or a flow that is configured wrongly, does not keep
    the others from theirs."""
    results: list[PushResult] = []
    for name in order_of_flows(hub.project):
        flow = hub.project.flows[name]
        if flow.direction == "in" or not (due(hub, flow) or (writes_files(hub, flow) and file_is_left(hub, flow))):
            continue
        try:
            results.append(push_flow(hub, name, progress, trigger))
        except (ConfigurationError, RetryLater, RunStopped) as error:
            misconfigured = isinstance(error, ConfigurationError)
            results.append(PushResult(0, name, flow.system, problem=_told(error), misconfigured=misconfigured))
    return results


def _told(error: NavetteError) -> str:
    return error.message
