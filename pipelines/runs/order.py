"""In which order flows run: those first that others refer to."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

from mappings.language.field import Refers
from mappings.language.project import Project
from mappings.language.spaces import spaces_filled, spaces_referred


def order_of_flows(project: Project) -> list[str]:
    """Every flow's name; a flow comes after those it names in `after` and those that fill what it refers to.

    Flows that refer to each other keep the order of their names: what one lacks is parked, and retried by itself.
    """
    filling = spaces_filled(project.flows)
    wanted: dict[str, set[str]] = {name: set() for name in sorted(project.flows)}
    for name in wanted:
        flow = project.flows[name]
        wanted[name] |= {other for other in flow.after if other in wanted}
        for into in flow.into:
            for field, line in into.fields.items():
                spec = project.entities[into.entity].fields.get(field)
                if spec is None or spec.type not in ("link", "links"):
                    continue
                refers = line.refers or Refers(entity=spec.to)
                for space in spaces_referred(refers, flow, project.flows):
                    wanted[name] |= {other.flow for other, _ in filling.get(space, []) if other.flow != name}
    while True:
        try:
            return list(TopologicalSorter(wanted).static_order())
        except CycleError as error:
            # The edge that is not written down by hand gives way.
            ring = error.args[1]
            for later, earlier in zip(ring[1:], ring[:-1], strict=True):
                if earlier in wanted[later] and earlier not in project.flows[later].after:
                    wanted[later].discard(earlier)
                    break
            else:
                wanted[ring[1]].discard(ring[0])
