"""`navette push`: one flow, or every flow that writes, those first whose records others link to."""

from __future__ import annotations

from mappings.errors import NavetteError, RetryLater
from pipelines.hub import Hub
from pipelines.runs.executing import Progress, quiet
from pipelines.runs.lock import flow_lock
from pipelines.runs.order import order_of_flows
from pipelines.runs.push import PushResult, due, push_locked
from pipelines.runs.unfinished import finish_unfinished


def push_flow(hub: Hub, name: str, progress: Progress = quiet, trigger: str = "push", *, approved: bool = False
              ) -> PushResult:
    """Sends what the flow's outbox holds; `approved`: also where the guard would ask.

    Raises ConfigurationError, RetryLater, LoginRefused.
    """
    flow = hub.flow(name)
    with flow_lock(hub, name):
        if flow.direction != "in":
            finish_unfinished(hub, flow, progress)
        return push_locked(hub, flow, progress, trigger, approved=approved)


def push_all(hub: Hub, progress: Progress = quiet, trigger: str = "push") -> list[PushResult]:
    """Every flow that has something to send; a system that is down does not keep the others from theirs."""
    results: list[PushResult] = []
    for name in order_of_flows(hub.project):
        flow = hub.project.flows[name]
        if flow.direction == "in" or not due(hub, flow):
            continue
        try:
            results.append(push_flow(hub, name, progress, trigger))
        except RetryLater as waits:
            results.append(PushResult(0, name, flow.system, problem=_told(waits)))
    return results


def _told(error: NavetteError) -> str:
    return error.message
