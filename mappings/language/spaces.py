"""Id spaces: which flows fill them, and which of them a `refers` looks in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mappings.language.field import Refers
from mappings.language.flow import Flow, Into


@dataclass(frozen=True)
class Space:
    """Where an external id is unique: customer 17 and supplier 17 of one system are in two spaces."""

    system: str
    name: str
    entity: str


def spaces_filled(flows: Mapping[str, Flow]) -> dict[Space, list[tuple[Flow, Into]]]:
    """Every id space, with the intos that fill it, in the order of the flows."""
    filled: dict[Space, list[tuple[Flow, Into]]] = {}
    for flow in flows.values():
        for into in flow.into:
            filled.setdefault(Space(flow.system, flow.space_of(into), into.entity), []).append((flow, into))
    return filled


def spaces_referred(refers: Refers, flow: Flow, flows: Mapping[str, Flow]) -> tuple[Space, ...]:
    """Where the key of a `refers` (without `by`) is looked for: as it says, else all that flows of the system fill."""
    system = refers.in_ or flow.system
    if refers.ids is not None:
        return (Space(system, refers.ids, refers.entity),)
    return tuple(
        space for space in spaces_filled(flows) if space.system == system and space.entity == refers.entity
    )
