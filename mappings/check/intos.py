"""The rules of one into: its label, owner, key, conditions, match rules, scope, defaults and expectations."""

from __future__ import annotations

from mappings.check.columns import into_columns, twice
from mappings.check.expectation_arguments import columns_named, columns_of_entity, faults_of
from mappings.check.expectations import KNOWN
from mappings.check.literal_values import literal_problem
from mappings.check.places import FlowPlace, IntoPlace, Problems
from mappings.check.regexes import regex_problem
from mappings.language.derived import ABOVE
from mappings.language.flow import Matches, Not
from mappings.language.words import did_you_mean, listed


def check_intos(place: FlowPlace) -> Problems:
    yield from _labels(place)
    for into in place.intos():
        yield from _key(into)
        yield from _conditions(into)
        yield from _owner(into, place)
        yield from _match(into)
        yield from _fixed_values(into)
        yield from _required(into)
        yield from _absence(into)
        yield from _expectations(into)


def _labels(place: FlowPlace) -> Problems:
    seen: set[str] = set()
    for number, into in enumerate(place.flow.into):
        if into.label in seen:
            spot = place.node("into", number).spot
            yield spot.problem(f"a second into is called {into.label}; give it a `name`")
        seen.add(into.label)


def _key(place: IntoPlace) -> Problems:
    into = place.into
    if not into.key:
        yield place.value("key").problem("key: expected at least one column")
    if again := twice(into.key):
        yield place.value("key").problem(f"key names {again} twice")
    form = place.flow.read.format
    if into.each is not None and form is not None and form.jsonl is None:
        yield place.key("each").problem("each takes nested lists apart, which only jsonl has")
    for path, column in into_columns(into):
        ups = len(column) - len(column.lstrip(ABOVE)) if isinstance(column, str) else 0
        if ups and into.each is None and path[0] == "key":
            yield place.value(*path).problem(f"{column}: ^ reaches the parent of `each`, which is not given")
        elif ups > into.depth > 0:
            yield place.value(*path).problem(
                f"{column}: nothing stands so far above an element of {into.each}; write {ABOVE * into.depth} at most")
    if into.whole and into.owner is None:
        yield place.key("whole").problem("whole: whose children? It needs `owner`")


def _conditions(place: IntoPlace) -> Problems:
    for column, condition in place.into.when.items():
        if isinstance(condition, Matches):
            if problem := regex_problem(condition.matches):
                yield place.value("when", column, "matches").problem(f"when.{column}: {problem}")
            continue
        values = condition.not_ if isinstance(condition, Not) else condition
        path = ("when", column, "not") if isinstance(condition, Not) else ("when", column)
        if not values:
            yield place.value(*path).problem(f"when.{column}: expected at least one value")
        for position, value in enumerate(values):
            if isinstance(value, str) and value != value.strip():
                message = f"when.{column}: cells are trimmed, so {value!r} is never met; write {value.strip()!r}"
                yield place.value(*path, position).problem(message)


def _owner(place: IntoPlace, flow: FlowPlace) -> Problems:
    owner = place.into.owner
    if owner is None or owner.entity not in place.project.entities:
        return
    before = [into for into in flow.flow.into[: place.number] if into.entity == owner.entity]
    labels = [into.label for into in before]
    if not before:
        message = f"owner: no into above fills {owner.entity}; the owner comes from the same row, so it stands first"
        yield place.value("owner", "entity").problem(message)
    elif owner.into is not None and owner.into not in labels:
        hint = did_you_mean(owner.into, labels)
        message = f"owner: no into above that fills {owner.entity} is called {owner.into!r}{hint}"
        yield place.value("owner", "into").problem(message)
    elif owner.into is None and len(before) > 1:
        message = f"owner: {listed(labels, 'and')} fill {owner.entity}; say which with `into`"
        yield place.value("owner").problem(message)
    name, unsure = owner.column, place.entity.unsure
    links = [field for field, spec in place.entity.fields.items() if spec.type == "link" and spec.to == owner.entity]
    if name not in links and name not in unsure:
        if owner.field is None:
            hint = f"; say which: {{entity: {owner.entity}, field: {links[0]}}}" if links else "; add one to the entity"
            message = f"owner: {place.entity.name} has no link called {name} to {owner.entity}{hint}"
            yield place.value("owner").problem(message)
        elif name in place.entity.fields:
            hint = did_you_mean(name, links) if links else ""
            yield place.value("owner", "field").problem(f"owner: {name} is no link to {owner.entity}{hint}")
    elif name in place.into.fields:
        yield place.key("fields", name).problem(f"{name} is set by `owner`; it cannot be mapped too")
    if owner.role is not None:
        spec = place.entity.fields.get("role")
        if spec is None and "role" not in unsure:
            yield place.key("owner", "role").problem(f"owner: {place.entity.name} has no field `role`")
        elif spec is not None and (problem := literal_problem(owner.role, spec, "role")):
            yield place.value("owner", "role").problem(f"owner: {problem}")


