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

from connectors.page import PAGE_ROWS, Notices, Page
from connectors.remote import Key, Position, Resource
from connectors.sql.cells import cells
from connectors.sql.changed import OpenTransactions, next_mark, open_transactions, since_mark
from connectors.sql.readers import Readers
from connectors.sql.relation import Relation
from connectors.sql.session import Connection, Rendered, rendered, told
from connectors.sql.stream import copied
from connectors.sql.tracking import changed_rows, gone_keys, look

Way = Literal["all", "column", "table"]


class SqlSource:
    """`position` stays where the read began until the last page was handed over."""

    def __init__(self, readers: Readers, resource: Resource, relation: Relation, way: Way, since: Position | None
                 ) -> None:
        self._readers, self._resource, self._relation, self._way = readers, resource, relation, way
        self._since = since
        self.columns = tuple(dict.fromkeys([*resource.columns, *([resource.version] if resource.version else [])]))
        self.detected: dict[str, str] = {}
        self.notices: Notices = {}
        self.position = since or Position()
        self.gone: Sequence[Key] = ()

    def pages(self, rows: int = PAGE_ROWS) -> Iterator[Page]:
        """Raises RemoteDown when the connection is lost on the way; the position has not moved then."""
        with told(self._resource.name), self._readers.one() as connection:
            yield from self._pages(connection, rows)

    def _pages(self, connection: Connection, rows: int) -> Iterator[Page]:
        seen = open_transactions(connection) if self._way == "column" else None
        connection.execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        statement: Rendered | None
        gone: list[Key] = []
        if seen is not None:
            statement, position = self._by_column(connection, seen)
        elif self._way == "table":
            statement, position, gone = self._by_table(connection)
        else:
            statement, position = rendered(self._everything()), Position()
        if statement is not None:
            yield from copied(connection, statement, self.columns, rows, self._resource.name)
        connection.execute("COMMIT")
        self.position, self.gone = position, gone

    def _everything(self) -> Select[Any]:
        return select(*cells(self._relation, self.columns)).select_from(self._relation.rows)

    def _by_column(self, connection: Connection, seen: OpenTransactions) -> tuple[Rendered, Position]:
        if seen.hidden:
            self.notices["late_commits"] = {}
        position = next_mark(connection, self._relation, self._resource, seen)
        wanted = since_mark(self._relation, self._resource, self._since) if self._since else None
        return rendered(self._everything() if wanted is None else self._everything().where(wanted)), position

    def _by_table(self, connection: Connection) -> tuple[Rendered | None, Position, list[Key]]:
        """No statement where nothing moved: what most polls find."""
        looked = look(connection, self._relation, self._since)
        if self._since is None or not looked.reaches:
            if self._since is not None:
                self.notices["too_old"] = {}
            return rendered(self._everything()), looked.position, []
        if not looked.moved:
            return None, looked.position, []
        gone = gone_keys(connection, self._relation, self._since)
        return changed_rows(self._relation, self.columns, self._since), looked.position, gone
