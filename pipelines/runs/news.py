"""What a live read has not seen yet: rows that an overlap brings again are known by key and content; and by which
version a write may name rows that it does not read again."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import pandas as pd

from connectors.page import PAGE_ROWS, Notices, Page
from connectors.remote import Key, Known, Position, RemoteSource
from mappings.codecs.fingerprint import fingerprints
from mappings.codecs.keys import keys_of, parts_of
from mappings.language.flow import Flow
from mappings.language.strict import Column
from pipelines.hub import Hub
from pipelines.runs.planning import kept_plan
from pipelines.stages.prints import Prints
from pipelines.stages.unread import settled_keys

REMEMBERED = 50_000
AGAIN = 15.0
"""Seconds after which a row that changed there is read once more: what stands elsewhere (a number that was added to a
new party a moment later) gives it no other state."""
AT_ONCE = 500
"""Such rows in one read."""
FEW = 500
"""Rows of news that are kept in memory, and may be read twice."""


@dataclass
class Seen:
    """The content of the rows of one resource that were read last, by key; forgotten when they become too many.

    Where a page brings several rows of one key (the phones of a party), each is known by its place among them.

    `version`: the column with the row's version, and `prints`: the fingerprints, of a flow that writes. Then `versions`
    has the fingerprint and version of each row that was taken in and left nothing open, as `settle` found; those that
    `settle` has not asked about yet are `unsettled`. `states`: until when a row need not be read in a state; `due`:
    when a row that changed there is read once more. `gone`: keys that were told as gone, and were taken in.
    """

    hashes: dict[str, int] = field(default_factory=dict)
    version: str | None = None
    prints: Prints | None = None
    versions: dict[str, tuple[int, str]] = field(default_factory=dict)
    states: dict[Hashable, float] = field(default_factory=dict)
    due: dict[str, float] = field(default_factory=dict)
    unsettled: dict[str, tuple[int, str]] = field(default_factory=dict)
    gone: set[Key] = field(default_factory=set)

    def news(self, page: Page, key: Sequence[Column]) -> Page:
        """The page without rows that are as they were when they were seen last."""
        keys, hashes = self._told(page, key)
        new = np.array([self.hashes.get(name) != said for name, said in zip(keys, hashes, strict=True)], dtype=bool)
        if len(page.states):  # a row may be again what it was, and have been something else in between
            new |= np.array([state not in self.states for state in page.states], dtype=bool)
        self._note(page, keys, hashes)
        again = time.monotonic() + AGAIN
        for one, state in zip(keys if page.states else (), page.states, strict=True):
            if state in self.states:
                self.states[state] = math.inf
            else:
                self.states[state] = self.due[one] = again
        return page if new.all() else page.only(new)

    def note(self, page: Page, key: Sequence[Column]) -> None:
        """The rows of a page that was taken in otherwise, after they were written: no news when they are read."""
        keys, hashes = self._told(page, key)
        self._note(page, keys, hashes)
        now = time.monotonic()
        for one, state in zip(keys if page.states else (), page.states, strict=True):
            until = self.due.get(one, 0.0)  # our write puts off no second reading of what changed there
            self.states[state] = until if until > now else math.inf

    def reading(self) -> Known:
        """What a read that begins now may leave out. Of the rows that are to be read once more it gets AT_ONCE: what
        many of them cost would keep news waiting."""
        now, left = time.monotonic(), AT_ONCE

        def known(state: Hashable) -> bool:
            nonlocal left
            until = self.states.get(state)
            if until is None or until > now:
                return until is not None
            left -= 1
            return left < 0

        return known

    def settle(self, hub: Hub, flow: Flow) -> None:
        """After a run has taken in what was seen."""
        if not self.unsettled:
            return
        with hub.ask.connect() as connection:
            keys = settled_keys(connection, kept_plan(hub, flow), {key: one[0] for key, one in self.unsettled.items()})
        self.settled(keys)
        self.unsettled.clear()

    def settled(self, keys: Collection[str]) -> None:
        """Rows of these keys, as they were seen last, were taken in and left nothing open."""
        self.versions.update({key: self.unsettled.pop(key) for key in keys if key in self.unsettled})

    def _told(self, page: Page, key: Sequence[Column]) -> tuple[list[str], list[int]]:
        """The key and the content of each row, whatever the order of its columns."""
        keys: list[str] = _told_apart(keys_of(page.frame, key, {})).tolist()
        names = sorted(str(column) for column in page.frame.columns)
        return keys, fingerprints(page.frame, names, salt=0).tolist()

    def _note(self, page: Page, keys: list[str], hashes: list[int]) -> None:
        if len(self.hashes) > REMEMBERED:
            self.forget()
        if len(self.states) > REMEMBERED:
            self.states.clear()
            self.due.clear()
        self.hashes.update(zip(keys, hashes, strict=True))
        if self.gone:
            self.gone.difference_update(tuple(parts_of(name)) for name in keys)
        if self.prints is None or self.version not in page.frame.columns:
            return
        prints, versions = self.prints.told(page.frame, {}).tolist(), page.frame[self.version]
        for key, print, version in zip(keys, prints, versions, strict=True):
            known = self.versions.pop(key, None)
            if isinstance(version, str) and version:
                same = known is not None and known[0] == print
                (self.versions if same else self.unsettled)[key] = (print, version)

    def forget(self) -> None:
        """After a run that did not take the rows in: they have to come again."""
        self.hashes.clear()
        self.states.clear()
        self.due.clear()
        self.versions.clear()
        self.unsettled.clear()
        self.gone.clear()


@dataclass
class NewsSource:
    """A read of changes whose first news are known, so that a read that brings nothing leaves no run behind.

    Rows are numbered anew where some were left out: numbers without gaps are what a run counts by. `size`: how many
    rows there are, where they are few.
    """

    source: RemoteSource
    key: Sequence[Column]
    seen: Seen
    first: list[Page] = field(default_factory=list)
    rest: Iterator[Page] | None = None
    size: int | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        return self.source.columns

    @property
    def detected(self) -> dict[str, str]:
        return self.source.detected

    @property
    def notices(self) -> Notices:
        return self.source.notices

    @property
    def position(self) -> Position:
        return self.source.position

    @property
    def gone(self) -> Sequence[Key]:
        """The overlap brings deletions again too."""
        return [key for key in self.source.gone if key not in self.seen.gone]

    def taken_in(self) -> None:
        """After a run that took in all of it."""
        self.seen.gone = set(self.source.gone)

    def look(self) -> bool:
        """Whether there is any news; reads as far as FEW rows of it."""
        self.rest = (self.seen.news(page, self.key) for page in self.source.pages(PAGE_ROWS))
        for page in self.rest:
            if len(page):
                self.first.append(page)
            if sum(map(len, self.first)) > FEW:
                break
        else:
            self.size = sum(map(len, self.first))
        return bool(self.first) or bool(self.gone)

    def pages(self, rows: int = PAGE_ROWS) -> Iterator[Page]:  # noqa: ARG002 - as every source
        """The pages with news; where they are few, as often as it is asked."""
        last = 0
        for page in chain(self.first, self.rest or ()):
            if len(page):
                following = numbered(page, last)
                last += len(following)
                yield following


def numbered(page: Page, last: int) -> Page:
    """The page with row numbers that follow `last` without a gap."""
    frame = page.frame.set_axis(pd.RangeIndex(last + 1, last + 1 + len(page.frame)).astype("int64"))
    damaged = page.damaged.assign(row=np.arange(last + 1 + len(frame), last + 1 + len(page), dtype=np.int64))
    return Page(frame, page.lines, damaged, page.states)


def _told_apart(keys: pd.Series[str]) -> pd.Series[str]:
    """The keys, with a number behind the second, third … of equal ones."""
    if keys.is_unique:
        return keys
    place = keys.groupby(keys, dropna=False).cumcount()
    return keys.where(place == 0, keys + "\x1f" + place.astype("string[pyarrow]"))
