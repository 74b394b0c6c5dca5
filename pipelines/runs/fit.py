"""What `navette check` refuses does not run.

A flow is judged once a process, since an open project does not change; that takes milliseconds, so it is kept nowhere
else.
"""

from __future__ import annotations

from mappings.errors import ConfigurationError, Problem
from pipelines.hub import Hub
from pipelines.ops.sentences import said


def must_be_fit(hub: Hub, flow: str) -> None:
    """Raises ConfigurationError, with every mistake, where check refuses the flow or its system."""
    key = ("mistakes", flow)
    if key not in hub.kept:
        hub.kept[key] = _mistakes(hub, flow)
    found: tuple[Problem, ...] = hub.kept[key]
    if found:
        sentence = said("flow_mistake" if len(found) == 1 else "flow_mistakes", count=len(found))
        raise ConfigurationError("\n".join([sentence, *map(str, found)]), where=f"flow {flow}", problems=found)


def _mistakes(hub: Hub, flow: str) -> tuple[Problem, ...]:
    from connectors.registry import settings_models  # what only settles, mends or looks needs none of it
    from mappings.check import check_flow

    connector = hub.project.systems[hub.flow(flow).system].connector
    return tuple(check_flow(hub.project, flow, settings_models([connector])))
