"""Files of a series that did not come: holes among dated or numbered files, and the one that is late today."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice

from mappings.language.file_pattern import Part, usable_pattern
from mappings.language.read import Read

MOST = 1000
"""Holes told per series; more say nothing more."""

Parts = Mapping[str, str]


@dataclass(frozen=True)
class Gap:
    """A file that is missing: the value of the part that makes the series, and the other parts of its name.

    `value`: a number, a day (2026-11-21), the Monday of a week, or a month (2026-11).
    """

    part: str
    value: str
    others: Parts


def gaps(seen: Iterable[Parts], read: Read) -> list[Gap]:
    """What is missing between the first and the last file of each series, in order.

    `seen`: the parts of all files that came. A series is all files with the same other parts (the same company, say).
    Dates make a series where `every` says how often. A number that runs on from date to date makes one beside the
    dates; one that comes with several dates (counted anew each day, or a company's) is a part as any other.
    """
    came = [*seen]
    main = _series_part(read)
    if main is None:
        return []
    running = _running(came, read)
    found: list[Gap] = []
    for part in _parts(read):
        aside = running if part.kind == "date" else _dates(read) if part.name in running else set()
        if part.kind == "text" or not (part == main or part.name in running or main.name in running):
            continue
        if part.kind == "date" and read.every is None:
            continue
        step = _STEPS[read.every or "day"] if part.kind == "date" else _NUMBERS
        for others, values in _series(came, part.name, aside).items():
            known = {step.place(value) for value in values}
            holes = (place for place in range(min(known), max(known)) if place not in known)
            found += [Gap(part.name, step.shown(place), dict(others)) for place in islice(holes, MOST)]
    return found


def late(seen: Iterable[Parts], read: Read, now: datetime, *, last_arrival: datetime | None = None) -> list[Gap]:
    """What should have come by now, and is newer than all that came; empty without `expected_by`.

    `now` is in the time zone that `expected_by` means. A daily file is due on its day at that time, a weekly or monthly
    one when its week or month is over. Without a date in the name, what counts is that a file arrived today.
    """
    if read.expected_by is None:
        return []
    part = _series_part(read)
    passed = now.strftime("%H:%M") >= read.expected_by
    if part is None or part.kind != "date":
        today = last_arrival is not None and last_arrival.astimezone(now.tzinfo).date() >= now.date()
        return [Gap("", now.date().isoformat(), {})] if passed and not today else []
    came = [*seen]
    every = read.every or "day"
    step = _STEPS[every]
    due = step.place(now.date().isoformat())
    today_counts = every == "day" or (every == "weekday" and now.weekday() < 5)
    if (today_counts and not passed) or every in ("week", "month"):
        due -= 1
    return [
        Gap(part.name, step.shown(due), dict(others))
        for others, values in (_series(came, part.name, _running(came, read)) or {(): []}).items()
        if max((step.place(value) for value in values), default=due - 1) < due
    ]


def _series_part(read: Read) -> Part | None:
    pattern = usable_pattern(read.files)
    part = None if pattern is None else pattern.order(read.order)
    return None if part is None or part.kind == "text" else part


def _parts(read: Read) -> tuple[Part, ...]:
    pattern = usable_pattern(read.files)
    return () if pattern is None else pattern.parts


def _dates(read: Read) -> set[str]:
    return {part.name for part in _parts(read) if part.kind == "date"}


def _running(seen: Collection[Parts], read: Read) -> set[str]:
    """The numbers that run on from date to date: each came with one date only, and there were several."""
    dates, found = _dates(read), set[str]()
    for part in _parts(read):
        if part.kind != "number" or not dates:
            continue
        of_number: dict[object, set[object]] = {}
        for parts in seen:
            rest = tuple(sorted((name, value) for name, value in parts.items() if name not in dates))
            of_number.setdefault(rest, set()).add(tuple(parts.get(name) for name in sorted(dates)))
        if all(len(some) == 1 for some in of_number.values()) and len({*map(str, of_number.values())}) > 1:
            found.add(part.name)
    return found


def _series(seen: Iterable[Parts], name: str, aside: Collection[str]) -> dict[tuple[tuple[str, str], ...], list[str]]:
    """The values of the part in each series; `aside`: parts that tell no series from another."""
    series: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for parts in seen:
        if name in parts:
            others = tuple(sorted((key, value) for key, value in parts.items() if key != name and key not in aside))
            series.setdefault(others, []).append(parts[name])
    return series


@dataclass(frozen=True)
class _Step:
    """How values follow each other: their places are whole numbers without holes."""

    place: Callable[[str], int]
    shown: Callable[[int], str]


def _day(value: str) -> date:
    return datetime.fromisoformat(value).date()


def _working_day(value: str) -> int:
    """A file of the weekend counts for the Friday before."""
    weeks, weekday = divmod(_day(value).toordinal() - 1, 7)  # ordinal 1 was a Monday
    return weeks * 5 + min(weekday, 4)


def _month(value: str) -> int:
    day = _day(value)
    return day.year * 12 + day.month - 1


_NUMBERS = _Step(int, str)
_STEPS: dict[str, _Step] = {
    "day": _Step(lambda value: _day(value).toordinal(), lambda place: date.fromordinal(place).isoformat()),
    "weekday": _Step(
        _working_day, lambda place: date.fromordinal(place // 5 * 7 + place % 5 + 1).isoformat()
    ),
    "week": _Step(
        lambda value: (_day(value).toordinal() - 1) // 7, lambda place: date.fromordinal(place * 7 + 1).isoformat()
    ),
    "month": _Step(_month, lambda place: f"{place // 12:04d}-{place % 12 + 1:02d}"),
}
