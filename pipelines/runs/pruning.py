"""Housekeeping of the inbox: bodies of calls that were taken in long ago go, and what makes them known again stays.

::

    done, received and its run ended before now - `hooks: {keep: …}` ─▶ body = NULL, body_digest = its SHA-256
"""

from __future__ import annotations

import logging
from threading import Event, Thread

from sqlalchemy import func, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from crm_store import hub_tables as tables
from mappings.errors import NavetteError
from mappings.language.system import Hooks
from pipelines.hub import Hub
from pipelines.runs.calls import body_digest
from pipelines.runs.sources import seconds

BATCH = 500
"""Bodies in one transaction: a body has at most some MiB, and each goes through SHA-256."""
EVERY = 3600.0
"""Seconds between two looks of a server."""
log = logging.getLogger("navette.http")


def prune_inbox(hub: Hub, batch: int = BATCH, stop: Event | None = None) -> int:
    """Drops what is due, batch by batch, until nothing is or `stop` is set; returns how many bodies went.

    Two at once do not wait for each other. Systems that are no longer in the project have the default time.
    """
    dropped, inbox = 0, tables.inbox
    holding = select(inbox.c.system).where(inbox.c.state == "done", inbox.c.body.is_not(None)).distinct()
    with hub.engine.connect() as connection:
        systems = connection.scalars(holding).all()
    for system in systems:
        while not (stop is not None and stop.is_set()) and (count := _drop(hub, system, _kept(hub, system), batch)):
            dropped += count
    return dropped


def _kept(hub: Hub, system: str) -> float:
    """Seconds."""
    declared = hub.project.systems.get(system)
    hooks = declared.hooks if declared is not None else None
    return seconds(hooks.keep if hooks is not None else Hooks.model_fields["keep"].default)


def _drop(hub: Hub, system: str, kept: float, batch: int) -> int:
    inbox, run = tables.inbox, tables.run
    until = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, kept)
    due = (
        select(inbox.c.id).select_from(inbox.outerjoin(run, run.c.id == inbox.c.run_id))
        .where(inbox.c.system == system, inbox.c.state == "done", inbox.c.body.is_not(None),
               inbox.c.received_at < until, or_(run.c.ended_at.is_(None), run.c.ended_at < until))
        .order_by(inbox.c.received_at).limit(batch).with_for_update(of=inbox, skip_locked=True)
    )
    with hub.engine.begin() as connection:
        return connection.execute(
            update(inbox).where(inbox.c.id.in_(due.scalar_subquery()))
            .values(body=None, body_digest=body_digest(inbox.c.body))
        ).rowcount


class Pruning:
    """`prune_inbox` at once and then every hour, in a thread of a server; a store that does not answer is met the
    next time."""

    def __init__(self, hub: Hub) -> None:
        self._hub, self._stop = hub, Event()
        self._thread = Thread(target=self._keep, name="inbox-pruning", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """After the batch under way."""
        self._stop.set()
        self._thread.join(10)

    def _keep(self) -> None:
        while True:
            try:
                prune_inbox(self._hub, stop=self._stop)
            except (SQLAlchemyError, NavetteError) as error:
                log.warning("bodies of calls could not be dropped: %s", type(error).__name__)
            if self._stop.wait(EVERY):
                return
