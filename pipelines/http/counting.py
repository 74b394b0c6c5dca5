"""How many calls were refused, and why: counted in memory, noted in the store every other moment.

A flood must not make as many writes; a killed process loses what it counted since its last note, never a call.
"""

from __future__ import annotations

import logging
from collections import Counter
from threading import Event, Lock, Thread

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from crm_store import hub_tables as tables
from mappings.errors import NavetteError
from pipelines.hub import Hub

EVERY = 1.0
log = logging.getLogger("navette.http")


class Counting:
    """Counts by system ('' for names that are no system's) and cause."""

    def __init__(self, hub: Hub) -> None:
        self._hub, self._lock, self._stop = hub, Lock(), Event()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._thread = Thread(target=self._keep, name="call-counts", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Notes what is left."""
        self._stop.set()
        self._thread.join(10)

    def add(self, system: str, what: str) -> None:
        with self._lock:
            self._counts[system, what] += 1

    def _keep(self) -> None:
        while not self._stop.wait(EVERY):
            self._note()
        self._note()

    def _note(self) -> None:
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            self._write(counts)
        except (SQLAlchemyError, NavetteError) as error:
            log.warning("calls could not be counted: %s", type(error).__name__)
            with self._lock:
                self._counts.update(counts)

    def _write(self, counts: Counter[tuple[str, str]]) -> None:
        rows = [{"system": system, "what": what, "count": count} for (system, what), count in sorted(counts.items())]
        row = insert(tables.call_count).values(rows)
        with self._hub.engine.begin() as connection:
            connection.execute(row.on_conflict_do_update(
                index_elements=["system", "what"],
                set_={"count": tables.call_count.c.count + row.excluded.count, "last_at": func.now()},
            ))