def _match(place: IntoPlace) -> Problems:
    into = place.into
    filled = [*into.fields, *into.scope]
    if into.owner is not None:
        filled.append(into.owner.column)
        filled += ["role"] if into.owner.role is not None else []
    able = any(all(name in filled for name in rule.on) for rule in into.match)
    for number, rule in enumerate(into.match):
        for part, names in (("on", rule.on), ("agree", rule.agree), ("unless", rule.unless)):
            if part == "on" and not names:
                yield place.value("match", number).problem("match: a rule needs at least one field")
            for position, name in enumerate(names):
                if name in place.entity.names and name not in filled:
                    message = f"match of {into.label}: {name} is not among its fields, so this rule finds nothing"
                    spot = place.value("match", number, part, position)
                    yield spot.warning(message) if able else spot.problem(message)


def _fixed_values(place: IntoPlace) -> Problems:
    for name, value in place.into.defaults.items():
        spec = place.spec(name)
        if spec is None:
            continue
        if spec.type in ("link", "links"):
            yield place.value("defaults", name).problem(f"defaults: {name} is a link; map it instead")
        elif spec.type == "money":
            yield place.value("defaults", name).problem(f"defaults: {name} needs a currency; map it, with a `default`")
        elif value is None or value == "":
            yield place.key("defaults", name).problem(f"defaults: {name}: which value?")
        elif problem := literal_problem(value, spec, name):
            yield place.value("defaults", name).problem(f"defaults: {problem}")
    for name, values in place.into.scope.items():
        spec = place.spec(name)
        if not values:
            yield place.value("scope", name).problem(f"scope.{name}: expected at least one value")
        for position, value in enumerate(values if spec is not None else ()):
            if spec is not None and (problem := literal_problem(value, spec, name)):
                yield place.value("scope", name, position).problem(f"scope: {problem}")


def _required(place: IntoPlace) -> Problems:
    into = place.into
    if not into.create or place.flow.direction == "out":
        return
    given = {*into.fields, *into.defaults, *([into.owner.column] if into.owner else [])}
    for name, spec in place.entity.fields.items():
        if spec.required and name not in given:
            ways = "map it, give it under `defaults`, or write create: false"
            yield place.node().spot.problem(f"{into.label}: a new {place.entity.name} needs {name}: {ways}")


def _absence(place: IntoPlace) -> Problems:
    system = place.flow.system
    rules = place.entity.masters["archived"].values()
    mastered = not rules or any(rule.kind == "systems" and system in rule.systems for rule in rules)
    if place.into.absent == "archive" and not mastered:
        name = f"{place.entity.name}.archived"
        message = f"absent: archive, but {system} does not master {name}: what is absent is only unlinked"
        yield place.value("absent").warning(message)


def _expectations(place: IntoPlace) -> Problems:
    every = columns_of_entity(place.entity)
    mapped = {*place.into.fields, *place.into.defaults}
    columns = {name: kind for name, kind in every.items() if name in mapped or name.rpartition("_")[0] in mapped}
    for number, entry in enumerate(place.into.expect):
        if len(entry) != 1:
            message = "expect: each entry is one expectation, with its arguments below it"
            yield place.node("expect", number).spot.problem(message)
        for name, arguments in entry.items():
            if name in KNOWN and any(_is_unsure(place, column) for column in columns_named(name, arguments)):
                continue
            for fault in faults_of(name, arguments, columns):
                yield place.key("expect", number, name).problem(f"expect: {fault}")


def _is_unsure(place: IntoPlace, column: str) -> bool:
    return any(name in place.entity.unsure for name in (column, column.rpartition("_")[0]))
