"""`${VAR}` and `${VAR:-default}` in systems.yaml, filled from the environment; what is filled in is never shown."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mappings.errors import Problem
from mappings.language.node import Entry, Node

_REFERENCE = re.compile(r"\$?\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|\$\{(?P<broken>[^}]*)\}?")


def interpolate(node: Node, env: Mapping[str, str]) -> tuple[Node, list[Problem]]:
    """The tree with every reference replaced; `$${…}` stays as `${…}`. A variable that is not set is a problem."""
    problems: list[Problem] = []

    def visit(here: Node) -> Node:
        if isinstance(here.value, dict):
            return here.with_entries({name: Entry(e.key, visit(e.node)) for name, e in here.value.items()})
        if isinstance(here.value, list):
            return Node(here.spot, [visit(item) for item in here.value])
        if not isinstance(here.value, str) or "${" not in here.value:
            return here

        def fill(match: re.Match[str]) -> str:
            if match.group().startswith("$$"):
                return match.group()[1:]
            if match["broken"] is not None:
                problems.append(here.spot.problem("expected ${NAME} or ${NAME:-default}; $${ for a plain ${"))
                return ""
            if match["name"] in env:
                return env[match["name"]]
            if match["default"] is None:
                name = match["name"]
                message = f"the environment variable {name} is not set; set it, or give a default: ${{{name}:-…}}"
                problems.append(here.spot.problem(message))
            return match["default"] or ""

        return Node(here.spot, _REFERENCE.sub(fill, here.value), secret=True)

    return visit(node), problems
