"""What a rule of `check` looks at: a flow or one of its intos, with the place of everything written in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mappings.errors import Problem
from mappings.language.entities import Entity
from mappings.language.entity import ENTITY_COLUMNS, FieldSpec
from mappings.language.flow import Flow, Into
from mappings.language.node import Node, Spot, walk
from mappings.language.project import Project

Step = str | int


@dataclass(frozen=True)
class FlowPlace:
    """A flow and the tree it was read from."""

    project: Project
    flow: Flow
    tree: Node

    def key(self, *path: Step) -> Spot:
        """Where the key under `path` stands."""
        return walk(self.tree, path)[1]

    def value(self, *path: Step) -> Spot:
        """Where the value under `path` stands."""
        return walk(self.tree, path)[0].spot

    def node(self, *path: Step) -> Node:
        return walk(self.tree, path)[0]

    def writes(self, *path: Step) -> bool:
        """Whether the mapping itself says something under `path`."""
        return len(walk(self.tree, path)[2]) == len(path)

    def intos(self) -> Iterator[IntoPlace]:
        """The intos whose entity is known, in order."""
        for number, into in enumerate(self.flow.into):
            entity = self.project.entities.get(into.entity)
            if entity is not None:
                node = walk(self.tree, ("into", number))[0]
                yield IntoPlace(self.project, self.flow, node, number, into, entity)


@dataclass(frozen=True)
class IntoPlace(FlowPlace):
    """One into; paths begin below it."""

    number: int
    into: Into
    entity: Entity

    def spec(self, name: str) -> FieldSpec | None:
        """The declaration of a field that a mapping may name; None where there is none that can be relied on."""
        if name in self.entity.fields:
            return self.entity.fields[name]
        if name not in ENTITY_COLUMNS:
            return None
        if name == "archived":
            return FieldSpec(type="boolean")
        values = self.entity.types if name == "type" else self.entity.families
        return FieldSpec(type="choice", values=tuple(values)) if values else FieldSpec()


def flow_places(project: Project) -> Iterator[FlowPlace]:
    for name, flow in project.flows.items():
        yield FlowPlace(project, flow, project.trees[name])


Problems = Iterator[Problem]
