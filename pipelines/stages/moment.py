"""When a run decided, and whether its decision still stands."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True)
class Moment:
    """The store as it was when a run decided: the journal's place, and whether anything was under way.

    While nobody else has journaled a change since, a decision on creating or linking still stands and apply need not
    match again. A transaction that was open at the time may commit later what nobody could see: then it must.
    """

    journal: int
    quiet: bool

    @staticmethod
    def now(connection: Connection) -> Moment:
        """Asked before deciding, so that what comes in between counts as a change."""
        place = connection.scalar(
            text("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM sync.journal_id_seq")
        )
        others = connection.scalar(text(
            "SELECT count(*) FROM pg_snapshot_xip(pg_current_snapshot()) AS xid"
            " WHERE xid IS DISTINCT FROM pg_current_xact_id_if_assigned()"
        ))
        return Moment(int(place or 0), not others)
