"""A session that calls its system no oftener than it stands."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from connectors.page import Page
from connectors.remote import Capabilities, Change, Key, Position, Receipt, Remote, RemoteSource, Resource


@dataclass
class Paced:
    """The remote, with a pause before a call that would come too soon; `rate` is calls in a second.

    A read that is streamed counts as one call: how its pages are fetched is the connector's.
    """

    remote: Remote
    rate: float
    free_at: float = 0.0

    def _wait(self) -> None:
        now = time.monotonic()
        if self.free_at > now:
            time.sleep(self.free_at - now)
        self.free_at = max(now, self.free_at) + 1 / self.rate

    def capabilities(self, resource: Resource) -> Capabilities:
        self._wait()
        return self.remote.capabilities(resource)

    def read(self, resource: Resource, since: Position | None) -> RemoteSource:
        self._wait()
        return self.remote.read(resource, since)

    def fetch(self, resource: Resource, keys: Sequence[Key]) -> Page:
        self._wait()
        return self.remote.fetch(resource, keys)

    def find(self, resource: Resource, where: Mapping[str, str], limit: int = 20) -> Page:
        self._wait()
        return self.remote.find(resource, where, limit)

    def write(self, resource: Resource, changes: Sequence[Change]) -> list[Receipt]:
        self._wait()
        return self.remote.write(resource, changes)

    def changes(self, resource: Resource, timeout: float) -> Iterator[None]:
        return self.remote.changes(resource, timeout)

    def close(self) -> None:
        self.remote.close()
