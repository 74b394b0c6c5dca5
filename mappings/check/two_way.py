"""Flows that write back: what is read in can be written out again, and no two flows chase each other's writes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from itertools import combinations

from pydantic import BaseModel

from mappings.check.columns import field_columns
from mappings.check.places import FlowPlace, IntoPlace, Problems
from mappings.check.writing_files import check_same_names, check_writing_files, to_files
from mappings.codecs.into import cell_spec
from mappings.codecs.round_trip import round_trip_problem
from mappings.codecs.way_out import may_be_sent
from mappings.errors import ConfigurationError
from mappings.language.words import did_you_mean

CHANGING = ("case", "collapse", "cut", "max", "html", "replace", "round")
"""Keys that change a value on its way in, so that what comes back is not what was sent."""
NONE: Mapping[str, type[BaseModel] | None] = {}


def check_two_way(places: list[FlowPlace], connectors: Mapping[str, type[BaseModel] | None] = NONE) -> Problems:
    """`connectors`: the model of each one's own keys in systems.yaml, where it is known."""
    writing: dict[tuple[str, str], list[IntoPlace]] = defaultdict(list)
    for place in places:
        if place.flow.direction == "in":
            if place.writes("write"):
                yield place.key("write").problem("`write` belongs to a flow of direction: two-way or out")
            continue
        yield from check_writing_files(place)
        if len(place.flow.into) > 1:
            yield place.key("into").problem("a flow that writes has one into; the others need flows of their own")
        for into in place.intos():
            if not to_files(place):
                yield from _editable_key(into)
            yield from _round_trips(into)
            yield from _sent_when(into)
            yield from _archiving(into, connectors)
            for name in into.into.fields:
                writing[into.entity.name, name].append(into)
    yield from check_same_names(places)
    for (_, name), sharing in writing.items():
        if any(rule.kind == "shared" for rule in sharing[0].entity.masters.get(name, {}).values()):
            yield from _chasing(name, sharing)


def _sent_when(place: IntoPlace) -> Problems:
    """`write.when` names fields of the record, or of a record that it links to."""
    for path in place.flow.write.when:
        first, _, rest = path.partition(".")
        spec, entity = place.spec(first), place.entity
        spot = FlowPlace(place.project, place.flow, place.project.trees[place.flow.flow]).key("write", "when", path)
        if first not in entity.names:
            yield spot.problem(f"write.when: {entity.name} has no field {first!r}{did_you_mean(first, entity.names)}")
        elif spec is None:
            continue  # told with the entity
        elif rest and spec.type != "link":
            yield spot.problem(f"write.when: {first} is no link, so it leads to no {rest!r}")
        elif rest and (linked := place.project.entities.get(spec.to)) and rest not in linked.names:
            yield spot.problem(f"write.when: {linked.name} has no field {rest!r}{did_you_mean(rest, linked.names)}")


def _archiving(place: IntoPlace, connectors: Mapping[str, type[BaseModel] | None]) -> Problems:
    """A connector that has a key `archived` archives where it is told there, by resource, what marks a row so."""
    flow = place.flow
    system = place.project.systems.get(flow.system)
    model = None if system is None else connectors.get(system.connector)
    if (flow.write.archived != "archive" or "archived" in place.into.fields
            or model is None or "archived" not in model.model_fields):
        return
    resource = flow.read.resource or flow.write.resource or flow.flow
    named = place.project.connections[flow.system].get("archived") or {}
    if isinstance(named, Mapping) and resource not in named:  # what is no mapping is told as a mistake of its own
        spot = FlowPlace(place.project, flow, place.project.trees[flow.flow]).value("write", "archived")
        yield spot.problem(f"write.archived: archive, and nothing tells how {resource} marks a row as archived; name "
                           f"the column and its cell in systems.{flow.system}.archived.{resource}")


def _round_trips(place: IntoPlace) -> Problems:
    """The proof, field by field, that what is read in can be written out again as the same value."""
    for name, line in place.into.fields.items():
        spec = place.spec(name)
        if spec is None or line.out is False or not may_be_sent(place.entity.masters[name], place.flow.system):
            continue
        if line.out is not True:
            continue  # the mapping itself says how to go back
        try:
            held = cell_spec(line, spec, place.project.entities)
            problem = round_trip_problem(line, held, place.project.codes)
        except ConfigurationError:
            continue  # the mapping itself is wrong, and told so elsewhere
        if problem is not None:
            yield place.key("fields", name).problem(
                f"{name} cannot be written back as it is read: {problem}; say how with `out`, or out: false")


def _editable_key(place: IntoPlace) -> Problems:
    """A record whose key is edited in the CRM would be a new one for the system."""
    for name, line in place.into.fields.items():
        used = [column for _, column in field_columns(line) if column in place.into.key]
        rules = place.entity.masters.get(name, {}).values()
        locked = all(rule.kind == "systems" and rule.lock and place.flow.system in rule.systems for rule in rules)
        if used and not locked:
            message = f"{name} is part of the key ({used[0]}) and can be edited in the CRM; lock it, or leave it out"
            yield place.key("fields", name).problem(message)


def _chasing(name: str, intos: list[IntoPlace]) -> Problems:
    for first, second in combinations(intos, 2):
        ways = [{key: getattr(into.into.fields[name], key) for key in CHANGING} for into in (first, second)]
        differing = [key for key in CHANGING if ways[0][key] != ways[1][key]]
        if differing and first.flow.system != second.flow.system:
            message = (f"{name}: {first.flow.flow} and {second.flow.flow} share it and change it in different ways "
                       f"({', '.join(differing)}), so each would undo the other's writes for ever")
            yield second.key("fields", name).problem(message)
