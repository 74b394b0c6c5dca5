"""Columns as text cells, and text cells as values of a column's type; both by the server, in sets.

::

    boolean true false     float 1e-07 ─▶ 0.0000001     timestamptz 2026-01-05T08:30:00+00:00 (the session is in UTC)
    timestamp, date ISO    array, composite, json ─▶ JSON text     everything else as the server prints it
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Numeric, Text, bindparam, case, cast, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.selectable import TableValuedAlias
from sqlalchemy.types import UserDefinedType

from connectors.sql.relation import Field, Relation
from connectors.sql.session import DIALECT
from mappings.errors import ConfigurationError

own = func.pg_catalog
"""PostgreSQL's own functions: one of the same name in the other system's schemas is never meant."""


class Named(UserDefinedType[Any]):
    """A type by its schema and name in the catalog, without length: those are for the column to hold to."""

    cache_ok = True

    def __init__(self, schema: str, name: str) -> None:
        self.schema, self.name = schema, name

    def get_col_spec(self, **_: Any) -> str:
        quoted = DIALECT.identifier_preparer.quote_identifier
        return f"{quoted(self.schema)}.{quoted(self.name)}"


XID8, XID, SNAPSHOT, INTERVAL = (Named("pg_catalog", name) for name in ("xid8", "xid", "pg_snapshot", "interval"))


def cell(value: ColumnElement[Any], field: Field) -> ColumnElement[Any]:
    """The text of a value; null stays null."""
    if field.is_a("date", "timestamp", "timestamptz"):
        return own.btrim(cast(own.to_json(value), Text), '"')
    if field.is_a("float4", "float8"):
        return cast(cast(cast(value, Text), Numeric), Text)  # by way of text: the shortest that is exact, no exponent
    if field.is_a("money"):
        return cast(cast(value, Numeric), Text)
    if field.category == "A" or field.kind == "c":
        return cast(own.to_json(value), Text)
    return cast(value, Text)


def cells(relation: Relation, names: tuple[str, ...]) -> list[ColumnElement[Any]]:
    """The cells of these columns, labelled by place (names of other systems may be too long for a label)."""
    return [cell(relation.rows.c[name], relation.field(name)).label(f"c{at}") for at, name in enumerate(names)]


def value(given: ColumnElement[Any], field: Field) -> ColumnElement[Any]:
    """A text cell as a value of the field's type: '' is null, but stays '' in a text column that refuses null."""
    if field.is_binary:
        raise ConfigurationError(f"column {field.name} is bytea: a text cell cannot be written there",
                                 todo="leave it out of the mapping")
    text = given if field.is_text and field.filled else func.nullif(given, "")  # grammar, no function: has no schema
    if field.is_a("money"):
        return cast(cast(text, Numeric), Named(field.schema, field.type))
    if field.category == "A" and field.element is not None:
        item = own.jsonb_array_elements_text(cast(text, JSONB)).column_valued("item")
        items = func.array(select(item).scalar_subquery())
        return case((text.is_(None), None), else_=cast(items, Named(field.schema, field.type)))
    return cast(text, Named(field.schema, field.type))


def given_rows(columns: list[list[str | None]]) -> TableValuedAlias:
    """Rows made of text arrays, one for each column: c0, c1 …, and `place` from 1."""
    arrays = [bindparam(None, values, ARRAY(Text), unique=True) for values in columns]
    names = [f"c{at}" for at in range(len(columns))]
    # of several arrays it is grammar, no function: it has no schema
    return func.unnest(*arrays).table_valued(*names, with_ordinality="place").render_derived(name="given")
