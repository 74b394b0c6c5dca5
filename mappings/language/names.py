"""Every name that a flow uses is declared somewhere: systems, entities, fields, code tables, flows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from mappings.errors import Problem
from mappings.language.entities import Entity
from mappings.language.flow import Flow, Into
from mappings.language.node import Node, walk
from mappings.language.words import did_you_mean


@dataclass(frozen=True)
class Known:
    """What is declared, by name; what is declared with a fault counts as known, so that one mistake is told once."""

    systems: Collection[str]
    entity_names: Collection[str]
    entities: Mapping[str, Entity]
    flows: Collection[str]
    codes: Collection[str]


def unknown_names(flow: Flow, tree: Node, known: Known) -> Iterator[Problem]:
    if flow.system not in known.systems:
        yield _no(tree, ("system",), "system", flow.system, known.systems)
    for position, name in enumerate(flow.after):
        if name not in known.flows:
            yield _no(tree, ("after", position), "flow", name, known.flows)
    for number, into in enumerate(flow.into):
        node = walk(tree, ("into", number))[0]
        yield from _entities(into, node, known, by_id=flow.direction == "out")
        if into.entity in known.entities:
            yield from _fields(into, node, known.entities[into.entity])
        for name, line in into.fields.items():
            if line.refers is not None and line.refers.in_ is not None and line.refers.in_ not in known.systems:
                yield _no(node, ("fields", name, "refers", "in"), "system", line.refers.in_, known.systems)
            if isinstance(line.values, str) and line.values.removeprefix("@") not in known.codes:
                yield _no_codes(node, name, line.values, known)


def _entities(into: Into, node: Node, known: Known, *, by_id: bool) -> Iterator[Problem]:
    if into.entity not in known.entity_names:
        yield _no(node, ("entity",), "entity", into.entity, known.entity_names)
    if into.owner is not None and into.owner.entity not in known.entity_names:
        yield _no(node, ("owner", "entity"), "entity", into.owner.entity, known.entity_names)
    for name, line in into.fields.items():
        refers = line.refers
        if refers is None:
            continue
        if refers.entity not in known.entity_names:
            yield _no(node, ("fields", name, "refers", "entity"), "entity", refers.entity, known.entity_names)
        elif refers.by is not None and refers.entity in known.entities:
            target = known.entities[refers.entity]
            if refers.by not in (*target.fields, *target.unsure) and not (by_id and refers.by == "id"):
                yield _no(node, ("fields", name, "refers", "by"), f"field of {target.name}", refers.by, target.fields)


def _fields(into: Into, node: Node, entity: Entity) -> Iterator[Problem]:
    """Keys of `fields`, `scope` and `defaults`, and the fields that match rules and `owner` name."""
    what = f"field of {entity.name}"
    for name in into.fields:
        if name not in entity.names:
            yield _no(node, ("fields", name), what, name, entity.names, key=True)
    for part in ("scope", "defaults"):
        for name in getattr(into, part):
            if name not in entity.names:
                yield _no(node, (part, name), what, name, entity.names, key=True)
    for position, rule in enumerate(into.match):
        for part, names in (("on", rule.on), ("agree", rule.agree), ("unless", rule.unless)):
            for place, name in enumerate(names):
                if name not in entity.names:
                    yield _no(node, ("match", position, part, place), what, name, entity.names)
    link = into.owner.field if into.owner is not None else None
    if link is not None and link not in (*entity.fields, *entity.unsure):
        yield _no(node, ("owner", "field"), what, link, entity.fields)


def _no(
    tree: Node, path: tuple[str | int, ...], what: str, name: str, valid: Collection[str], *, key: bool = False
) -> Problem:
    node, spot, _ = walk(tree, path)
    return (spot if key else node.spot).problem(f"there is no {what} {name!r}{did_you_mean(name, valid)}")


def _no_codes(node: Node, field: str, written: str, known: Known) -> Problem:
    spot = walk(node, ("fields", field, "values"))[0].spot
    if not written.startswith("@"):
        message = f'{field}.values: expected {{raw: crm}} lines, or a code table such as "@{written}"'
        return spot.problem(message)
    name = written[1:]
    hint = did_you_mean(name, known.codes) or f"; write mappings/codes/{name}.csv"
    return spot.problem(f"{field}.values: there is no code table {name!r}{hint}")
