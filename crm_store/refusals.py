"""Changes that could lose data: counted in the store, told with their place in the file and a way out."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import ColumnElement, Connection, column, func, select, table

from mappings.errors import Problem
from mappings.language.entities import Entity
from mappings.language.node import walk


class Refusals:
    """Collects Problems, one for each entity and field (records and crosswalk would tell the same twice)."""

    def __init__(self, connection: Connection, entities: Mapping[str, Entity]) -> None:
        self._connection, self._entities = connection, entities
        self._told: set[tuple[str, str]] = set()
        self.problems: list[Problem] = []

    def add(self, entity: str, field: str, message: str, todo: str) -> None:
        """Refuse; the place is the field's line where the file still has one."""
        if (entity, field) in self._told:
            return
        self._told.add((entity, field))
        told, tree = f"{message}; {todo}", self._entities[entity].tree if entity in self._entities else None
        if tree is None:
            self.problems.append(Problem(f"mappings/entities/{entity}.yaml", 1, 1, told))
        else:
            self.problems.append(walk(tree, ("fields", field))[1].problem(told))

    def count(self, schema: str, name: str, where: ColumnElement[bool] | None = None) -> int:
        """Rows of a table (that fulfil `where`)."""
        statement = select(func.count()).select_from(table(name, schema=schema))
        return self._connection.execute(statement if where is None else statement.where(where)).scalar_one()

    def filled(self, schema: str, name: str, of: str) -> int:
        """Rows of a table with a value in column `of`."""
        return self.count(schema, name, column(of).is_not(None))

    def longest(self, schema: str, name: str, of: str) -> int:
        """The characters of the longest text in column `of`; 0 without any."""
        longest = func.coalesce(func.max(func.char_length(column(of))), 0)
        return self._connection.execute(select(longest).select_from(table(name, schema=schema))).scalar_one()
