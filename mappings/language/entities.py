"""Entities: the built-in file, the project's own laid over it, and every field's master spelled out."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Literal

from mappings.errors import Problem
from mappings.language.complaints import misfits, read_model
from mappings.language.entity import ENTITY_COLUMNS, EntityFile, FieldSpec, MasterRule, MasterValue
from mappings.language.inherit import merge
from mappings.language.node import Node, Path, walk, without
from mappings.language.words import did_you_mean

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
RESERVED = ("id", "type", "family", "archived", "archived_at", "created_at", "updated_at", "version", "else")
SECOND_COLUMN = {"money": "currency", "quantity": "unit"}
ENTRIES = ("fields", "masters", "on_conflict")  # where one entry may be wrong and the others hold

Fault = tuple[Path, Problem]
"""A mistake, with the path of what it makes unsure: what depends on that is not judged."""


@dataclass(frozen=True)
class Mastery:
    """Who owns a field: ranked systems, the CRM, or both sides."""

    kind: Literal["systems", "crm", "shared"]
    systems: tuple[str, ...] = ()
    lock: bool = True


@dataclass(frozen=True)
class Entity:
    """A kind of CRM record; `fields` are those declared, masters and on_conflict hold type, family, archived too.

    While there are mistakes: `unsure` are declared too, but nothing can be told of them; a field whose masters could
    not be read has none.
    """

    name: str
    label: str
    types: tuple[str, ...]
    families: tuple[str, ...]
    fields: dict[str, FieldSpec]
    masters: dict[str, dict[str, Mastery]]
    on_conflict: dict[str, str]
    show: tuple[str, ...]
    unsure: tuple[str, ...] = ()
    tree: Node | None = field(default=None, repr=False, compare=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that a mapping may use: the fields, then type, family and archived."""
        return (*self.fields, *self.unsure, *ENTITY_COLUMNS)


def is_name(text: str) -> bool:
    """Names become tables, columns and tags, so they are short, lower-case and plain."""
    return bool(NAME.fullmatch(text))


def read_entities(
    builtin: Mapping[str, Node], own: Mapping[str, Node], systems: Collection[str]
) -> tuple[dict[str, Entity], list[Problem]]:
    """Every entity by name, the built-in ones first, as far as its file can be read; else it is left out."""
    entities: dict[str, Entity] = {}
    problems: list[Problem] = []
    every = list(dict.fromkeys([*builtin, *own]))
    for name in every:
        base, over = builtin.get(name), own.get(name)
        tree = merge(base, over) if base and over else base or over
        if tree is None:
            continue
        file, found, lost = _read(tree)
        changed = _changed_types(base, over) if base and over else ()
        faults = [fault for fault in changed if fault[0] not in lost]
        if file is not None:
            faults += _check_fields(file, tree, every, lost)
            faults += _check_masters(file, tree, systems, lost)
            entities[name] = _entity(file, tree, {*lost, *(path for path, _ in faults)})
        problems += [*found, *(problem for _, problem in faults)]
    return entities, problems


def _read(tree: Node) -> tuple[EntityFile | None, list[Problem], Set[Path]]:
    """The file without what does not fit the model, and the paths of that; None where too little is left of it."""
    file, found = read_model(EntityFile, tree)
    if file is not None:
        return file, found, frozenset()
    lost = {path[:2] if path[:1] and path[0] in ENTRIES else path[:1] for path in misfits(EntityFile, tree)}
    if any(path in ((), ("fields",)) or path[0] not in EntityFile.model_fields for path in lost):
        return None, found, lost
    return read_model(EntityFile, without(tree, lost))[0], found, lost


def _changed_types(base: Node, over: Node) -> Iterator[Fault]:
    was, now = base.get("fields"), over.get("fields")
    for name, entry in now.entries.items() if now else ():
        old = was.get(name) if was else None
        for key, default in (("type", "text"), ("to", ""), ("scale", "")):
            new = entry.node.get(key)
            before = (old.get(key) or Node(old.spot, default)) if old else None
            if new and before and new.value != before.value and not (key == "scale" and before.value == ""):
                message = f"{name}: the built-in field has {key} {before.value}; that stays. Add a field of your own"
                yield ("fields", name), new.spot.problem(message)


def _check_fields(file: EntityFile, tree: Node, entities: list[str], lost: Set[Path]) -> Iterator[Fault]:
    columns: dict[str, str] = {}
    for name, spec in file.fields.items():
        key, path = walk(tree, ("fields", name))[1], ("fields", name)
        if name in RESERVED:
            yield path, key.problem(f"{name}: every record has this already; choose another name")
        elif not is_name(name):
            rule = "a field's name is a-z, 0-9 and _, at most 40, and begins with a letter"
            yield path, key.problem(f"{name!r}: {rule}")
        for column in (name, f"{name}_{SECOND_COLUMN[spec.type]}" if spec.type in SECOND_COLUMN else name):
            if columns.setdefault(column, name) != name:
                yield path, key.problem(f"{name}: its column {column} is also that of {columns[column]}")
        for problem in _check_field(name, spec, tree, entities):
            yield path, problem
    for kind in ("types", "families"):
        values = getattr(file, kind)
        if len(set(values)) < len(values) or "" in values or "else" in values:
            message = f"{kind}: each value once, none empty, and none called else"
            yield (kind,), walk(tree, (kind,))[0].spot.problem(message)
    declared = [*file.fields, *_fields_among(lost)]
    for position, name in enumerate(file.show):
        if name not in declared:
            message = f"show: {file.entity} has no field {name!r}{did_you_mean(name, declared)}"
            yield ("show",), walk(tree, ("show", position))[0].spot.problem(message)


