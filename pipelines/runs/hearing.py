"""Hearing that a system has changed: a thread for each live flow whose system says so, on a session of its own.

What is heard is a hint that wakes the loop of the system; the loop reads, and polls all the same. It is the loop that
asks for a thread, when it has just read: so none logs in to a system that does not answer, or refuses our login. A
thread that fails ends, and the loop asks for another one after its next good read.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from contextlib import closing, suppress
from threading import Event, Lock, Thread

from sqlalchemy.exc import DBAPIError

from connectors.remote import Remote
from mappings.errors import NavetteError
from mappings.language.flow import Flow
from pipelines.hub import Hub
from pipelines.runs.remote import opened, resource_of
from pipelines.runs.standing import calling

BREATH = 5.0
"""Seconds for which a thread listens before it looks whether it is to stop."""
PAUSE = 5.0
"""Seconds between two threads for one flow, at least."""


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


class Ears:
    """The threads that listen to one system, and what they have `heard`; to be closed."""

    def __init__(self, hub: Hub) -> None:
        self.heard = Heard()
        self._hub, self._stop, self._opening = hub, Event(), Lock()
        self._threads: dict[str, tuple[Thread, float]] = {}  # by flow, and when it began

    def listen(self, flow: Flow) -> None:
        """Listens for this flow from now on, if nobody does; its system listens, and answers."""
        thread, began = self._threads.get(flow.flow, (None, 0.0))
        now = time.monotonic()
        if thread is not None and (thread.is_alive() or now - began < PAUSE):
            return
        thread = Thread(target=self._listen, args=(flow,), name=f"navette-ear-{flow.flow}", daemon=True)
        self._threads[flow.flow] = thread, now
        thread.start()

    def close(self) -> None:
        """Tells all to stop, and does not wait for them."""
        self._stop.set()
        self.heard.close()

    def _listen(self, flow: Flow) -> None:
        # What fails here says nothing of the system: the loop's own calls do. But for a refused login, which pauses it.
        with suppress(NavetteError, DBAPIError):
            with self._opening, calling(self._hub, flow.system):  # where one is refused, the next finds it paused
                remote = opened(self._hub, flow.system)
            with closing(remote):
                while not self._stop.is_set():
                    with calling(self._hub, flow.system):
                        self._hear(remote, flow)

    def _hear(self, remote: Remote, flow: Flow) -> None:
        """For the time of a breath."""
        for writer in remote.changes(resource_of(flow), BREATH):
            self.heard.tell(flow.flow, writer)
            if self._stop.is_set():
                return
