"""The port filled for PostgreSQL: one connection for short calls, one that listens, one for each streamed read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic

import psycopg

from connectors.page import Page
from connectors.remote import Capabilities, Change, Key, Known, Operation, Position, Receipt, RemoteSource, Resource
from connectors.sql import lookup, preparing, tracking
from connectors.sql.batch import filled
from connectors.sql.changed import stamp_field
from connectors.sql.readers import Readers
from connectors.sql.relation import Relation, describe
from connectors.sql.session import Connection, dial, told
from connectors.sql.settings import Archived, SqlSettings
from connectors.sql.source import SqlSource, Way
from connectors.sql.write import written
from mappings.errors import ConfigurationError

BATCH = 1_000
_NOT_AS_KNOWN = "42"  # SQLSTATE class: a column went, a type or a right changed since it was looked at
_UNTOLD_TABLE = ("name its column with the time of change (read.changed_since), let navette system prepare install a"
                 " change table, or read everything: each time with read.full: true, now with navette run FLOW --full")
_UNTOLD_QUERY = ("name its column with the time of change (read.changed_since), or read everything: each time with"
                 " read.full: true, now with navette run FLOW --full")
OPERATIONS: tuple[Operation, ...] = ("create", "update", "archive", "delete")


class SqlRemote:
    """A session with one PostgreSQL database. Not for several threads at once."""

    def __init__(self, settings: SqlSettings) -> None:
        self._settings = settings
        self._relations: dict[Resource, Relation] = {}
        self._tracked: set[Relation] = set()
        self._ears: dict[str, Connection] = {}
        self._readers = Readers(settings)
        self._work: Connection | None = dial(settings)

    def capabilities(self, resource: Resource) -> Capabilities:
        """Raises ConfigurationError when the resource, or a column that it names, is not there."""
        self._relations.pop(resource, None)  # asked before anything is planned: look anew
        relation = self._relation(resource)
        with self._told(resource):
            listens = tracking.is_tracked(self._connection(), relation)
        can = {operation: self._can(resource, relation, operation) for operation in OPERATIONS}
        versions = resource.version is not None and relation.target is not None
        return Capabilities(create=can["create"], update=can["update"], archive=can["archive"], delete=can["delete"],
                            batch=BATCH, whole_batch=True, versions=versions, compares=relation.target is not None,
                            listens=listens)

    def _can(self, resource: Resource, relation: Relation, operation: Operation) -> bool:
        """An archive is an update of the column that the settings name; every change but a create needs a key."""
        if operation == "create":
            return operation in relation.can
        if operation == "archive" and self._archived(resource) is None:
            return False
        return bool(relation.key) and ("delete" if operation == "delete" else "update") in relation.can

    def read(self, resource: Resource, since: Position | None, known: Known | None = None  # noqa: ARG002 - as the port
             ) -> RemoteSource:
        """Everything, or what changed since; raises ConfigurationError when nothing tells what changed."""
        relation = self._relation(resource)
        way: Way = "all"
        if resource.changed is not None:
            stamp_field(relation, resource)
            way = "column"
        else:
            with self._told(resource):
                tracked = tracking.is_tracked(self._connection(), relation, there=relation in self._tracked)
            if tracked:
                self._tracked.add(relation)
            way = "table" if tracked else "all"
        if way == "all" and since is not None:
            raise ConfigurationError("nothing tells what changed since the last read", where=resource.name,
                                     todo=_UNTOLD_TABLE if resource.query is None else _UNTOLD_QUERY)
        return SqlSource(self._readers, resource, relation, way, since)

    def fetch(self, resource: Resource, keys: Sequence[Key]) -> Page:
        """The rows with these keys as they are now."""
        relation = self._relation(resource)
        relation.keyed()
        with self._told(resource):
            return lookup.fetched(self._connection(), relation, self._columns(resource), keys)

    def find(self, resource: Resource, where: Mapping[str, str], limit: int = 20) -> Page:
        """The rows in which each of these columns has this value; '' is null or empty."""
        relation = self._relation(resource)
        relation.cells_of(where)
        with self._told(resource):
            return lookup.found(self._connection(), relation, self._columns(resource), where, limit)

    def write(self, resource: Resource, changes: Sequence[Change]) -> list[Receipt]:
        """At most BATCH changes of one operation, in one transaction; a refused batch wrote nothing.

        Raises ConfigurationError (a column that is not there, an operation that the resource cannot do), RemoteDown.
        """
        if not changes:
            return []
        operation, relation = changes[0].operation, self._relation(resource)
        if len(changes) > BATCH or any(change.operation != operation for change in changes):
            raise ValueError(f"a batch is at most {BATCH} changes of one operation")
        if not self._can(resource, relation, operation):
            raise ConfigurationError(
                f"the resource cannot {operation}", where=resource.name,
                todo="see what the login may do there, and for archive name the column in the system's `archived`",
            )
        if operation != "create":
            relation.keyed()
            if any(change.key is None or len(change.key) != len(relation.key) for change in changes):
                raise ValueError("every change but a create has a key, a cell for each of its columns")
        ready = [self._completed(resource, change) for change in changes]
        if operation == "create" and not all(change.values for change in ready):
            raise ValueError("a create has at least one value")
        archived = self._archived(resource)
        marks = {archived.column} if archived is not None and any(change.back for change in changes) else set()
        relation.cells_of({name for change in ready for name in change.values} | marks)
        receipts = written(self._connection(), relation, resource.version, self._columns(resource), ready,
                           resource.name, archived)
        if any(receipt.code.startswith(_NOT_AS_KNOWN) for receipt in receipts):
            self._relations.pop(resource, None)
        return receipts

    def edited(self, resource: Resource, keys: Sequence[Key]) -> Collection[Key]:  # noqa: ARG002 -- the port's names
        return ()  # a receipt has the row as its write left it

    def made_by_us(self, resource: Resource, keys: Sequence[Key]) -> None:
        """A table does not say it."""

    @property
    def writes_as(self) -> object:
        """The server's process behind the connection that writes."""
        return None if self._work is None or self._work.closed else self._work.info.backend_pid

    def changes(self, resource: Resource, timeout: float) -> Iterator[object]:
        """Yields once when it begins to listen (something may have changed before), then at each change.

        Only a hint: read also on a timer. Raises RemoteDown when the connection is lost.
        """
        relation = self._relation(resource)
        deadline = monotonic() + timeout
        with self._told(resource):
            if not tracking.is_tracked(self._connection(), relation):
                raise ConfigurationError(
                    "it does not tell when something changed", where=resource.name,
                    todo="let navette system prepare install a change table",
                )
            try:
                if relation.name not in self._ears:
                    self._ears[relation.name] = ears = dial(self._settings, "navette listen", timeout=0)
                    ears.execute("LISTEN navette")
                    yield None
                ears = self._ears[relation.name]
                for heard in ears.notifies(timeout=max(0.0, deadline - monotonic())):
                    if heard.payload == relation.name:
                        yield heard.pid
            except psycopg.Error:
                self._ears.pop(relation.name).close()
                raise

    def close(self) -> None:
        """Ends the session."""
        for connection in (self._work, *self._ears.values()):
            if connection is not None:
                connection.close()
        self._work, self._ears = None, {}
        self._readers.close()

    def prepare_statements(self, resource: Resource) -> list[str]:
        """The SQL that `prepare` runs, to be shown first; a database administrator may run it instead."""
        relation = self._relation(resource)
        with self._told(resource):
            return preparing.prepare_statements(self._connection(), relation, self._role)

    def prepare(self, resource: Resource) -> None:
        """Lets the database record the table's changes (docs/systems.md, change tables); again, it does nothing."""
        relation = self._relation(resource)
        with self._told(resource):
            preparing.prepare(self._connection(), relation, self._role)

    def unprepare_statements(self, resource: Resource) -> list[str]:
        """The SQL that `unprepare` runs; only a table's owner may."""
        relation = self._relation(resource)
        with self._told(resource):
            return preparing.unprepare_statements(self._connection(), relation)

    def unprepare(self, resource: Resource) -> None:
        """Takes away what `prepare` made; again, it does nothing."""
        relation = self._relation(resource)
        with self._told(resource):
            preparing.unprepare(self._connection(), relation)

    def prune(self, resource: Resource, before: Position, limit: int = 100_000) -> int:
        """Deletes at most `limit` recorded changes that a reader at `before` has seen; how many it deleted."""
        relation = self._relation(resource)
        with self._told(resource):
            return preparing.prune(self._connection(), relation, before, limit)

    @contextmanager
    def _told(self, resource: Resource) -> Iterator[None]:
        """The driver's errors in our words; what the mapping names and is not there is looked for anew next time."""
        try:
            with told(resource.name):
                yield
        except ConfigurationError:
            self._relations.pop(resource, None)
            self._tracked.clear()
            raise

    @property
    def _role(self) -> str:
        return self._settings.conninfo()["user"]

    def _connection(self) -> Connection:
        """The connection for short calls; a new one where the last was lost."""
        if self._work is None or self._work.closed or self._work.broken:
            self._work = dial(self._settings)
        return self._work

    def _relation(self, resource: Resource) -> Relation:
        if resource not in self._relations:
            self._relations[resource] = describe(self._connection(), resource, self._settings.schema_name)
        return self._relations[resource]

    def _columns(self, resource: Resource) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*resource.columns, *([resource.version] if resource.version else [])]))

    def _archived(self, resource: Resource) -> Archived | None:
        return self._settings.archived.get(resource.name)

    def _completed(self, resource: Resource, change: Change) -> Change:
        """The change with what stands beside its values: key and our reference of a create, the mark of an archive."""
        more: dict[str, str] = {}
        archived = self._archived(resource)
        if change.operation == "archive" and archived is not None:
            more[archived.column] = archived.value
        if change.operation == "create":
            more |= dict(zip(resource.key, change.key or (), strict=False))
            if resource.reference is not None and change.reference is not None:
                more[resource.reference] = change.reference
        return filled(change, more)


