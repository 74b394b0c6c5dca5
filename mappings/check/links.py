"""Links: every `refers` leads to something that a flow fills, by a key of the right shape."""

from __future__ import annotations

from mappings.check.places import IntoPlace, Problems
from mappings.language.derived import by_name, roots
from mappings.language.field import FieldMap, Refers
from mappings.language.file_pattern import FilePattern
from mappings.language.flow import Flow, Into
from mappings.language.spaces import Space, spaces_filled, spaces_referred
from mappings.language.words import did_you_mean, listed

LINKS = ("link", "links")


def check_links(place: IntoPlace, pattern: FilePattern | None) -> Problems:
    filled = spaces_filled(place.project.flows)
    for name, line in place.into.fields.items():
        spec = place.spec(name)
        if spec is None:
            continue
        if spec.type not in LINKS:
            if line.refers is not None:
                message = f"{name}: `refers` belongs to links, and {name} is {spec.type}"
                yield place.key("fields", name, "refers").problem(message)
            continue
        if line.default is not None:
            message = f"{name}: a link has no default; `blank` tells which record an empty cell means"
            yield place.key("fields", name, "default").problem(message)
        refers = line.refers or Refers(entity=spec.to)
        if refers.entity != spec.to:
            if refers.entity in place.project.entities:
                message = f"{name} leads to {spec.to}, not to {refers.entity}"
                yield place.value("fields", name, "refers", "entity").problem(message)
            continue
        if refers.by is not None:
            yield from _by_field(place, name, refers)
        else:
            yield from _by_key(place, name, line, refers, filled, pattern)


def _by_field(place: IntoPlace, name: str, refers: Refers) -> Problems:
    for key, value in (("in", refers.in_), ("ids", refers.ids)):
        if value is not None:
            message = f"{name}: `by` looks in the CRM and `{key}` in a system's ids; one of them is enough"
            yield place.key("fields", name, "refers", key).problem(message)
    target = place.project.entities[refers.entity].fields.get(refers.by or "")
    if target is None:
        return
    spot, spec = place.value("fields", name, "refers", "by"), place.spec(name)
    if target.type in (*LINKS, "choices", "boolean", "money", "quantity"):
        yield spot.problem(f"{name}: a {target.type} cannot be looked up by; choose a field with a value of its own")
    elif spec is not None and spec.type == "links" and target.type not in ("text", "long_text"):
        yield spot.problem(f"{name}: several records are looked up by a text, and {refers.by} is {target.type}")


def _by_key(
    place: IntoPlace, name: str, line: FieldMap, refers: Refers, filled: dict[Space, list[tuple[Flow, Into]]],
    pattern: FilePattern | None,
) -> Problems:
    spot = place.value("fields", name, "refers") if line.refers is not None else place.key("fields", name)
    system = refers.in_ or place.flow.system
    wanted = [space for space in spaces_referred(refers, place.flow, place.project.flows) if space in filled]
    there = [space for space in filled if space.entity == refers.entity]
    if not wanted:
        message = f"{name}: " + _unfilled(refers, system, there)
        yield spot.warning(message) if refers.else_ == "blank" else spot.problem(message)
        return
    if len(wanted) > 1:
        names = listed([space.name for space in wanted], "and")
        message = f"{name}: {system} numbers {refers.entity} in {names}; say which with `ids`, or 17 may be two"
        yield spot.warning(f"{message} {refers.entity} records")
        return
    _, into = filled[wanted[0]][0]
    yield from _shape(place, name, line, into, pattern)


def _unfilled(refers: Refers, system: str, there: list[Space]) -> str:
    here = [space.name for space in there if space.system == system]
    elsewhere = list(dict.fromkeys(space.system for space in there if space.system != system))
    if refers.ids is not None and here:
        hint = did_you_mean(refers.ids, here)
        return f"no flow of {system} fills {refers.entity} in the id space {refers.ids!r}{hint}"
    message = f"no flow of {system} fills {refers.entity}, so " + _MISSED[refers.else_]
    if elsewhere:
        return f"{message}; {listed(elsewhere)} does: refers: {{entity: {refers.entity}, in: {elsewhere[0]}}}"
    return f"{message}; write one, or refer `by` a field"


_MISSED = {"park": "this would wait for ever", "blank": "this stays empty", "reject": "this refuses every row with one"}


def _shape(place: IntoPlace, name: str, line: FieldMap, into: Into, pattern: FilePattern | None) -> Problems:
    """A key of two columns is referred to by two; parts of the file's name need not be said again."""
    open_parts = [part for part in into.key if not by_name(part)]
    given = len(line.join.columns) if line.join is not None else 1
    every = len(into.key)
    if given == every:
        return
    shown = listed([str(part) for part in into.key], "and")
    if given != len(open_parts):
        how = "join: {columns: [" + ", ".join(str(part) for part in open_parts) + "]}"
        hint = f"; give both with {how}" if len(open_parts) == 2 else f"; give them with {how}"
        hint = hint if len(open_parts) > 1 else "; one column is enough"
        message = f"{name}: {into.entity} is known there by {shown}, and this gives {given}{hint}"
        yield place.key("fields", name).problem(message)
        return
    parts = [part.name for part in pattern.parts] if pattern else []
    said = [str(root) for part in into.key if by_name(part) for root in roots(part)]
    lacking = [part for part in said if part[1:] not in parts]
    if lacking:
        none = f"this file's name has no {listed(lacking, 'and')}"
        message = (f"{name}: {into.entity} is known there by {shown}, and {none}; give every part with "
                   f"join: {{columns: […]}}, or refer `by` a field")
        yield place.key("fields", name).problem(message)


