"""What only the whole shows: masters that never speak, policies without a stamp, flows that get in each other's way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from itertools import combinations

from mappings.check.places import FlowPlace, IntoPlace, Problems
from mappings.check.reading import pattern_of
from mappings.check.writing_files import to_files
from mappings.errors import Problem
from mappings.language.entities import Entity
from mappings.language.flow import Flow
from mappings.language.node import Spot, walk
from mappings.language.project import Project
from mappings.language.spaces import Space
from mappings.language.words import listed


def check_across(project: Project, places: list[FlowPlace], *, every_flow: bool = True) -> Problems:
    """`every_flow`: none is missing for a mistake in it, so what no flow says, no flow says."""
    intos = [into for place in places for into in place.intos()]
    for entity in project.entities.values():
        mapping = [into for into in intos if into.entity.name == entity.name]
        if every_flow:
            yield from _masters(entity, mapping, project.system_trees)
        yield from _newest(entity, mapping)
    yield from _spaces(intos)
    yield from _after(project, places)
    yield from _same_files(places)


def _masters(entity: Entity, intos: list[IntoPlace], systems: Collection[str]) -> Problems:
    """A master that no flow lets speak; a lock is worse, since nobody else may then set the field."""
    told: set[tuple[str, str]] = set()
    written = entity.tree.get("masters") if entity.tree is not None else None
    for name in written.entries if written is not None else ():
        for rule in entity.masters.get(name, {}).values():
            for system in rule.systems:
                unknown = system not in systems  # told already, as a mistake
                if unknown or (name, system) in told or any(_feeds(into, name, system) for into in intos):
                    continue
                told.add((name, system))
                message = f"masters.{name}: no flow of {system} says anything about {entity.name}.{name}"
                if rule.lock and rule.systems == (system,):
                    message += ", so the lock would keep everybody from ever changing it"
                yield _rule_spot(entity, name, system).warning(message)


def _feeds(into: IntoPlace, name: str, system: str) -> bool:
    if into.flow.system != system:
        return False
    owner = into.into.owner
    said = name in into.into.fields or name in into.into.defaults
    owned = owner is not None and name in (owner.column, "role" if owner.role else "")
    return said or owned or (name == "archived" and into.into.absence in ("archive", "review"))


def _rule_spot(entity: Entity, name: str, system: str) -> Spot:
    """Where the system's name stands in the rule of that field."""
    tree = entity.tree
    if tree is None:
        return Spot(entity.name)
    node, key, _ = walk(tree, ("masters", name))
    waiting = [node]
    while waiting:
        here = waiting.pop(0)
        if here.value == system:
            return here.spot
        waiting += [*here.items, *(entry.node for entry in here.entries.values())]
    return key


def _newest(entity: Entity, intos: list[IntoPlace]) -> Problems:
    for name, policy in entity.on_conflict.items():
        shared = any(rule.kind == "shared" for rule in entity.masters[name].values())
        if policy != "newest" or not shared:
            continue
        for into in intos:
            if name in into.into.fields and into.flow.read.stamp is None and not to_files(into):
                message = (f"{name}: conflicts go to the newest, and this flow does not tell how new a row is; "
                           f"write read.stamp, the column with its time of change")
                yield into.key("fields", name).problem(message)


def _spaces(intos: list[IntoPlace]) -> Problems:
    """Flows that fill the same ids have keys of one shape, and put their rows in order by the same thing."""
    spaces: dict[Space, list[IntoPlace]] = defaultdict(list)
    for into in intos:
        spaces[Space(into.flow.system, into.flow.space_of(into.into), into.entity.name)].append(into)
    for space, sharing in spaces.items():
        yield from _key_shapes(space, sharing)
        for first, second in combinations((into for into in sharing if not to_files(into)), 2):
            ways = _mark(first.flow), _mark(second.flow)
            both = set(first.into.fields) & set(second.into.fields)
            if ways[0] != ways[1] and both:
                message = (f"{first.flow.flow} and {second.flow.flow} both fill {listed(sorted(both), 'and')} of "
                           f"{space.name}, one in the order of its {ways[0]}, the other of its {ways[1]}: "
                           f"which of two rows is newer cannot be told")
                yield second.node().spot.warning(message)


def _key_shapes(space: Space, sharing: list[IntoPlace]) -> Problems:
    first = sharing[0]
    for other in sharing[1:]:
        if len(other.into.key) != len(first.into.key):
            shown = [listed([str(part) for part in into.into.key], "and") for into in (other, first)]
            message = (f"keys of {space.name} are {shown[0]} here and {shown[1]} in {first.flow.flow}, so no two are "
                       f"ever the same; give them as many parts, or an id space each (`ids`)")
            yield other.key("key").problem(message)


def _mark(flow: Flow) -> str:
    if flow.read.version in flow.read.mark_columns:
        return "version"
    return "stamp" if flow.read.stamp is not None else "files"


def _after(project: Project, places: list[FlowPlace]) -> Problems:
    for place in places:
        for position, name in enumerate(place.flow.after):
            trail = _way_back(project, name, place.flow.flow)
            if trail:
                circle = " -> ".join([place.flow.flow, *trail])
                yield place.value("after", position).problem(f"after: flows wait for each other: {circle}")


def _way_back(project: Project, start: str, goal: str) -> list[str]:
    """The shortest chain of `after` from one flow to another, both ends named."""
    ways: list[list[str]] = [[start]]
    seen = {start}
    while ways:
        way = ways.pop(0)
        if way[-1] == goal:
            return way
        flow = project.flows.get(way[-1])
        for name in flow.after if flow is not None else ():
            if name not in seen or name == goal:
                seen.add(name)
                ways.append([*way, name])
    return []


def _same_files(places: list[FlowPlace]) -> Iterator[Problem]:
    """Two flows may read one file; then it has one format."""
    reading = [(place, pattern) for place in places if (pattern := pattern_of(place)) is not None]
    for (first, one), (second, two) in combinations(reading, 2):
        folders = [_folder(place) for place in (first, second)]
        if folders[0] is None or folders[0] != folders[1]:
            continue
        if one.match(two.sample) is None and two.match(one.sample) is None:
            continue
        if _form(first) != _form(second):
            message = (f"{second.flow.flow} reads files that {first.flow.flow} reads too ({two.written} and "
                       f"{one.written}), in another format; one of them is wrong, or a pattern is too wide")
            yield second.value("read", "files").warning(message)


def _form(place: FlowPlace) -> tuple[str, dict[str, object]] | None:
    """What two readings of one file have to agree on; the rest may differ from record type to record type."""
    form = place.flow.read.format
    if form is None:
        return None
    kind = next(name for name in type(form).model_fields if getattr(form, name) is not None)
    said = getattr(form, kind)
    return kind, {key: getattr(said, key) for key in ("delimiter", "encoding", "decimal") if hasattr(said, key)}


def _folder(place: FlowPlace) -> str | None:
    system = place.project.systems.get(place.flow.system)
    return system.folder if system is not None else None
