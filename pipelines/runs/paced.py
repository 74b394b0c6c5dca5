"""A session that calls its system no oftener than it stands."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock

from connectors.page import Page
from connectors.remote import Capabilities, Change, Key, Known, Position, Receipt, Remote, RemoteSource, Resource


@dataclass
class Pace:
    """When the next call may be made: `rate` calls in a second, whichever of several threads makes them."""

    rate: float
    free_at: float = 0.0
    lock: Lock = field(default_factory=Lock, repr=False)

    def wait(self) -> None:
        """Returns when it is the caller's turn."""
        with self.lock:
            mine = max(time.monotonic(), self.free_at)
            self.free_at = mine + 1 / self.rate
        time.sleep(max(0.0, mine - time.monotonic()))


@dataclass
class Paced:
    """The remote, with a pause before a call that would come too soon.

    A read that is streamed counts as one call: how its pages are fetched is the connector's.
    """

    remote: Remote
    pace: Pace

    def capabilities(self, resource: Resource) -> Capabilities:
        self.pace.wait()
        return self.remote.capabilities(resource)

    def read(self, resource: Resource, since: Position | None, known: Known | None = None) -> RemoteSource:
        self.pace.wait()
        return self.remote.read(resource, since, known)

    def fetch(self, resource: Resource, keys: Sequence[Key]) -> Page:
        self.pace.wait()
        return self.remote.fetch(resource, keys)

    def find(self, resource: Resource, where: Mapping[str, str], limit: int = 20) -> Page:
        self.pace.wait()
        return self.remote.find(resource, where, limit)

    def write(self, resource: Resource, changes: Sequence[Change]) -> list[Receipt]:
        self.pace.wait()
        return self.remote.write(resource, changes)

    def edited(self, resource: Resource, keys: Sequence[Key]) -> Collection[Key]:
        self.pace.wait()
        return self.remote.edited(resource, keys)

    def made_by_us(self, resource: Resource, keys: Sequence[Key]) -> Collection[Key] | None:
        self.pace.wait()
        return self.remote.made_by_us(resource, keys)

    @property
    def writes_as(self) -> object:
        return self.remote.writes_as

    def changes(self, resource: Resource, timeout: float) -> Iterator[object]:
        return self.remote.changes(resource, timeout)

    def close(self) -> None:
        self.remote.close()
