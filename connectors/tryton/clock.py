"""The clock of the server, by which a stamp lies in the future or not."""

from __future__ import annotations

import datetime as dt
import time
from email.utils import parsedate_to_datetime

SECOND = dt.timedelta(seconds=1)


class Clock:
    """Goes by the `Date` of the server's last answer; by our own clock before the first, and where it tells none."""

    def __init__(self) -> None:
        self._told: dt.datetime | None = None
        self._at = 0.0  # when it was told, by the clock that nobody sets

    def hear(self, date: str | None) -> None:
        """`date`: the header of an answer that came just now."""
        try:
            told = parsedate_to_datetime(date or "")
        except ValueError:
            return
        self._told = told.replace(tzinfo=dt.UTC) if told.tzinfo is None else told.astimezone(dt.UTC)
        self._at = time.monotonic()

    @property
    def now(self) -> dt.datetime:
        """The latest that it can be there, in UTC: a `Date` leaves out the part of a second that has gone by."""
        if self._told is None:
            return dt.datetime.now(dt.UTC)
        return self._told + SECOND + dt.timedelta(seconds=time.monotonic() - self._at)
