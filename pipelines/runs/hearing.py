"""Hearing that a system has changed: a thread for each live flow whose system says so, on a session of its own.

What is heard is a hint that wakes the loop of the system; the loop reads, and polls all the same.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Event, Thread

from connectors.registry import open_remote
from connectors.remote import LoginRefused, Remote
from mappings.errors import NavetteError
from mappings.language.flow import Flow
from pipelines.hub import Hub
from pipelines.runs.remote import resource_of

BREATH = 5.0
"""Seconds for which a thread listens before it looks whether it is to stop."""
PAUSE = 5.0
"""Seconds before a system that went away is listened to again."""


class Heard:
    """The flows of which something was heard; `fileno` can be waited for beside other files."""

    def __init__(self) -> None:
        self._mine, self._theirs = socket.socketpair()
        for end in (self._mine, self._theirs):
            end.setblocking(False)
        self._said: deque[tuple[str, object]] = deque()

    def fileno(self) -> int:
        """Readable while something was heard that has not been taken."""
        return self._mine.fileno()

    def tell(self, flow: str, writer: object = None) -> None:
        """Something of `flow` was changed by `writer` (None: by somebody); from any thread."""
        self._said.append((flow, writer))
        with suppress(BlockingIOError, OSError):  # full: it is awake already; closed: nobody listens any more
            self._theirs.send(b".")

    def take(self) -> dict[str, set[object]]:
        """Of which flows something was heard since it was last asked, and who wrote it."""
        with suppress(BlockingIOError):
            while self._mine.recv(4096):
                pass
        taken: dict[str, set[object]] = {}
        while self._said:  # what is told from here on wakes the loop again
            flow, writer = self._said.popleft()
            taken.setdefault(flow, set()).add(writer)
        return taken

    def close(self) -> None:
        self._mine.close()
        self._theirs.close()


@contextmanager
def hearing(hub: Hub, flows: Sequence[Flow]) -> Iterator[Heard]:
    """Listens for these flows while the block runs; nothing is heard of a system that does not tell."""
    heard, stop = Heard(), Event()
    threads = [Thread(target=_listen, args=(hub, flow, heard, stop), name=f"navette-ear-{flow.flow}", daemon=True)
               for flow in flows if flow.direction != "out" and hub.project.systems[flow.system].connector != "file"]
    for thread in threads:
        thread.start()
    try:
        yield heard
    finally:
        stop.set()
        heard.close()


def _listen(hub: Hub, flow: Flow, heard: Heard, stop: Event) -> None:
    while not stop.is_set():
        try:
            remote = open_remote(flow.system, hub.project.systems[flow.system].connector,
                                 hub.project.connections[flow.system])
            try:
                if not remote.capabilities(resource_of(flow)).listens:
                    return
                _hear(remote, flow, heard, stop)
            finally:
                remote.close()
        except LoginRefused:
            return  # the loop meets it as well, and pauses the system
        except NavetteError:
            stop.wait(PAUSE)


def _hear(remote: Remote, flow: Flow, heard: Heard, stop: Event) -> None:
    while not stop.is_set():
        for writer in remote.changes(resource_of(flow), BREATH):
            heard.tell(flow.flow, writer)
            if stop.is_set():
                return
