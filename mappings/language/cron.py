"""Cron lines: `minute hour day month weekday`, as the scheduler reads them, and the time zones they are meant in."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from mappings.language.words import did_you_mean

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    ("day of the week", 0, 7, {name: number for number, name in enumerate(_DAYS)}),
)
_LONGEST = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
_STEP = re.compile(r"(?P<range>\*|\w+(?:-\w+)?)(?:/(?P<step>\d+))?")


def cron_problem(line: str) -> str | None:
    """What is wrong with a cron line, in a sentence; None where it is fine."""
    fields = line.split()
    if len(fields) != len(_FIELDS):
        return (f"{line!r} has {len(fields)} parts; a cron line has five: minute hour day month weekday, "
                'as in "0 6 * * 1-5"')
    meant: list[set[int]] = []
    for text, (name, low, high, names) in zip(fields, _FIELDS, strict=True):
        values: set[int] = set()
        for piece in text.split(","):
            found = _values(piece, low, high, names)
            if found is None:
                return f"{piece!r} is no {name} ({low} to {high}, ranges a-b, steps */n, lists a,b)"
            values |= found
        meant.append(values)
    days, months = meant[2], meant[3]
    if fields[4] == "*" and all(min(days) > _LONGEST.get(month, 31) for month in months):
        return f"{line!r} never comes: that day is in none of these months"
    return None


def zone_problem(name: str) -> str | None:
    """What is wrong with the name of a time zone, in a sentence; None where it is fine."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = did_you_mean(name, [zone for zone in available_timezones() if "/" in zone])
        return f"there is no time zone {name!r}{near if 'mean' in near else '; use an IANA name such as Europe/Paris'}"
    return None


def _values(piece: str, low: int, high: int, names: dict[str, int]) -> set[int] | None:
    found = _STEP.fullmatch(piece.lower())
    if not found:
        return None
    step = int(found["step"] or 1)
    if found["range"] == "*":
        first, last = low, high
    else:
        ends = [names.get(end, int(end) if end.isdigit() else -1) for end in found["range"].split("-")]
        first, last = ends[0], ends[-1]
        if found["step"] and len(ends) == 1:
            last = high
    if not (low <= first <= last <= high) or step < 1:
        return None
    return set(range(first, last + 1, step))
