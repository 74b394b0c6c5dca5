"""What a resource is made of: the columns of a table, a view or a query, their types, and what may be done with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

import psycopg
from psycopg import pq
from sqlalchemy import FromClause, TableClause, column, select, table, text

from connectors.remote import Resource
from connectors.sql.faults import statement_fault
from connectors.sql.session import Connection, run, told
from connectors.sql.statements import statements
from mappings.errors import ConfigurationError

_INSERT, _UPDATE, _DELETE = 8, 4, 16
_ROWS_HAVE_XMIN = ("r", "p", "m")
_CATALOG = "catalog.sql"


@dataclass(frozen=True)
class Field:
    """A column. Its type is the one at bottom of a domain; `element`: of an array; `filled`: it refuses null."""

    name: str
    schema: str
    type: str
    category: str  # as in pg_type: S text, A array, B boolean, D date and time …
    kind: str  # as in pg_type: b base, c composite, e enum …
    element: str | None = None
    filled: bool = False

    def is_a(self, *names: str) -> bool:
        """Whether its type is one of PostgreSQL's own of these names."""
        return self.schema == "pg_catalog" and self.type in names

    @property
    def is_text(self) -> bool:
        return self.category == "S"

    @property
    def is_binary(self) -> bool:
        return self.is_a("bytea") or self.element == "bytea"


@dataclass(frozen=True, eq=False)
class Relation:
    """A table, view or query, as it was when it was described (another one is another relation, whatever it holds).

    `name`: schema.table; `rows`: what to select from; `target`: what may be written to.
    """

    name: str
    rows: FromClause
    fields: Mapping[str, Field]
    key: tuple[str, ...] = ()
    target: TableClause | None = None
    kind: str = ""  # as in pg_class: r table, v view …; '' for a query
    can: frozenset[str] = frozenset()  # create, update, delete

    def field(self, name: str) -> Field:
        """Raises ConfigurationError when there is no such column."""
        found = self.fields.get(name)
        if found is not None:
            return found
        near = get_close_matches(name, self.fields, 1)
        raise ConfigurationError(
            f"there is no column {name}", where=self.name,
            todo=f"did you mean {near[0]}?" if near else f"it has {', '.join(list(self.fields)[:20])}",
        )

    def cells_of(self, names: Iterable[str]) -> None:
        """Raises ConfigurationError for a column that is not there, or whose bytes are no text."""
        for name in names:
            if self.field(name).is_binary:
                raise ConfigurationError(
                    f"column {name} is bytea: bytes are no text cell", where=self.name,
                    todo="leave it out, or name a query that encodes it: encode(column, 'base64')",
                )

    def keyed(self) -> tuple[Field, ...]:
        """The fields of the key; raises ConfigurationError where the resource has none."""
        if not self.key:
            raise ConfigurationError("the resource has no key", where=self.name, todo="name its key columns")
        return tuple(self.field(name) for name in self.key)


def parts_of(name: str, schema: str) -> tuple[str, str]:
    """(schema, table) of `table` or `schema.table`."""
    before, dot, after = name.partition(".")
    return (before, after) if dot else (schema, name)


def describe(connection: Connection, resource: Resource, schema: str) -> Relation:
    """Raises ConfigurationError when the resource, or a column that it names, is not there or cannot be a cell."""
    with told(resource.name):
        found = _query(connection, resource) if resource.query is not None else _table(connection, resource, schema)
    wanted = [*resource.key, *resource.columns]
    wanted += [name for name in (resource.changed, resource.version, resource.reference) if name]
    found.cells_of(wanted)
    return found


def _table(connection: Connection, resource: Resource, schema: str) -> Relation:
    within, name = parts_of(resource.name, schema)
    given = {"schema": within, "name": name}
    row = connection.execute(statements(_CATALOG)["relation"], given).fetchone()
    if row is None:
        raise ConfigurationError(
            f"there is no table or view {within}.{name}", where=resource.name,
            todo="write schema.table, and see that the login may see it",
        )
    oid, kind, updatable, *allowed = row
    attributes = connection.execute(statements(_CATALOG)["attributes"], {"oid": oid}).fetchall()
    fields = _fields(connection, attributes)
    if kind in _ROWS_HAVE_XMIN:
        fields.setdefault("xmin", Field("xmin", "pg_catalog", "xid", "U", "b", filled=True))
    target = table(name, *[column(one) for one in fields], schema=within)
    bits = (("create", _INSERT), ("update", _UPDATE), ("delete", _DELETE))
    can = frozenset(word for (word, bit), may in zip(bits, allowed, strict=True) if may and updatable & bit)
    return Relation(f"{within}.{name}", target, fields, resource.key, target, kind, can)


def _query(connection: Connection, resource: Resource) -> Relation:
    """A query is described by the server, which parses it as one statement, then tried as a subquery."""
    query = str(resource.query)
    if query.rstrip().endswith(";"):
        raise _no_query(resource, "it ends with a semicolon")
    with connection.transaction():
        made = connection.pgconn.prepare(b"", query.encode())
        if made.status != pq.ExecStatus.COMMAND_OK:
            message = made.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b""
            raise _no_query(resource, message.decode(errors="replace"))
        shape = connection.pgconn.describe_prepared(b"")
    names = [(shape.fname(place) or b"").decode() for place in range(shape.nfields)]
    if not names:
        raise _no_query(resource, "it returns no columns")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigurationError(
            f"the query has two columns {twice}", where=resource.name, todo="name each by AS")
    fields = _fields(connection, [(name, shape.ftype(place), False) for place, name in enumerate(names)])
    # a colon would be a parameter of SQLAlchemy's; the line break ends a comment that the query may end with
    rows = text(f"\n{query.replace(':', chr(92) + ':')}\n").columns(*[column(name) for name in names]).subquery("read")
    try:
        with read_only(connection):
            run(connection, select(rows).limit(0))
    except psycopg.Error as error:
        if error.sqlstate and error.sqlstate.startswith("42601"):
            raise _no_query(resource, str(error.diag.message_primary)) from error
        raise statement_fault(error, resource.name) from error
    return Relation(resource.name, rows, fields, resource.key)


class read_only:  # noqa: N801 - used as a statement
    """A transaction in which nothing can be written, on an autocommit connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def __enter__(self) -> None:
        self.connection.execute("BEGIN TRANSACTION READ ONLY")

    def __exit__(self, *_: object) -> None:
        if not self.connection.closed:
            self.connection.execute("ROLLBACK")


def _no_query(resource: Resource, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"the query is not one SELECT that can stand in parentheses: {why}", where=resource.name,
        todo="write a single SELECT without a semicolon",
    )


def _fields(connection: Connection, attributes: list[tuple[str, int, bool]]) -> dict[str, Field]:
    oids = [oid for _, oid, _ in attributes]
    types = connection.execute(statements(_CATALOG)["types"], {"oids": oids}).fetchall()
    return {
        name: Field(name, schema, type_, category, kind, element, filled or always)
        for (name, _, filled), (schema, type_, category, kind, element, always) in zip(attributes, types, strict=True)
    }
