"""The systems of a project: how each stands, which flows use it, and what its database records of changes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from connectors.registry import PREPARED
from connectors.remote import Prepares, Remote, Resource
from mappings.errors import ConfigurationError
from mappings.language.flow import Flow
from pipelines.hub import Hub
from pipelines.ops.outgoing import standings
from pipelines.runs.remote import resource_of, session


@dataclass(frozen=True)
class System:
    """One system. `state`: up, down or paused; `flows`: name and direction of those that use it."""

    name: str
    connector: str
    state: str
    why: str | None
    flows: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Preparation:
    """What one resource takes to have its changes recorded (or that taken away). `done`: it is so already or by now;
    `problem`: why it cannot be, '' where it can."""

    resource: str
    flows: tuple[str, ...]
    statements: tuple[str, ...]
    done: bool
    problem: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def systems(hub: Hub) -> list[System]:
    """Every system of the project, by name; none is called."""
    flows = hub.project.flows.values()
    return [
        System(one.system, hub.project.systems[one.system].connector, one.state, one.why,
               {flow.flow: flow.direction for flow in flows if flow.system == one.system})
        for one in standings(hub)
    ]


def preparations(hub: Hub, name: str, *, undo: bool = False, run: bool = False) -> list[Preparation]:
    """For every resource that flows read from the system, what `prepare` runs; with `run` it is run.

    Empty for a system that needs nothing. Raises ConfigurationError (no such system, a right is missing), RetryLater,
    LoginRefused.
    """
    if name not in hub.project.systems:
        raise ConfigurationError(f"there is no system {name!r}", todo=f"one of: {', '.join(hub.project.systems)}")
    if hub.project.systems[name].connector not in PREPARED:
        return []
    read: dict[tuple[str, tuple[str, ...]], tuple[Resource, list[Flow]]] = {}
    for flow in hub.project.flows.values():
        if flow.system == name and flow.direction != "out":
            resource = resource_of(flow)
            read.setdefault((resource.name, resource.key), (resource, []))[1].append(flow)
    if not read:
        return []
    with session(hub, name) as remote:
        return [_prepared(remote, *each, undo=undo, run=run) for each in read.values()]


def _prepared(remote: Remote, resource: Resource, flows: list[Flow], *, undo: bool, run: bool) -> Preparation:
    assert isinstance(remote, Prepares)
    names = tuple(flow.flow for flow in flows)
    if resource.query is not None:
        return Preparation(resource.name, names, (), done=False, problem="a query is read: only a table is recorded")
    try:
        recorded = remote.capabilities(resource).listens
        if undo:
            statements = tuple(remote.unprepare_statements(resource))
        else:
            statements = () if recorded else tuple(remote.prepare_statements(resource))
        if run and statements:
            (remote.unprepare if undo else remote.prepare)(resource)
    except ConfigurationError as error:
        told = f"{error.message}; {error.todo}" if error.todo else error.message
        return Preparation(resource.name, names, (), done=False, problem=told)
    return Preparation(resource.name, names, statements, done=run or not statements)
