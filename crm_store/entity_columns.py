"""The entities' columns, compared by Alembic with those in the store; each difference is done or refused."""

from __future__ import annotations

from typing import Any

from alembic.autogenerate import produce_migrations
from alembic.migration import MigrationContext
from alembic.operations import Operations, ops
from sqlalchemy import Column, Connection, Numeric, column, func
from sqlalchemy.types import TypeEngine

from crm_store.entity_tables import EntityTables
from crm_store.refusals import Refusals

_CROSSWALK = "crosswalk_"


class ColumnChanges:
    """One comparison of all entities' tables; `bring` does what adds, and refuses the rest."""

    def __init__(self, connection: Connection, tables: EntityTables, refusals: Refusals) -> None:
        self._tables, self._refusals, self._done = tables, refusals, list[str]()
        self._context = MigrationContext.configure(
            connection,
            opts={
                "target_metadata": tables.metadata, "include_schemas": True, "include_name": self._is_ours,
                "include_object": _is_compared, "compare_type": True,
                "compare_server_default": _default_differs,
            },
        )
        self._operations = Operations(self._context)

    def bring(self) -> list[str]:
        """One line for each change of a record's table; its crosswalk changes along without a word."""
        script = produce_migrations(self._context, self._tables.metadata)
        for operation in script.upgrade_ops.ops if script.upgrade_ops else ():
            if isinstance(operation, ops.ModifyTableOps):
                for part in operation.ops:
                    self._alter(str(operation.schema), operation.table_name, part)
        return self._done

    def _is_ours(self, name: str | None, kind: str, parents: Any) -> bool:
        if kind == "schema":
            return name in ("crm", "sync")
        if kind != "table":
            return True
        entity = str(name).removeprefix(_CROSSWALK)
        return entity in self._tables.record and (parents["schema_name"] == "sync") == str(name).startswith(_CROSSWALK)

    def _alter(self, schema: str, table: str, part: ops.MigrateOperation) -> None:
        if isinstance(part, ops.AddColumnOp):
            allowed, told = self._may_add(schema, table, part.column), f"new column {part.column.name}"
        elif isinstance(part, ops.DropColumnOp):
            allowed, told = self._may_drop(schema, table, part.column_name), f"empty column {part.column_name} dropped"
        elif isinstance(part, ops.AlterColumnOp):
            allowed, told = self._may_change(schema, table, part), f"column {part.column_name} changed"
        else:  # foreign keys of links: neither way loses anything
            allowed, told = True, "link changed"
        if allowed:
            self._operations.invoke(part)
            self._tell(schema, table, told)

    def _tell(self, schema: str, table: str, told: str) -> None:
        if schema == "crm":
            self._done.append(f"{table}: {told}")

    def _may_add(self, schema: str, table: str, new: Column[Any]) -> bool:
        rows = 0 if new.nullable else self._refusals.count(schema, table)
        if rows:
            self._refusals.add(
                table, str(new.name),
                f"{table}.{new.name} is new and required, but {rows} records have no value for it",
                "declare it without `required`, fill it, then require it",
            )
        return not rows

    def _may_drop(self, schema: str, table: str, name: str) -> bool:
        if schema == "sync":
            return True  # what was last agreed on a field that no record has a value in
        entity, field = _named(schema, table, name)
        rows = self._refusals.filled(schema, table, name)
        if rows:
            self._refusals.add(
                entity, field, f"{entity}.{field} is no longer declared, but {_rows(schema, rows)} have a value in it",
                "keep it (to rename it, add the new field beside it, copy the values and clear the old one)",
            )
        return not rows

    def _may_change(self, schema: str, table: str, part: ops.AlterColumnOp) -> bool:
        entity, field = _named(schema, table, part.column_name)
        was, wanted = part.existing_type, part.modify_type
        if isinstance(was, Numeric) and isinstance(wanted, Numeric):
            too_long = func.scale(func.trim_scale(column(part.column_name))) > (wanted.scale or 0)
            rows = self._refusals.count(schema, table, too_long)
            if rows:
                self._refusals.add(
                    entity, field, f"{entity}.{field}: {_rows(schema, rows)} have more than {wanted.scale} decimals",
                    "keep the scale, or round those values first",
                )
                return False
        elif wanted is not None:
            return self._remake(schema, table, part.column_name, was, wanted)
        if part.modify_nullable is False:
            rows = self._refusals.count(schema, table, column(part.column_name).is_(None))
            if rows:
                self._refusals.add(
                    entity, field, f"{entity}.{field} is now required, but {_rows(schema, rows)} have no value in it",
                    "fill them first, or leave out `required`",
                )
                return False
        return True

    def _remake(self, schema: str, table: str, name: str, was: Any, wanted: TypeEngine[Any]) -> bool:
        """A column of another type: the empty one is dropped and made anew (always False: there is no more to do)."""
        entity, field = _named(schema, table, name)
        # Of the base nothing is lost: it goes where no record has a value in the field.
        rows, dialect = self._refusals.filled(schema, table, name) if schema == "crm" else 0, self._context.dialect
        if rows:
            types = f"from {was.compile(dialect)} to {wanted.compile(dialect)}"
            self._refusals.add(
                entity, field,
                f"{entity}.{field} changes its type {types}, but {_rows(schema, rows)} have a value in it",
                "add a field of the new type beside it, copy the values and clear the old one",
            )
            return False
        new = (self._tables.record if schema == "crm" else self._tables.crosswalk)[entity].c[name]._copy()
        if self._may_add(schema, table, new):
            self._operations.drop_column(table, name, schema=schema)
            self._operations.add_column(table, new, schema=schema)
            self._tell(schema, table, f"empty column {name} made anew")
        return False


def _default_differs(_context: Any, _inspected: Any, wanted: Column[Any], *_defaults: Any) -> bool | None:
    """None leaves the comparison to Alembic, which takes a sequence of our own for a change each time."""
    return False if wanted.name == "id" else None


def _is_compared(_object: Any, _name: str | None, kind: str, _reflected: bool, _to: Any) -> bool:
    return kind not in ("index", "unique_constraint")  # compared by name in crm_store.entity_rules


def _named(schema: str, table: str, name: str) -> tuple[str, str]:
    """Entity and field that a column belongs to."""
    return (table.removeprefix(_CROSSWALK), name.removeprefix("b_")) if schema == "sync" else (table, name)


def _rows(schema: str, rows: int) -> str:
    return f"{rows} {'records' if schema == 'crm' else 'crosswalk entries'}"
