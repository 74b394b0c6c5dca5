"""The hub's process as tests kill it: at any statement or commit, in memory."""

from __future__ import annotations

from threading import get_ident
from typing import Any

from sqlalchemy import event

from crm_store.store import Store
from tests.memory_systems import Killed


class Life:
    """The hub's process: it can be made to die at one of its statements, and does nothing afterwards until reborn."""

    def __init__(self, store: Store) -> None:
        self.store, self.dead, self.left = store, False, None
        self.thread = get_ident()
        for engine in (store.hub(), store.small(), store.asking()):
            event.listen(engine, "before_cursor_execute", self._statement)
            event.listen(engine, "commit", self._commit)

    dead: bool
    left: int | None
    """Statements and commits of the main thread until it dies."""

    def die(self) -> None:
        self.dead, self.left = True, None

    def reborn(self) -> None:
        self.dead, self.left = False, None
        self.store.let_go()

    def _statement(self, connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if "pg_advisory_unlock" not in statement:  # what a server does for a client that is gone
            self._step()

    def _commit(self, connection: Any) -> None:
        self._step()

    def _step(self) -> None:
        if self.left is not None and get_ident() == self.thread:
            self.left -= 1
            if self.left <= 0:
                self.die()
        if self.dead:
            raise Killed
