"""Who keeps each live system in step now: as the store's locks say, which end with the process that holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, Row, Text, cast, column, func, select

from pipelines.hub import Hub
from pipelines.runs.leader import host_and_pid
from pipelines.runs.leadership import LEADER_LOCK


@dataclass(frozen=True)
class Leads:
    """A live system: `host` and `pid` of the process that leads it (null where another version does), `since` when and
    under which `epoch`. Where nobody does, since and epoch are those of the last one, if there was any."""

    system: str
    led: bool
    host: str | None
    pid: int | None
    since: datetime | None
    epoch: int | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def leaders(hub: Hub, systems: Sequence[str] | None = None) -> list[Leads]:
    """Of these systems, or of every one that has a live flow, in the order of their names."""
    names = sorted(hub.project.live_systems if systems is None else systems)
    if not names:
        return []
    found = func.sync.leaders(LEADER_LOCK, "system", cast(names, ARRAY(Text))).table_valued(
        column("name"), column("epoch"), column("at"), column("called"))
    with hub.ask.connect() as connection:
        rows = connection.execute(select(found)).all()
    return [_leads(row) for row in rows]


def _leads(row: Row[Any]) -> Leads:
    host, pid = (None, None) if row.called is None else host_and_pid(row.called)
    return Leads(row.name, row.called is not None, host, pid, row.at, row.epoch)
