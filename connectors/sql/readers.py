"""Connections that streamed reads take, each its own; one is kept, since a login costs more than a small read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from connectors.sql.session import READER, Connection, dial
from connectors.sql.settings import SqlSettings


class Readers:
    """At most one connection waits here for the next read."""

    def __init__(self, settings: SqlSettings) -> None:
        self._settings = settings
        self._spare: Connection | None = None
        self._closed = False

    @contextmanager
    def one(self) -> Iterator[Connection]:
        """An autocommit connection. A read that failed or was given up takes it along: so it ends on the server too."""
        connection, self._spare = self._spare, None
        if connection is None:
            connection = dial(self._settings, READER, timeout=0)
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        if self._spare is None and not self._closed:
            self._spare = connection
        else:
            connection.close()

    def close(self) -> None:
        """Ends the connection that waits; those that read end with their read."""
        self._closed = True
        if self._spare is not None:
            self._spare.close()
            self._spare = None
