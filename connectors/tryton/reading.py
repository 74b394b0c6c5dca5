"""Reading a model: everything by id, or what changed by (stamp, id), and where the next read by change begins.

::

    stamps of a row         write_date, or create_date while write_date is null
    read by change          which rows changed, in lists of ids, stamps and keys, by id; of them those that are not
                            known so, and what changed of the same keys
    … by another stamp      by (stamp, id)
    position                the greatest stamp that there was before the first page: later ones are read again
    since                   position − overlap, for transactions that were committed late
    in the future           stamps, and positions, that the server's clock has not reached: they are not believed
    state of a row          (id, stamp): whoever read it so need not read it again within the overlap

Stamps are the server's, never ours, and one that its clock has not reached would hide every change until then. A row's
stamp does not move when its children change, nor when what a computed field looks at does: addresses, contact
mechanisms and identifiers are resources of their own (party.address, party.contact_mechanism, party.identifier).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from connectors.page import PAGE_ROWS, Notices, Page
from connectors.remote import Key, Known, Position, Resource
from connectors.tryton.cells import cell, cells_of, page_of
from connectors.tryton.deleted import Deletions
from connectors.tryton.model import Column
from connectors.tryton.query import SOME, Domain, Query, Row
from connectors.tryton.values import datetime_value

CREATED, WRITTEN = "create_date", "write_date"
STAMPS = (CREATED, WRITTEN)
CREATOR = "create_uid"
LISTED = 5_000
"""Rows in one list of what changed."""
STAMP, DELETED = "stamp", "deleted"
BEGINNING = dt.datetime(1, 1, 2, tzinfo=dt.UTC)


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
    known: Known | None = None
    detected: dict[str, str] = field(default_factory=dict)
    notices: Notices = field(default_factory=dict)
    position: Position = field(default_factory=Position)
    gone: Sequence[Key] = ()
    now: dt.datetime = field(init=False)  # there, when the read began

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.query.columns)

    def pages(self, rows: int = PAGE_ROWS) -> Iterator[Page]:
        self.now = self.query.session.clock.now
        if self._told(STAMP) and self._since(STAMP) is None:
            self.notices["ahead"] = {}
        listed = self._listed() if self._lists else []
        whole = self._lists and len(listed) < LISTED  # all of it, as it is at one moment
        mark = self._mark(map(_stamp, listed) if whole else self._greatest())
        waiting: list[Row] = []
        first = 1
        for batch in self._batches(min(rows, self.batch), listed if whole else None):
            waiting += batch
            while len(waiting) >= rows:
                yield self._page(waiting[:rows], first)
                waiting, first = waiting[rows:], first + rows
        if waiting:
            yield self._page(waiting, first)
        self.gone = self._deleted(mark)
        self.position = Position({key: value for key, value in mark.items() if value})

    def _page(self, rows: list[Row], first: int) -> Page:
        return page_of(rows, self.query.columns, first, states_of(rows))

    @property
    def _lists(self) -> bool:
        """Whether what changed is listed first: not where everything is read, or by a stamp of the mapping's."""
        return self._since(STAMP) is not None and self.resource.changed in {None, WRITTEN}

    def _listed(self, after: int = 0) -> list[Row]:
        """Ids, stamps and keys of what changed, by id: at most LISTED beyond `after`."""
        since = self._since(STAMP)
        changed = ["OR", [[WRITTEN, ">=", since]], [[WRITTEN, "=", None], [CREATED, ">=", since]]]
        ids = Query(self.query.session, self.query.model, self._key())
        return ids.rows([["id", ">", after], changed], LISTED, extra=("id", *STAMPS))

    def _changed(self, listed: list[Row] | None) -> Iterator[list[Row]]:
        """What changed, list by list, where it is not `listed` whole."""
        some = self._listed() if listed is None else listed
        while some:
            yield some
            some = self._listed(some[-1]["id"]) if len(some) == LISTED else []

    def _batches(self, size: int, listed: list[Row] | None) -> Iterator[list[Row]]:
        since = self._since(STAMP)
        if self._lists:
            new = self._new(listed)
            while some := list(islice(new, min(size, SOME))):
                yield self.query.of_ids(some, STAMPS)
        elif since is None:
            yield from self.query.by_id([], size)
        else:
            for stamp, domain in self._stamps():
                yield from self.query.by_stamp(stamp, since, domain, size)

    def _new(self, listed: list[Row] | None) -> Iterator[int]:
        """Ids of what changed and is to be read: what is not known as it is, and all that changed of the same key: of
        several rows with one key the newest speaks for all."""
        known = self.known
        if known is None or self.resource.key == ("id",):
            yield from (row["id"] for some in self._changed(listed) for row in some
                        if known is None or not known(_state(row)))
            return
        new = {key for some in self._changed(listed) for key, row in zip(self._keys(some), some, strict=True)
               if not known(_state(row))}
        for some in self._changed(listed) if new else ():
            yield from (row["id"] for key, row in zip(self._keys(some), some, strict=True) if key in new)

    def _key(self) -> tuple[Column, ...]:
        return tuple(column for column in self.query.columns if column.name in self.resource.key)

    def _keys(self, rows: Sequence[Row]) -> Iterable[Key]:
        return zip(*(cells_of(column, rows) for column in self._key()), strict=True)

    def _stamps(self) -> tuple[tuple[str, Domain], ...]:
        if self.resource.changed not in {None, WRITTEN}:
            return ((str(self.resource.changed), []),)
        return ((CREATED, [[WRITTEN, "=", None]]), (WRITTEN, []))

    def _greatest(self) -> Iterator[str]:
        """The greatest value of each stamp that is believed."""
        since, until = self._since(STAMP), datetime_value(self.now)
        for stamp, _ in self._stamps():
            reached = [stamp, "<=", until]
            yield cell(self.query.greatest(stamp, [reached, [stamp, ">=", since]] if since else [reached]))

    def _mark(self, found: Iterable[str]) -> dict[str, str]:
        """The greatest believed of the stamps `found` before the first page; where none is new, that of the last."""
        mark = {STAMP: self._latest(STAMP, found)}
        if self.resource.key == ("id",):  # a read of everything begins here: what it does not hold is gone
            begins = () if self._since(DELETED) else (
                self.deletions.latest(self.query.model, datetime_value(self.now)), mark[STAMP])
            mark[DELETED] = self._latest(DELETED, begins)
        return mark

    def _latest(self, name: str, stamps: Iterable[str]) -> str:
        """The greatest of what is marked as `name` and of the stamps, as far as the clock there has come."""
        before = min((self._told(name), self.now.isoformat()), key=_moment) if self._since(name) else ""
        return max((before, *(stamp for stamp in stamps if _moment(stamp) <= self.now)), key=_moment)

    def _told(self, name: str) -> str:
        return str(self.since.mark.get(name, "")) if self.since else ""

    def _since(self, name: str) -> dict[str, Any] | None:
        """From where the stamps marked as `name` are read, as Tryton takes it; None: from the beginning, as also where
        the mark is so far in the future that changes were passed over."""
        told = self._told(name)
        since = _moment(told) - dt.timedelta(seconds=self.resource.overlap) if told else None
        return None if since is None or since > self.now else datetime_value(since)

    def _deleted(self, mark: dict[str, str]) -> Sequence[Key]:
        """The keys that are gone since the last read, whose mark is moved; nothing at the first."""
        if DELETED not in mark or not self._told(DELETED):
            return ()
        ids, stamps = self.deletions.since(self.query.model, self._since(DELETED) or datetime_value(BEGINNING))
        mark[DELETED] = self._latest(DELETED, stamps)
        if self.deletions.refused:
            self.notices["deletions"] = {}
        return tuple((str(number),) for number in ids)


def states_of(rows: Sequence[Row]) -> Sequence[Hashable]:
    """What tells each row as it is from all others; () for rows that were read without their stamps."""
    return tuple(map(_state, rows)) if all(stamp in row for row in rows[:1] for stamp in STAMPS) else ()


def _state(row: Row) -> Hashable:
    return row["id"], _stamp(row)


def _stamp(row: Row) -> str:
    return cell(row[WRITTEN]) or cell(row[CREATED])


def _moment(text: str) -> dt.datetime:
    """Of a stamp's cell; the beginning of time for ''."""
    return dt.datetime.fromisoformat(text) if text else BEGINNING
