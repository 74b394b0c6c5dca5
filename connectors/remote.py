"""The port that a connector to a live system fills: read what changed, fetch by key, write; every value is a text cell.

::

    open(system) ─▶ Remote ─ read(resource, since) ─▶ RemoteSource ── pages ─▶ Page …   then: position, gone
                          ├─ fetch(resource, keys) ─▶ Page             the rows as they are now
                          ├─ find(resource, where) ─▶ Page             probing by our reference or by match keys
                          └─ write(resource, changes) ─▶ [Receipt]     one for each change, in order

A cell is text as the road reads it: '' is null, booleans are true and false, numbers are plain with a point, dates and
datetimes are ISO 8601 (a datetime with an offset unless the system has none), nested values are JSON text.

What a call raises says what the caller does: RemoteDown (try again later), LoginRefused (never again by itself: a few
bad logins lock an account), ConfigurationError (the mapping names what is not there). What a single change meets is no
exception: it is in its receipt.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from connectors.page import PAGE_ROWS, Page, Source
from mappings.errors import ConfigurationError, RetryLater

Key = tuple[str, ...]
Known = Callable[[Hashable], bool]
"""Whether a row is known in this state (of `Page.states`)."""
Operation = Literal["create", "update", "archive", "delete"]
NOT_ABLE = "not_able"
"""The code of a refusal for a right that our login lacks: the same may be taken once it has it."""
State = Literal["delivered", "refused", "stale", "retry", "unclear"]


class RemoteDown(RetryLater):
    """The system does not answer, or not now: the connection failed, it is starting, overloaded, or asks us to wait."""


class LoginRefused(ConfigurationError):
    """The system refused our credentials; never tried again by itself, since a few more lock the account."""


@dataclass(frozen=True)
class Capabilities:
    """What a resource can do, told before anything is planned. `batch`: changes that one call may take at most.

    `whole_batch`: a batch is taken whole or not at all, so that a refused one wrote nothing and may be halved.
    `versions`: an update may name the version it was decided on, and is refused (`stale`) when there is a newer one.
    `beside`: columns that may change without a new version of the row. `compares`: an update may name what it takes the
    place of, and is refused (`stale`) when the row has anything else there.
    `listens`: `changes` waits for the system to say that something changed.
    """

    create: bool = False
    update: bool = False
    archive: bool = False
    delete: bool = False
    batch: int = 1
    whole_batch: bool = False
    versions: bool = False
    beside: frozenset[str] = frozenset()
    compares: bool = False
    listens: bool = False


@dataclass(frozen=True)
class Resource:
    """What a flow wants of a system: a table, a view, a model, and the columns that it reads and writes.

    `key`: the columns that tell one row from another. `columns`: those that the mapping reads, key included. `changed`:
    the column with the time of change; null for the connector's own way. `overlap`: seconds that a read by change goes
    back behind the last one, for transactions that committed late. `version`: the column with the row's version.
    `query`: read this instead (SQL). `reference`: the column that holds our id.
    """

    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    changed: str | None = None
    overlap: float = 300.0
    version: str | None = None
    query: str | None = None
    reference: str | None = None


@dataclass(frozen=True)
class Change:
    """One write. `values`: column to cell, only what is to be written, by an archive beside its mark; `key` is None
    for a create by a system that numbers its own rows. `version`: of the row that the write was decided on.
    `reference`: our id, on a create. `expected`: column to the cell that `values` takes the place of, of an update:
    where the system compares, every column; else those that its versions leave out (`Capabilities.beside`), '' where
    the CRM knew of none. `back`: an update that also takes the mark of an archive away, where the row has it."""

    operation: Operation
    key: Key | None
    values: Mapping[str, str]
    version: str | None = None
    reference: str | None = None
    expected: Mapping[str, str] | None = None
    back: bool = False


@dataclass(frozen=True)
class Receipt:
    """What the system said of one change.

    `delivered`: it was done, `key` and `version` are the row's. `refused`: it will never be taken as it is. `stale`:
    the row is newer than `version`: read it again. `retry`: may pass later. `unclear`: the answer was lost on the way;
    whether it was done must be found out by reading. `code` and `message` are the system's own words, `code` else
    NOT_ABLE. `row`: the row's cells as the write left them, told in its own transaction; None where the system cannot:
    then what somebody edits before the row is read again passes for what the system made of the write, unless `edited`
    knows of it.
    """

    state: State
    key: Key | None = None
    version: str | None = None
    code: str = ""
    message: str = ""
    row: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Position:
    """How far a resource was read: JSON that only its connector understands; {} is the beginning."""

    mark: Mapping[str, Any] = field(default_factory=dict)


class RemoteSource(Source, Protocol):
    """A read under way. After the last page `position` is where the next read by change begins, and `gone` holds the
    keys that the system itself says were deleted since."""

    @property
    def position(self) -> Position: ...

    @property
    def gone(self) -> Sequence[Key]: ...


class Remote(Protocol):
    """A session with one system. Not for several threads at once; every thread opens its own."""

    def capabilities(self, resource: Resource) -> Capabilities:
        """Raises ConfigurationError when the resource, or a column that it names, is not there."""

    def read(self, resource: Resource, since: Position | None, known: Known | None = None) -> RemoteSource:
        """Everything (`since` is None), or what changed since, a little more included; streamed. A read of changes may
        leave out rows in a state that is `known`."""

    def fetch(self, resource: Resource, keys: Sequence[Key]) -> Page:
        """The rows with these keys as they are now, archived ones too; those that are not there are missing."""

    def find(self, resource: Resource, where: Mapping[str, str], limit: int = 20) -> Page:
        """The rows in which each of these columns has this value."""

    def write(self, resource: Resource, changes: Sequence[Change]) -> list[Receipt]:
        """Does the changes, at most `capabilities().batch` of one operation; a receipt for each, in order."""

    def edited(self, resource: Resource, keys: Sequence[Key]) -> Collection[Key]:
        """Which of these rows, that this session has written, somebody else has saved since; none where the system does
        not say who."""

    def made_by_us(self, resource: Resource, keys: Sequence[Key]) -> Collection[Key] | None:
        """Those of these rows that our login made; None where the system does not say who made a row."""

    @property
    def writes_as(self) -> object:
        """How `changes` calls whoever wrote through this session; None where it does not say."""

    def changes(self, resource: Resource, timeout: float) -> Iterator[object]:
        """Yields each time the system says that something changed, until `timeout` seconds passed, and who wrote it
        (None: it does not say); only where it listens."""

    def close(self) -> None:
        """Ends the session."""


@runtime_checkable
class Prepares(Protocol):
    """A session with a system that can be told to record its changes (a change table), and shows what that takes."""

    def prepare_statements(self, resource: Resource) -> list[str]:
        """What `prepare` runs, in order. Raises ConfigurationError for what cannot be recorded."""

    def prepare(self, resource: Resource) -> None:
        """Lets the system record the resource's changes; again, it does nothing."""

    def unprepare_statements(self, resource: Resource) -> list[str]:
        """What `unprepare` runs, in order; nothing where nothing is recorded."""

    def unprepare(self, resource: Resource) -> None:
        """Takes away what `prepare` made; again, it does nothing."""


__all__ = [
    "NOT_ABLE", "PAGE_ROWS", "Capabilities", "Change", "Key", "Known", "LoginRefused", "Position", "Prepares",
    "Receipt", "Remote", "RemoteDown", "RemoteSource", "Resource",
]
