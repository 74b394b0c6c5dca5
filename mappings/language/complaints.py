"""pydantic's findings as Problems: where it stands, what was expected, and the word that was probably meant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from mappings.errors import Problem
from mappings.language.node import Node, Path, Spot, walk
from mappings.language.shapes import describe, keys_of, members, shapes_at, words_of
from mappings.language.words import listed, nearest

Model = TypeVar("Model", bound=BaseModel)
OWN = ("said", "incomplete")
"""Kinds of findings that our own validators word themselves; what is `incomplete` an heir may still complete."""
_LIMITS = {
    "greater_than": "above {gt}", "greater_than_equal": "{ge} or more", "less_than": "below {lt}",
    "less_than_equal": "{le} or less",
}


def read_model(
    model: type[Model], tree: Node, *, ignore: Container[str] = ()
) -> tuple[Model | None, list[Problem]]:
    """The tree as `model`, or None with the problems. `ignore`: kinds of pydantic errors that do not count here."""
    try:
        return model.model_validate(tree.plain(), by_alias=True, by_name=False), []
    except ValidationError as error:
        found = [finding for finding in error.errors(include_url=False) if finding["type"] not in ignore]
        return None, _problems(model, tree, found)


def misfits(model: type[BaseModel], tree: Node) -> list[Path]:
    """The paths of the tree at which it does not fit the model; none where `read_model` finds nothing."""
    try:
        model.model_validate(tree.plain(), by_alias=True, by_name=False)
    except ValidationError as error:
        return [walk(tree, finding["loc"])[2] for finding in error.errors(include_url=False)]
    return []


def pretty(tree: Node, path: Path) -> str:
    """A path for reading: `into.company.fields.siret`; an item of a list goes by its name where it has one."""
    words: list[str] = []
    node = tree
    for step in path:
        if isinstance(step, int):
            node = node.items[step] if step < len(node.items) else node
            name = node.text("name") or node.text("entity")
            if name:
                words.append(name)
            elif words:
                words[-1] += f"[{step + 1}]"
        else:
            words.append(step)
            node = node.get(step) or node
            entity = node.text("entity")
            if step == "into" and entity:  # one into, written without a list
                words.append(node.text("name") or entity)
    return ".".join(words)


def shown(node: Node) -> str:
    """A value for reading; never a secret."""
    value = node.value
    if node.secret:
        return "what the environment gave"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value[:40] + "…" if len(value) > 40 else value) if isinstance(value, str) else str(value)


@dataclass(frozen=True)
class _Finding:
    kind: str
    name: str  # the key that is unknown or missing
    context: dict[str, Any]
    message: str
    node: Node
    spot: Spot
    short: bool  # the unknown key is a word that a short form made a key


def _problems(model: type[BaseModel], tree: Node, errors: list[Any]) -> list[Problem]:
    groups: dict[Path, list[_Finding]] = defaultdict(list)
    for error in errors:
        location, kind = error["loc"], error["type"]
        node, spot, path = walk(tree, location)
        name = str(location[-1]) if location and kind in ("extra_forbidden", "missing") else ""
        short = kind == "extra_forbidden" and len(walk(tree, location[:-1])[2]) == len(path)  # `format: cvs`
        path = (*path, name) if short else path
        groups[path].append(_Finding(kind, name, error.get("ctx") or {}, error["msg"], node, spot, short))
    problems: list[Problem] = []
    for path, findings in groups.items():
        deeper = any(other[: len(path)] == path and len(other) > len(path) for other in groups)
        if deeper and _only_alternatives(model, path, findings):
            continue
        problems += _complain(model, tree, path, findings, groups)
    return problems


def _only_alternatives(model: type[BaseModel], path: Path, findings: list[_Finding]) -> bool:
    """Findings that only say that the other alternatives of a union do not fit; a deeper finding says more."""
    alternatives = sum(1 for shape in shapes_at(model, path) for member in members(shape) if member is not type(None))
    return alternatives > 1 and all(f.kind.endswith("_type") or f.kind == "missing" for f in findings)


def _complain(
    model: type[BaseModel], tree: Node, path: Path, findings: list[_Finding], groups: dict[Path, list[_Finding]]
) -> list[Problem]:
    first = findings[0]
    own = [f for f in findings if f.kind in OWN]
    if own:
        return [f.spot.problem(_at(tree, path, f.message)) for f in own]
    valid = keys_of(shapes_at(model, path[:-1]))
    # What only another form of the value knows is no unknown key; what this form says of it tells more.
    findings = [f for f in findings if f.kind != "extra_forbidden" or f.name not in valid] or findings
    first = findings[0]
    unknown = [f for f in findings if f.kind == "extra_forbidden"]
    if unknown:
        near = _meant(first, valid)
        if near or len(unknown) == len(findings):
            where = pretty(tree, path[:-1])
            hint = f"; did you mean {near!r}?" if near else f"; the keys here are {listed(valid, 'and')}"
            if near and first.name.startswith(near + " ") and first.node.value is None:
                hint = f"; write `{near}: {first.name[len(near) :].strip()}`, with a colon and a space"
            what = "there is no" if first.short else "unknown key"
            message = f"{where + ': ' if where else ''}{what} {first.name!r}{hint}"
            return [(first.node.spot if first.short else first.spot).problem(message)]
    missing = [f for f in findings if f.kind == "missing"]
    if missing and len(missing) == len(findings):
        misspelt = {
            _meant(f, keys_of(shapes_at(model, path)))
            for other, group in groups.items() if other[:-1] == path for f in group if f.kind == "extra_forbidden"
        }
        names = [name for name in dict.fromkeys(f.name for f in missing) if name not in misspelt]
        return [first.spot.problem(_at(tree, path, f"{name!r} is missing")) for name in names]
    spot = first.spot if first.node.value is None else first.node.spot  # what is empty ends on a line below
    return [spot.problem(_at(tree, path, _expected(model, path, first)))]


def _meant(finding: _Finding, valid: list[str]) -> str | None:
    first_word = finding.name.split(" ")[0]
    return first_word if first_word in valid else nearest(finding.name, valid)


def _at(tree: Node, path: Path, message: str) -> str:
    where = pretty(tree, path)
    return f"{where}: {message}" if where else message


def _expected(model: type[BaseModel], path: Path, finding: _Finding) -> str:
    shapes = shapes_at(model, path)
    said = listed(dict.fromkeys(describe(shape) for shape in shapes)) or "another value"
    limit = _LIMITS.get(finding.kind)
    if limit:
        said += ", " + limit.format_map(finding.context)
    if finding.kind == "too_short":
        return "expected at least one"
    value = finding.node.value
    if value is None:
        return f"nothing is written here: expected {said}"
    message = f"expected {said}, not {shown(finding.node)}"
    if isinstance(value, str) and not finding.node.secret:
        near = nearest(value, [word for shape in shapes for word in words_of(shape)])
        message += f"; did you mean {near!r}?" if near else ""
    return message
