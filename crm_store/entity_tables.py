"""Entities compiled to tables: the records in schema `crm`, the crosswalk with its typed base in `sync`.

::

    crm.company                              sync.crosswalk_company
    id ◀───────────────────────────────────  record_id
    type, family, archived_at                id_space, key, feed             who knows it, under which key
    name, credit_limit, credit_limit_currency b_name, b_credit_limit, …      values at the last agreement
    created_at, updated_at, version          base_set ──▶ sync.field_set     which fields have a base
                                             remote                          what the remote stored otherwise
                                             pending                         fields that it still has to receive
                                             sent                            fields it received, not read again yet
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import TypeEngine

from mappings.language.entities import SECOND_COLUMN, Entity
from mappings.language.entity import FieldSpec
from mappings.words import FieldType

DIGITS = 28
"""Precision of decimal, money and quantity: what decode's decimal128(28, scale) holds."""

RECORD_COLUMNS = ("id", "type", "family", "archived_at", "created_at", "updated_at", "version")
"""What every record has before its own fields. Only type, family and archived_at may be written by CRM roles."""

_TYPES: dict[FieldType, type[TypeEngine[Any]]] = {
    "text": Text, "long_text": Text, "choice": Text, "url": Text, "file": Text, "number": BigInteger, "date": Date,
    "boolean": Boolean, "link": BigInteger,
}  # fmt: skip


@dataclass(frozen=True)
class EntityTables:
    """The tables of all entities, by entity name; all in `metadata`. Ids come from the sequence crm.record_id."""

    metadata: MetaData
    record: dict[str, Table]
    crosswalk: dict[str, Table]


def columns_of(name: str, spec: FieldSpec) -> list[Column[Any]]:
    """The store columns of one field: one, or two for money (NAME, NAME_currency) and quantity (NAME, NAME_unit)."""
    first: Column[Any] = Column(name, _type(spec), nullable=not spec.required)
    second = SECOND_COLUMN.get(spec.type)
    return [first, Column(f"{name}_{second}", Text)] if second else [first]


def compile_entities(entities: Mapping[str, Entity]) -> EntityTables:
    """Tables for `entities`; pure, nothing is asked of or done to a server."""
    metadata = MetaData()
    record, crosswalk = {}, {}
    for name, entity in entities.items():
        record[name] = _record_table(metadata, entity)
        crosswalk[name] = _crosswalk_table(metadata, entity)
    return EntityTables(metadata, record, crosswalk)


def shortened(name: str) -> str:
    """A name PostgreSQL keeps whole: at most 63 bytes, told apart by a digest where it had to be cut."""
    return name if len(name) <= 63 else f"{name[:54]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _type(spec: FieldSpec) -> TypeEngine[Any]:
    if spec.type in ("decimal", "money", "quantity"):
        return Numeric(DIGITS, spec.scale)
    if spec.type == "datetime":
        return DateTime(timezone=True)
    if spec.type == "choices":
        return ARRAY(Text)
    if spec.type == "links":
        return ARRAY(BigInteger)
    return _TYPES[spec.type]()


def _record_table(metadata: MetaData, entity: Entity) -> Table:
    now, first_type = text("now()"), entity.types[0] if entity.types else None
    table = Table(
        entity.name, metadata,
        Column("id", BigInteger, primary_key=True, server_default=text("nextval('crm.record_id'::regclass)")),
        Column("type", Text, nullable=first_type is None, server_default=first_type),
        Column("family", Text),
        Column("archived_at", DateTime(timezone=True)),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=now),
        Column("updated_at", DateTime(timezone=True), nullable=False, server_default=now),
        Column("version", BigInteger, nullable=False, server_default=text("1")),
        schema="crm",
    )
    _one_of(table, "type", entity.types)
    _one_of(table, "family", entity.families)
    for name, spec in entity.fields.items():
        for column in columns_of(name, spec):
            table.append_column(column)
        _rules(table, name, spec)
    return table


def _rules(table: Table, name: str, spec: FieldSpec) -> None:
    """Constraints and indexes of one field."""
    column = table.c[name]
    if spec.type == "choice":
        _one_of(table, name, spec.values)
    elif spec.type == "choices":
        listed = ", ".join(_quoted(value) for value in spec.values)
        _check(table, name, "known", f'"{name}" <@ ARRAY[{listed}]::text[]', listed)
    elif spec.type == "link":
        table.append_constraint(
            ForeignKeyConstraint(
                [name], [f"crm.{spec.to}.id"], name=shortened(f"{table.name}_{name}_link"), ondelete="RESTRICT",
                deferrable=True, initially="IMMEDIATE", use_alter=True,  # entities link to each other in circles
            )
        )
    if spec.type in ("choices", "links"):
        _check(table, name, "set", f'crm.is_set("{name}")', "sorted, distinct")
    if spec.max is not None:
        _check(table, name, "length", f'char_length("{name}") <= {spec.max}', str(spec.max))
    if spec.type == "link" or spec.index:
        # As applications look for it, the beginning of a text included; match rules have their own.
        kind, by_text = ("link", {}) if spec.type == "link" else ("index", {name: "text_pattern_ops"})
        Index(shortened(f"{table.name}_{name}_{kind}"), column, postgresql_where=text(f'"{name}" IS NOT NULL'),
              postgresql_ops=by_text if isinstance(column.type, Text) else {})


def _one_of(table: Table, column: str, values: tuple[str, ...]) -> None:
    if values:
        listed = ", ".join(_quoted(value) for value in values)
        _check(table, column, "known", f'"{column}" IN ({listed})', listed)


def _check(table: Table, column: str, what: str, rule: str, told: str) -> None:
    """A CHECK whose comment holds what it allows, so that a migration can tell that it changed; its `info` has the
    field, and what is checked of it."""
    name, info = shortened(f"{table.name}_{column}_{what}"), {"field": column, "what": what}
    table.append_constraint(CheckConstraint(literal_column(rule, Boolean), name=name, comment=told, info=info))


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''")+ "'"


def _crosswalk_table(metadata: MetaData, entity: Entity) -> Table:
    based = [column for name, spec in entity.fields.items() for column in columns_of(name, spec)]
    return Table(
        f"crosswalk_{entity.name}", metadata,
        Column("id_space", Integer, primary_key=True, autoincrement=False),
        Column("key", Text(collation="C"), primary_key=True),
        Column("feed", Integer, primary_key=True, autoincrement=False),
        Column("record_id", BigInteger, nullable=False),
        Column("is_primary", Boolean, nullable=False, server_default=text("true")),
        Column("mark", BigInteger),
        Column("fingerprint", BigInteger),
        Column("run_id", BigInteger),
        Column("row_no", BigInteger),
        Column("linked_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
        Column("absent_since", DateTime(timezone=True)),
        Column("base_set", Integer),
        Column("b_type", Text),
        Column("b_family", Text),
        Column("b_archived", Boolean),
        *[Column(f"b_{column.name}", column.type) for column in based],
        Column("remote", JSONB),
        Column("pending", ARRAY(Text)),
        Column("sent", ARRAY(Text)),
        Index(shortened(f"crosswalk_{entity.name}_record"), "record_id"),
        schema="sync",
    )
