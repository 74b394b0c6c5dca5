"""Systems in memory that fill the port of connectors: what they do, refuse and lose is driven by the test alone.

::

    MemorySystem ── users: insert, edit, delete            behind the hub's back
                 ├─ answers: what becomes of the next calls of `write`, in order; then all is well
                 └─ open() ─▶ MemoryRemote                 what the hub sees of it
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel

from connectors.page import DAMAGED_COLUMNS, PAGE_ROWS, Notices, Page
from connectors.remote import Capabilities, Change, Key, Known, Position, Receipt, RemoteDown, Resource

Answer = Literal["well", "lost", "never", "late", "down", "retry", "killed_before", "killed_after"]
"""What becomes of one call of `write`: done and told; done, the answer lost; not done, the answer lost; done only later,
the answer lost; not reached; may pass later; the hub is killed before the call, or after it."""
Row = dict[str, str]


class Killed(BaseException):
    """The hub's process ends here. No handler of Exception sees it, as none sees a signal."""


def as_given(column: str, cell: str) -> str:
    """Stores what it is given."""
    return cell


def cutting(column: str, cell: str) -> str:
    """Cuts texts at ten characters and writes French phone numbers its own way."""
    if column == "phone" and cell.startswith("+33"):
        digits = f"0{cell[3:]}"
        return " ".join(digits[at : at + 2] for at in range(0, len(digits), 2))
    return cell[:10] if column in ("name", "city", "note") else cell


@dataclass
class MemorySystem:
    """One resource. `columns` besides `id`, `rev` (counts a row's changes), `changed` (a time) and `closed` (archived)."""

    columns: tuple[str, ...]
    tidy: Callable[[str, str], str] = as_given
    refused: str | None = None  # a row that has this value anywhere is refused
    versions: bool = True
    whole_batch: bool = True
    tells_writers: bool = False
    batch: int = 50
    rows: dict[str, Row] = field(default_factory=dict)
    past: list[Row] = field(default_factory=list)  # rows as they once were, oldest first
    deleted: list[tuple[int, str]] = field(default_factory=list)  # (tick, key)
    answers: deque[Answer] = field(default_factory=deque)
    delayed: list[Change] = field(default_factory=list)
    tells_makers: bool = True
    is_down: bool = False
    repeats: bool = False  # the next read brings old images of rows, before those of today
    meanwhile: Callable[[], None] | None = None  # what a user does between the hub's look and its write
    afterwards: Callable[[], None] | None = None  # what a user does between the hub's write and its reading again
    kill: Callable[[], None] | None = None  # tells the test that the hub is dead from now on
    tick: int = 0
    number: int = 100
    writes: int = 0  # changes that the hub made here
    made: list[Row] = field(default_factory=list)  # rows that the hub made here
    by_users: set[str] = field(default_factory=set)  # rows whose last writer is not the hub

    def open(self) -> MemoryRemote:
        return MemoryRemote(self)

    # what its own users do

    def insert(self, **values: str) -> str:
        self.number += 1
        key = str(self.number)
        self.rows[key] = {"id": key, **dict.fromkeys((*self.columns, "closed"), ""), "rev": "0", "tick": "0"}
        self.edit(key, **values)
        return key

    def edit(self, key: str, **values: str) -> None:
        row = self.rows[key]
        self.past.append(dict(row))
        row.update({column: self.tidy(column, cell) for column, cell in values.items()})
        self.tick += 1
        self.by_users.add(key)
        row.update(rev=str(int(row["rev"]) + 1), tick=str(self.tick), changed=datetime.now(UTC).isoformat())

    def delete(self, key: str) -> None:
        self.tick += 1
        del self.rows[key]
        self.deleted.append((self.tick, key))

    # what the hub asks of it

    def arrive(self) -> None:
        """What was under way arrives."""
        waiting, self.delayed = self.delayed, []
        for change in waiting:
            self.do(change)

    def do(self, change: Change) -> Receipt:
        """One change, as far as the system takes it."""
        said = self._refusal(change)
        if said is not None:
            return said
        self.writes += 1
        if change.operation == "create":
            reference = {} if change.reference is None else {"our_id": change.reference}
            key = self.insert(**change.values, **reference)
            self.made.append(dict(self.rows[key]))
        elif change.operation == "update":
            assert change.key is not None
            key = change.key[0]
            self.edit(key, **change.values, **({"closed": ""} if change.back else {}))
        else:
            assert change.key is not None
            key = change.key[0]
            self.edit(key, closed="true", **change.values) if change.operation == "archive" else self.delete(key)
        self.by_users.discard(key)
        return Receipt("delivered", (key,), self.rows[key]["rev"] if key in self.rows and self.versions else None)

    def _refusal(self, change: Change) -> Receipt | None:
        if self.refused is not None and self.refused in change.values.values():
            return Receipt("refused", change.key, code="value", message=f"{self.refused} is not allowed here")
        if change.operation == "create":
            return None
        assert change.key is not None
        row = self.rows.get(change.key[0])
        if row is None:
            state: Literal["delivered", "refused"] = "delivered" if change.operation == "delete" else "refused"
            return Receipt(state, change.key, code="gone", message="there is no such row")
        if self.versions and change.version not in (None, row["rev"]):
            return Receipt("stale", change.key, row["rev"], "stale", "the row has another version now")
        return None


