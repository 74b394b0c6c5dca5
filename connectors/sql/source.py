"""A read under way: everything, or what changed since, in one snapshot and on a connection of its own.

::

    since     changed column    change table        pages hold                      then: position
    None      -                 -                   everything                      {}
    None      named             -                   everything                      the mark (changed.py)
    None      -                 made                everything                      the snapshot (tracking.py)
    mark      named             -                   from the mark less overlap      the mark
    snapshot  -                 made                what it recorded since, gone    the snapshot
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from sqlalchemy import Select, select

from connectors.page import PAGE_ROWS, Page
from connectors.remote import Key, Position, Resource
from connectors.sql.cells import cells
from connectors.sql.changed import next_mark, open_transactions, since_mark
from connectors.sql.readers import Readers
from connectors.sql.relation import Relation
from connectors.sql.session import Connection, told
from connectors.sql.stream import copied
from connectors.sql.tracking import changed_rows, gone_keys, reaches, snapshot

Way = Literal["all", "column", "table"]
_HIDDEN = "sessions of others are hidden: only overlap catches late commits (docs/systems.md, late commits)"

_TOO_OLD = "the position is older than what it holds: everything was read"


class SqlSource:
    """`position` stays where the read began until the last page was handed over."""

    def __init__(self, readers: Readers, resource: Resource, relation: Relation, way: Way, since: Position | None
                 ) -> None:
        self._readers, self._resource, self._relation, self._way = readers, resource, relation, way
        self._since = since
        self.columns = tuple(dict.fromkeys([*resource.columns, *([resource.version] if resource.version else [])]))
        self.detected: dict[str, str] = {}
        self.position = since or Position()
        self.gone: Sequence[Key] = ()

    def pages(self, rows: int = PAGE_ROWS) -> Iterator[Page]:
        """Raises RemoteDown when the connection is lost on the way; the position has not moved then."""
        with told(self._resource.name), self._readers.one() as connection:
            yield from self._pages(connection, rows)

    def _pages(self, connection: Connection, rows: int) -> Iterator[Page]:
        relation, resource, since = self._relation, self._resource, self._since
        seen = open_transactions(connection) if self._way == "column" else None
        connection.execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        position, gone = Position(), list[Key]()
        statement: Select[Any] = select(*cells(relation, self.columns)).select_from(relation.rows)
        if seen is not None:
            position = next_mark(connection, relation, resource, seen)
            wanted = since_mark(relation, resource, since) if since else None
            statement = statement if wanted is None else statement.where(wanted)
            if seen.hidden:
                self.detected["late commits"] = _HIDDEN
        elif self._way == "table":
            position = snapshot(connection)
            if since is not None and reaches(connection, relation, since):
                statement = changed_rows(relation, self.columns, since)
                gone = gone_keys(connection, relation, since)
            elif since is not None:
                self.detected["change table"] = _TOO_OLD
        yield from copied(connection, statement, self.columns, rows, resource.name)
        connection.execute("COMMIT")
        self.position, self.gone = position, gone
