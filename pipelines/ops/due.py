"""When a flow's schedule comes round, reckoned by Dagster itself, which is what starts the runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from mappings.language.flow import Schedule


def next_due(schedule: Schedule | None, now: datetime) -> dict[str, datetime]:
    """The next tick after `now`, by kind of run (changes, full); empty without a schedule."""
    return _ticks(schedule, now, coming=True)


def last_due(schedule: Schedule | None, now: datetime) -> dict[str, datetime]:
    """The latest tick before `now`, by kind of run."""
    return _ticks(schedule, now, coming=False)


def _ticks(schedule: Schedule | None, now: datetime, *, coming: bool) -> dict[str, datetime]:
    if schedule is None or not schedule.lines:
        return {}
    tick = _tick(coming)
    return {kind: tick(line, now, schedule.timezone) for kind, line in schedule.lines.items()}


def _tick(coming: bool) -> Callable[[str, datetime, str], datetime]:
    # Importing Dagster takes two seconds: only where a flow has a schedule.
    from dagster._utils import schedules

    return schedules.get_next_cron_tick if coming else schedules.get_latest_completed_cron_tick
