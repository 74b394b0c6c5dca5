"""How values are compared when records are looked for, and the indexes that make it quick."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Index, Table, Text, and_, cast, func
from sqlalchemy.dialects import postgresql

from mappings.language.entity import FieldSpec

Field = tuple[Column[Any], FieldSpec | None]


def match_expression(column: ColumnElement[Any], spec: FieldSpec | None) -> ColumnElement[Any]:
    """What is compared for `column`: folded text, lower-case e-mail, else the canonical value itself.

    Use it on both sides, staging and records; NULL never equals anything. `spec` is None for type and family.
    """
    if spec is None or spec.type not in ("text", "long_text"):
        return column
    if spec.format == "email":
        return func.lower(column, type_=Text)
    if spec.format is not None:
        return column
    if spec.compare == "company":
        return func.crm.fold_company(column, type_=Text)
    return func.crm.fold(column, type_=Text)


def has_value(column: Column[Any], spec: FieldSpec | None, text: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether `column` holds the value that the text of a link by this field names, as match rules compare them."""
    return match_expression(column, spec) == match_expression(cast(text, column.type), spec)


def match_index(table: Table, fields: Sequence[Field]) -> Index:
    """Declare on `table` the index that serves equality on all of `fields`.

    Its name tells the columns and a digest of the rest, so a changed way to compare is another index. Rows without a
    value stay out of it where a column may be empty: `expression = value` implies that the expression is not null, so
    it is still used (of a column that cannot be empty that would cost a second evaluation for each row).
    """
    expressions = [match_expression(column, spec) for column, spec in fields]
    filled = [e.is_not(None) for e, (column, _) in zip(expressions, fields, strict=True) if column.nullable]
    where = and_(*filled) if filled else None
    shown = " ".join(str(e.compile(dialect=postgresql.dialect())) for e in (*expressions, *filled))  # type: ignore[no-untyped-call]
    digest = hashlib.sha256(shown.encode()).hexdigest()[:8]
    name = f"{table.name}_{'_'.join(column.name for column, _ in fields)}"[:54] + f"_{digest}"
    for index in table.indexes:
        if index.name == name:
            return index
    return Index(name, *expressions, postgresql_where=where, _table=table)


def match_rules(project_flows: Iterable[Any], entity: str) -> list[tuple[str, ...]]:
    """The field lists that the flows' match rules, and `refers … by`, look for in `entity`; each once."""
    found: dict[tuple[str, ...], None] = {}
    for flow in project_flows:
        for into in flow.into:
            if into.entity == entity:
                found |= dict.fromkeys(tuple(rule.on) for rule in into.match)
            for field in into.fields.values():
                if field.refers is not None and field.refers.by is not None and field.refers.entity == entity:
                    found[(field.refers.by,)] = None
    return list(found)