def _check_field(name: str, spec: FieldSpec, tree: Node, entities: list[str]) -> Iterator[Problem]:
    """What the words of a declaration say to each other."""
    node, key, _ = walk(tree, ("fields", name))
    written = node.entries
    if spec.type in ("choice", "choices"):
        if not spec.values:
            yield key.problem(f"{name}: a {spec.type} needs `values`")
        if len(set(spec.values)) < len(spec.values) or "" in spec.values:
            yield written["values"].node.spot.problem(f"{name}.values: each value once, and none empty")
    elif "values" in written:
        message = f"{name}: `values` belongs to choice and choices, not to {spec.type}"
        yield written["values"].key.problem(message)
    if spec.type in ("link", "links"):
        if not spec.to:
            yield key.problem(f"{name}: a {spec.type} needs `to`, the entity it leads to")
        elif spec.to not in entities:
            hint = did_you_mean(spec.to, entities)
            yield written["to"].node.spot.problem(f"{name}.to: there is no entity {spec.to!r}{hint}")
    elif "to" in written:
        yield written["to"].key.problem(f"{name}: `to` belongs to link and links, not to {spec.type}")
    if "scale" in written and spec.type not in ("decimal", "money", "quantity"):
        yield written["scale"].key.problem(f"{name}: `scale` belongs to decimal, money and quantity")
    for word in ("max", "format"):
        if word in written and spec.type not in ("text", "long_text", "url"):
            yield written[word].key.problem(f"{name}: `{word}` belongs to text, not to {spec.type}")


def _check_masters(file: EntityFile, tree: Node, systems: Collection[str], lost: Set[Path]) -> Iterator[Fault]:
    valid = [*file.fields, *_fields_among(lost), *ENTITY_COLUMNS, "else"]
    for name, value in file.masters.items():
        path = ("masters", name)
        if name not in valid:
            spot = walk(tree, path)[1]
            yield path, spot.problem(f"masters: {file.entity} has no field {name!r}{did_you_mean(name, valid)}")
        for kind, rule in _by_type(value).items():
            node, spot, _ = walk(tree, (*path, kind))
            if kind != "else" and kind not in file.types and ("types",) not in lost:
                hint = did_you_mean(kind, [*file.types, "else"])
                yield path, spot.problem(f"masters.{name}: {file.entity} has no type {kind!r}{hint}")
            for problem in _unknown_masters(f"masters.{name}", rule, node, systems):
                yield path, problem
    for name, policy in file.on_conflict.items():
        path = ("on_conflict", name)
        node, spot, _ = walk(tree, path)
        if name not in valid:
            yield path, spot.problem(f"on_conflict: {file.entity} has no field {name!r}{did_you_mean(name, valid)}")
        policies = ["newest", "crm", "review", *systems]
        if policy not in policies:
            hint = did_you_mean(policy, policies)
            yield path, node.spot.problem(f"on_conflict.{name}: there is no policy or system {policy!r}{hint}")


def _fields_among(paths: Set[Path]) -> list[str]:
    return [str(path[1]) for path in sorted(paths, key=str) if len(path) == 2 and path[0] == "fields"]


def _unknown_masters(
    where: str, rule: str | tuple[str, ...] | MasterRule, node: Node, systems: Collection[str]
) -> Iterator[Problem]:
    named = (rule,) if isinstance(rule, str) else rule.systems if isinstance(rule, MasterRule) else rule
    owners = ["crm", "shared", *systems] if isinstance(rule, str) else list(systems)
    for position, name in enumerate(named):
        if name in owners:
            continue
        spot = walk(node, ("system", position))[0].spot
        if name in ("crm", "shared"):
            yield spot.problem(f"{where}: {name} stands alone; a ranked list names systems only")
        else:
            yield spot.problem(f"{where}: there is no system {name!r}{did_you_mean(name, owners)}")
    if not named:
        yield node.spot.problem(f"{where}: expected a system, crm or shared")


def _by_type(value: MasterValue) -> dict[str, str | tuple[str, ...] | MasterRule]:
    return value if isinstance(value, dict) else {"else": value}


def _mastery(rule: str | tuple[str, ...] | MasterRule) -> Mastery:
    if rule == "crm":
        return Mastery("crm")
    if rule == "shared":
        return Mastery("shared")
    if isinstance(rule, MasterRule):
        return Mastery("systems", rule.systems, rule.lock)
    return Mastery("systems", (rule,) if isinstance(rule, str) else rule)


def _entity(file: EntityFile, tree: Node, lost: Set[Path]) -> Entity:
    """`lost`: the paths of what is wrong, or could not be read."""
    unsure = tuple(name for name in _fields_among(lost) if name not in ENTITY_COLUMNS)
    fields = {name: spec for name, spec in file.fields.items() if ("fields", name) not in lost}
    names = (*fields, *unsure, *ENTITY_COLUMNS)
    rest = {"else": Mastery("shared")}
    if "else" in file.masters:
        rest |= {kind: _mastery(rule) for kind, rule in _by_type(file.masters["else"]).items()}
    own = {name: {k: _mastery(r) for k, r in _by_type(value).items()} for name, value in file.masters.items()}
    masters = {name: own[name] if "else" in own.get(name, {}) else {**rest, **own.get(name, {})} for name in names}
    everywhere = not lost.isdisjoint({("masters",), ("masters", "else")})
    masters |= {name: {} for name in names if ("masters", name) in lost or (everywhere and name not in own)}
    return Entity(
        name=file.entity,
        label=file.label or file.entity.replace("_", " ").capitalize(),
        types=file.types,
        families=file.families,
        fields=fields,
        masters=masters,
        on_conflict={name: file.on_conflict.get(name, file.on_conflict.get("else", "review")) for name in names},
        show=file.show or tuple(fields)[:1],
        unsure=unsure,
        tree=tree,
    )
