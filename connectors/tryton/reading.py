"""Reading a model: everything by id, or what changed by (stamp, id), and where the next read by change begins.

::

    stamps of a row         write_date, or create_date while write_date is null
    read by change          rows never written, by (create_date, id)   and after them
                            rows written, by (write_date, id):         a row that moves meanwhile is read there
    position                the greatest stamp that there was before the first page: later ones are read again
    since                   position − overlap, for transactions that were committed late

Stamps are the server's, never ours. A row's stamp does not move when its children change, nor when what a computed
field looks at does: addresses, contact mechanisms and identifiers are resources of their own (party.address,
party.contact_mechanism, party.identifier).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.page import PAGE_ROWS, Page
from connectors.remote import Key, Position, Resource
from connectors.tryton.cells import cell, page_of
from connectors.tryton.deleted import Deletions
from connectors.tryton.query import Domain, Query, Row
from connectors.tryton.values import datetime_value

CREATED, WRITTEN = "create_date", "write_date"
STAMP, DELETED = "stamp", "deleted"


@dataclass
class TrytonSource:
    """A read under way; `position` and `gone` are those of the last whole call of `pages`.

    `gone` holds what Tryton logged as deleted (rows that went along with their parent are not logged, and the log may
    be cleaned: now and then a read of everything has to be compared). It is empty for a resource whose key is not the
    id, since the log knows nothing else.
    """

    query: Query
    resource: Resource
    since: Position | None
    deletions: Deletions
    batch: int
    detected: dict[str, str] = field(default_factory=dict)
    position: Position = field(default_factory=Position)
    gone: Sequence[Key] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.query.columns)

    def pages(self, rows: int = PAGE_ROWS) -> Iterator[Page]:
        mark = self._mark()
        waiting: list[Row] = []
        first = 1
        for batch in self._batches(min(rows, self.batch)):
            waiting += batch
            while len(waiting) >= rows:
                yield page_of(waiting[:rows], self.query.columns, first)
                waiting, first = waiting[rows:], first + rows
        if waiting:
            yield page_of(waiting, self.query.columns, first)
        self.gone = self._deleted(mark)
        self.position = Position({key: value for key, value in mark.items() if value})

    def _batches(self, size: int) -> Iterator[list[Row]]:
        since = self._since(STAMP)
        if since is None:
            yield from self.query.by_id([], size)
            return
        for stamp, domain in self._stamps():
            yield from self.query.by_stamp(stamp, since, domain, size)

    def _stamps(self) -> tuple[tuple[str, Domain], ...]:
        if self.resource.changed not in {None, WRITTEN}:
            return ((str(self.resource.changed), []),)
        return ((CREATED, [[WRITTEN, "=", None]]), (WRITTEN, []))

    def _mark(self) -> dict[str, str]:
        """The greatest stamps before the first page; where nothing is new, those of the last read."""
        since = self._since(STAMP)
        before = dict(self.since.mark) if self.since else {}
        found = [str(before.get(STAMP, ""))]
        for stamp, _ in self._stamps():
            found.append(cell(self.query.greatest(stamp, [[stamp, ">=", since]] if since else [])))
        mark = {STAMP: max(found, key=_moment)}
        if self.resource.key == ("id",):  # a read of everything begins here: what it does not hold is gone
            told = str(before.get(DELETED, ""))
            mark[DELETED] = told or max(self.deletions.latest(self.query.model), mark[STAMP], key=_moment)
        return mark

    def _since(self, name: str) -> dict[str, Any] | None:
        """From where the stamps marked as `name` are read, as Tryton takes it; None: from the beginning."""
        told = str(self.since.mark.get(name, "")) if self.since else ""
        if not told:
            return None
        return datetime_value(_moment(told) - dt.timedelta(seconds=self.resource.overlap))

    def _deleted(self, mark: dict[str, str]) -> Sequence[Key]:
        """The keys that are gone since the last read, whose mark is moved."""
        since = self._since(DELETED)
        if since is None or DELETED not in mark:
            return ()
        ids, latest = self.deletions.since(self.query.model, since)
        mark[DELETED] = max(latest, mark[DELETED], key=_moment)
        return tuple((str(number),) for number in ids)


def _moment(text: str) -> dt.datetime:
    """Of a stamp's cell; the beginning of time for ''."""
    return dt.datetime.fromisoformat(text) if text else dt.datetime(1, 1, 2, tzinfo=dt.UTC)
