"""What was written: a tree of values that know the file, line and column they come from.

::

    Node ── value: text | number | true/false | null
         ├─ value: [Node, …]
         └─ value: {name: Entry(key: Spot, node: Node), …}
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from mappings.errors import Problem

Scalar = str | int | float | bool | None
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a file; line and column count from 1."""

    file: str
    line: int = 1
    column: int = 1

    def problem(self, message: str) -> Problem:
        return Problem(self.file, self.line, self.column, message)

    def warning(self, message: str) -> Problem:
        return Problem(self.file, self.line, self.column, message, "warning")


@dataclass(frozen=True, slots=True)
class Node:
    """One value and where it stands. `secret`: it came from the environment and is never shown."""

    spot: Spot
    value: Scalar | list[Node] | dict[str, Entry]
    secret: bool = field(default=False, compare=False)

    @property
    def entries(self) -> dict[str, Entry]:
        """The entries of a mapping; empty for anything else."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list[Node]:
        """The items of a list; empty for anything else."""
        return self.value if isinstance(self.value, list) else []

    def get(self, name: str) -> Node | None:
        entry = self.entries.get(name)
        return entry.node if entry else None

    def text(self, name: str) -> str | None:
        """The text under `name`, or None where there is none."""
        node = self.get(name)
        return node.value if node and isinstance(node.value, str) else None

    def plain(self) -> Any:
        """The same as ordinary Python values."""
        if isinstance(self.value, dict):
            return {name: entry.node.plain() for name, entry in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value

    def with_entries(self, entries: dict[str, Entry]) -> Node:
        return replace(self, value=entries)


@dataclass(frozen=True, slots=True)
class Entry:
    key: Spot
    node: Node


def without(node: Node, paths: Collection[Path]) -> Node:
    """The mapping without the entries at these paths."""
    kept: dict[str, Entry] = {}
    for name, entry in node.entries.items():
        below = [path[1:] for path in paths if path[:1] == (name,)]
        if () not in below:
            kept[name] = Entry(entry.key, without(entry.node, below)) if below else entry
    return node.with_entries(kept)


def walk(node: Node, path: Iterable[str | int]) -> tuple[Node, Spot, Path]:
    """The deepest value that `path` reaches, the place of its key, and the part of the path that led there.

    Steps that the tree does not have are passed over: a model knows more steps than the file where a short form was
    written (`name: CT_INTITULE` for `name: {from: CT_INTITULE}`).
    """
    key, taken = node.spot, list[str | int]()
    for step in path:
        entry = node.entries.get(str(step))
        if entry is not None:
            node, key = entry.node, entry.key
        elif isinstance(step, int) and step < len(node.items):
            node = node.items[step]
            key = node.spot
        else:
            continue
        taken.append(step)
    return node, key, tuple(taken)