@dataclass
class MemorySource:
    """A read under way."""

    resource: Resource
    rows: Sequence[Row]
    position: Position
    gone: Sequence[Key]
    detected: dict[str, str] = field(default_factory=dict)
    notices: Notices = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        return self.resource.columns

    def pages(self, rows: int = PAGE_ROWS) -> Iterator[Page]:
        for start in range(0, len(self.rows), rows):
            yield page_of(self.resource, self.rows[start : start + rows], start)


@dataclass
class MemoryRemote:
    """A session."""

    system: MemorySystem

    def capabilities(self, resource: Resource) -> Capabilities:
        self._reached()
        one = self.system
        return Capabilities(create=True, update=True, archive=True, delete=True, batch=one.batch,
                            whole_batch=one.whole_batch, versions=one.versions)

    def read(self, resource: Resource, since: Position | None, known: Known | None = None
             ) -> MemorySource:
        """What changed since, and again what changed a little before: one tick of overlap."""
        self._reached()
        one = self.system
        after = -1 if since is None else int(since.mark["tick"]) - 1
        news = sorted((row for row in one.rows.values() if int(row["tick"]) > after), key=lambda row: int(row["tick"]))
        if one.repeats:
            one.repeats = False
            there = {row["id"] for row in news}
            news = [*(row for row in one.past[-4:] if row["id"] in there and row["rev"] != "0"), *reversed(news)]
        gone = [] if since is None else [(key,) for tick, key in one.deleted if tick > after and key not in one.rows]
        return MemorySource(resource, [dict(row) for row in news], Position({"tick": one.tick}), gone)

    def fetch(self, resource: Resource, keys: Sequence[Key]) -> Page:
        self._reached()
        rows = self.system.rows
        return page_of(resource, [dict(rows[key[0]]) for key in keys if key[0] in rows], 0)

    def find(self, resource: Resource, where: Mapping[str, str], limit: int = 20) -> Page:
        self._reached()
        self.system.arrive()  # `settle` is long enough for what was under way
        found = [row for row in self.system.rows.values() if all(row[name] == cell for name, cell in where.items())]
        return page_of(resource, [dict(row) for row in found[:limit]], 0)

    def write(self, resource: Resource, changes: Sequence[Change]) -> list[Receipt]:
        self._reached()
        one = self.system
        meanwhile, one.meanwhile = one.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        answer = one.answers.popleft() if one.answers else "well"
        if answer == "down":
            raise RemoteDown("the system does not answer", where="memory", todo="try again")
        if answer == "killed_before":
            self._die()
        if answer == "retry":
            return [Receipt("retry", change.key, code="busy", message="busy") for change in changes]
        unclear = [Receipt("unclear", change.key, code="lost", message="no answer") for change in changes]
        if answer == "never":
            return unclear
        if answer == "late":
            one.delayed += [replace(change, version=None) for change in changes]
            return unclear
        receipts = self._done(changes)
        afterwards, one.afterwards = one.afterwards, None
        if afterwards is not None:
            afterwards()
        if answer == "killed_after":
            self._die()
        return unclear if answer == "lost" else receipts

    def _done(self, changes: Sequence[Change]) -> list[Receipt]:
        if self.system.whole_batch and any(
            (said := self.system._refusal(change)) is not None and said.state == "refused" for change in changes
        ):
            return [Receipt("refused", change.key, code="batch", message="the batch was refused")
                    if len(changes) > 1 else self.system.do(change) for change in changes]
        return [self.system.do(change) for change in changes]

    def edited(self, resource: Resource, keys: Sequence[Key]) -> Collection[Key]:
        self._reached()
        return [key for key in keys if key[0] in self.system.by_users] if self.system.tells_writers else ()

    def made_by_us(self, resource: Resource, keys: Sequence[Key]) -> set[Key] | None:
        return {(row["id"],) for row in self.system.made if (row["id"],) in keys} if self.system.tells_makers else None

    @property
    def writes_as(self) -> object:
        return None

    def changes(self, resource: Resource, timeout: float) -> Iterator[object]:
        raise AssertionError("it does not listen")

    def close(self) -> None:
        """Nothing is kept open."""

    def _reached(self) -> None:
        if self.system.is_down:
            raise RemoteDown("the system does not answer", where="memory", todo="try again")

    def _die(self) -> None:
        assert self.system.kill is not None
        self.system.kill()
        raise Killed


def page_of(resource: Resource, rows: Sequence[Row], before: int) -> Page:
    """The rows as a page; `before`: how many came before them."""
    index = pd.RangeIndex(before + 1, before + 1 + len(rows)).astype("int64")
    cells: dict[str, Any] = {name: [row.get(name, "") for row in rows] for name in resource.columns}
    frame = pd.DataFrame(cells, index=index, dtype="string[pyarrow]")
    return Page(frame, np.arange(before + 1, before + 1 + len(rows), dtype=np.int64),
                pd.DataFrame(columns=list(DAMAGED_COLUMNS)))


class MemorySettings(BaseModel):
    """The keys of such a system in systems.yaml: those that every system has."""


def opening(systems: Mapping[str, MemorySystem]) -> Callable[[str, str, Mapping[str, Any]], MemoryRemote]:
    """What stands in for connectors.registry.open_remote."""
    return lambda system, connector, keys: systems[system].open()
